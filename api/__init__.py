"""Questions and answers: filters, service, Python client, command line."""
