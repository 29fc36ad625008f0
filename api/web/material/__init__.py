"""The page of one material, and what belongs to it."""
