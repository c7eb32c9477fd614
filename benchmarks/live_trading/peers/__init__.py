"""What live trading is paired with; each runs in an environment of its own and imports nothing of Aegis."""
