"""Migration barriers: hops as given, described by geometry, bond valence, electrostatics and chemistry."""
