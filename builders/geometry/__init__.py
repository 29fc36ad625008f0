"""The geometry of periodic point sets: exact, without physics. Channels and topology stand on it."""
