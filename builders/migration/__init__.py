"""Migration energies of hops, learned from computed barriers: training, weights that ship, prediction without scikit-learn."""
