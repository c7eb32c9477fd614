"""Benchmarks of the data layer, each in a module of its own that can be run."""
