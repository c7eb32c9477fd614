"""Research: what strategies would have done, and how far that is to be believed."""
