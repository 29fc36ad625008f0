"""Two towers: compositions and structures embedded in one space, so that either finds the other."""
