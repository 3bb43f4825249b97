"""Models with weights: which there are to have, how they come to this machine, and those that are here."""
