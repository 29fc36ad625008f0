"""Structure prediction from templates: known arrangements taken over by other elements."""
