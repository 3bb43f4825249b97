"""The only network clients beside Kafka."""
