"""Pure decisions: identity, outcomes, claims, batching, paths. No Kafka, no HTTP, no disk."""
