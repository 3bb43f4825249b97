"""What a laptop runs in place of a cluster: a broker, a vector store, an ML service, and who keeps them running."""
