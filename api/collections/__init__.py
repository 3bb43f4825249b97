"""Which collection, of which model; copies from one to another."""
