"""A venue on this machine that speaks Alpaca's trading REST and its trade-updates websocket."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from tests.integration.venues.alpaca.book import VenueBook
from tests.integration.venues.alpaca.rest import RestVenue
from tests.integration.venues.alpaca.stream import StreamVenue

AFTER_THE_CLOSE = datetime(2014, 6, 5, 20, 15, tzinfo=UTC)


class AlpacaVenue:
    """The account, its REST and its stream; ``begin_again`` gives a new account to the same two ports."""

    def __init__(self) -> None:
        self.book = VenueBook(now_utc=AFTER_THE_CLOSE)
        self.rest = RestVenue(self.book)
        self.stream = StreamVenue()
        self.book.listeners.append(self.stream.listen)

    def __enter__(self) -> AlpacaVenue:
        self.rest.start()
        self.stream.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.rest.close()
        self.stream.close()

    def begin_again(self) -> None:
        """Open a new account with 10 000 USD and nothing else, after the close of 2014-06-05."""
        self.book = VenueBook(now_utc=AFTER_THE_CLOSE)
        self.book.listeners.append(self.stream.listen)
        self.stream.reset()
        self.rest.reset(self.book)

    def quote(self, symbol: str, price_usd: float) -> None:
        """Give a symbol a price."""
        self.book.quotes[symbol] = Decimal(str(price_usd))

    def trade_session(
        self, opens: datetime, closes: datetime, *, symbol: str, price_usd: float, volume_shares: float
    ) -> None:
        """Trade one session at one price."""
        with self.book.lock:
            self.book.trade_session(
                opens=opens, closes=closes, symbol=symbol, price=str(price_usd), shares=int(volume_shares)
            )

    def restart(self) -> None:
        """Go down and come up again with the account as it was: whoever listens is cut off."""
        self.stream.disconnect()
