"""How derived data is made: one folder a derived collection, pure kernels and one thin builder."""
