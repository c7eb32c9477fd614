"""Prices and corporate actions: from a source's delivery to bars that may be trusted."""
