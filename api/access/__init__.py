"""Who may come in, and which folders may be read."""
