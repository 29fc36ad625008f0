"""Inverse retrieval: which compositions could take a given structure."""
