"""Alpaca's venue, once a module, with its market open."""

from tests.integration.venues.alpaca.open_market import running, venue

__all__ = ["running", "venue"]
