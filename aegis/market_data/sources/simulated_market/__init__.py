"""The generated market: pure arrays by session number, without dates, frames or settings.

``instruments`` who trades, ``streams`` random numbers, ``returns`` latent returns and volatility, ``events`` splits,
dividends and halts, ``trading`` open/high/low/close and volume, ``market`` all of it in order, ``ground_truth`` what
was planted. :mod:`aegis.market_data.sources.simulated` turns the arrays into the tables of a source.
"""
