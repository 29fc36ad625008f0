"""``sources`` -> ``structures`` and ``duplicates``: validated, standardised crystals with their symmetry."""
