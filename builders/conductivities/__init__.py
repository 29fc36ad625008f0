"""Measured conductivities: read, normalised, linked to structures and to each other."""
