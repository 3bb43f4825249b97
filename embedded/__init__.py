"""What a laptop runs in place of a cluster."""
