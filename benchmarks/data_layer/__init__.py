"""Benchmarks of the data layer: the lake beside other stores, and passes over long histories, each in one run."""
