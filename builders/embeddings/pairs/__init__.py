"""Do two compositions take the same arrangement? Networks that answer it, the protocol they are judged by, and their weights."""
