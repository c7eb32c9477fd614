"""What markets say while they trade: quotes, trades, minute bars and halts, by permanent symbol."""
