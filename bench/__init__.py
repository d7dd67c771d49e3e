"""Benchmarks of speed and of accuracy, run by hand. They are not tests and have no pass or fail."""
