"""Measurements of speed and of error rates, run by hand. Not tests: nothing here can fail."""
