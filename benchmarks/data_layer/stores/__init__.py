"""One module for each store; each has the functions that :mod:`benchmarks.data_layer.measurement` calls."""
