"""What was processed once and is processed again: dead letters, topics, the cache."""
