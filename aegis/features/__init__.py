"""Point-in-time features of the universe's members."""
