"""What a feed tells, handed to the rules at the exit door.

Belongs here: the way from a source of live data to the live risk manager. What is believed is the feed's business, what
may leave the manager's.
"""

from __future__ import annotations

from aegis.live_data.messages import LiveMinute, LiveQuote, TradingHalt
from aegis.live_trading.risk_manager import LiveRiskManager


class QuotesAtTheDoor:
    """A listener that tells a risk manager of quotes and halts; safe from any thread.

    Parameters
    ----------
    manager : LiveRiskManager
        Of the account.
    """

    def __init__(self, manager: LiveRiskManager) -> None:
        self._manager = manager

    def on_quote(self, quote: LiveQuote) -> None:
        """Tell it; a quote's age counts from the vendor's time."""
        self._manager.observe_quote(
            quote.symbol, bid_usd=quote.bid_usd, ask_usd=quote.ask_usd, at_utc=quote.quoted_at_utc
        )

    def on_halt(self, halt: TradingHalt) -> None:
        """Stop the symbol's orders, or let them go on."""
        if halt.is_halted:
            self._manager.halt(halt.symbol)
        else:
            self._manager.resume(halt.symbol)

    def on_minute(self, minute: LiveMinute) -> None:
        """Take nothing: no rule at the door reads volumes of today."""
