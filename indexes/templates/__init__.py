"""Templates: every ordered structure of the store as arrays, retrieved by stoichiometry and optimal element assignment."""
