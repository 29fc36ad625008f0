"""Fast retrieval over stored vectors: FAISS with an exact twin, snapshots, similarity."""
