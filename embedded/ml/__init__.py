"""The reference ML service: `python -m embedded.ml --port N [--model NAME | --clip-models DIR]`."""
