"""Watching an account that is traded: what it holds and earns, what is wrong, and who is told."""
