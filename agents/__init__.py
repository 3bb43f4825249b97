"""The stages: one file a stage, in flow order scan, hash, prepare, embed, store, track."""
