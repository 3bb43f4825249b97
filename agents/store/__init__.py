"""Store: writes to Qdrant."""
