"""Structures as numbers that know no element: the arrangement of sites alone."""
