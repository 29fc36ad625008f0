"""Predicted barriers of the hops of each crystal, and the migration energy of its ions."""
