"""Voids and channels: where an ion fits between the atoms of a crystal, and how it gets from place to place."""
