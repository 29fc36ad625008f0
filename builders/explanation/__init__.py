"""Why the conductivity model says what it says: contributions of holes, where those holes are, and what layers do."""
