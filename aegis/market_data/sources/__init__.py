"""Where prices come from, behind one protocol."""
