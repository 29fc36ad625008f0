"""What trained models that ship have in common: their form as arrays, their files and card, and how training judges them."""
