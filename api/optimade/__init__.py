"""OPTIMADE 1.2 on our own collections: names, filters, entries and the application that is mounted at ``/optimade``."""
