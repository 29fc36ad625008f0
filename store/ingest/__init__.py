"""Ingestion: files, archives and providers in, verbatim records in ``sources`` out; and the readers of those records."""
