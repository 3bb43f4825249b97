"""Kafka as the API, the commands and the parts reach it. `streams` builds on the same; nothing else makes a client."""
