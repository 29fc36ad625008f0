"""Topology: the clusters, loops and voids of a crystal at every length, by persistent homology."""
