"""What is kept: documents, fields and units, provenance, ingestion, the connection. Imports no other room."""
