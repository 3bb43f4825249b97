"""Faust as Darkroom needs it: the only package that imports it."""
