"""The same examples in every run, so that a failure is the change's and not the dice's."""

from hypothesis import settings

settings.register_profile("darkroom", max_examples=50, deadline=None, derandomize=True)
settings.load_profile("darkroom")
