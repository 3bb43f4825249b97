"""The contracts between the stages: one file a topic. `topology` says who reads and writes which."""
