"""The backtesting engine beside the field's: the same generated bars, the same rules, the same fills.

``python -m benchmarks.backtesting`` prints the table; benchmarks/README.md says how to read it. Every module here but
the engines under ``peers`` needs numpy and the standard library alone, because each peer runs it in its own
environment.
"""
