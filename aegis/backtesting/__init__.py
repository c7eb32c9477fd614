"""How an order becomes a fill in simulated history: bars, matching and costs."""
