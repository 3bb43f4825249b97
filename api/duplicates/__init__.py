"""Finding pictures that look alike, and those with several copies: the finder fills reports, people decide."""
