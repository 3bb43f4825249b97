"""The reference ML service: `python -m embedded.ml --port N [--clip-models DIR]`."""
