"""How the whole does: the watchdog, and what an operator sees."""
