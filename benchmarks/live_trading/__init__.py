"""Benchmarks of live trading: from a decision to the wire, the journal's events, and an hour of trading."""
