"""``structures`` -> ``embeddings``: vectors in which near means alike."""
