"""Venues that orders are sent to, behind one protocol."""
