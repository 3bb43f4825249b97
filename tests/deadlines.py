"""How long a test waits for what must come. It guards against a test that hangs, and never decides what is right.

What is right may not hang on it: a machine that does much else takes ten times as long for everything.
"""

HANG_SECONDS = 240.0
"""Below pytest's own limit for a test (pyproject.toml), so that the message says what was waited for."""
