"""How fast Darkroom is, as ratios within one run: `make bench`, or `python -m benchmarks CASE…`."""
