"""The desk for live market data: ticks, minute bars that are kept up to date, and what a user may not see."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.integration.vendors.tws.gateway import Answer, Request, Session
from tests.integration.vendors.tws.wire import AskedContract, Contract, Fields, ToClient, ToGateway, error, message

LIVE, FROZEN, DELAYED = 1, 2, 3
BID_SIZE, BID, ASK, ASK_SIZE, HALTED = 0, 1, 2, 3, 49


@dataclass(frozen=True)
class MinuteBar:
    """A bar of one minute, named by its opening."""

    opens_at: datetime
    close: float
    volume: float

    @property
    def prices(self) -> tuple[float, float, float, float]:
        """Open, high, low, close."""
        return self.close, self.close + 0.5, self.close - 0.5, self.close


class MarketDataDesk:
    """Stocks that are listened to.

    Attributes
    ----------
    bars : dict of str to list of MinuteBar
        The session's bars until now, by symbol.
    refusals : dict of str to (int, str)
        The error that meets a symbol's ticks.
    data_type : int
        How fresh the data are that it sends.
    now : datetime
        The gateway's clock.
    """

    def __init__(self, contracts: Sequence[Contract], *, now: datetime) -> None:
        self.contracts = list(contracts)
        self.bars: dict[str, list[MinuteBar]] = {}
        self.refusals: dict[str, tuple[int, str]] = {}
        self.data_type = LIVE
        self.now = now
        self.asked_types: list[int] = []
        self._ticks: dict[str, tuple[Session, int]] = {}
        self._bars: dict[str, tuple[Session, int]] = {}
        self._changed = threading.Condition()

    @property
    def answers(self) -> Mapping[int, Answer]:
        return {
            ToGateway.MARKET_DATA: self._market_data,
            ToGateway.CANCEL_MARKET_DATA: self._cancel_ticks,
            ToGateway.HISTORICAL_DATA: self._historical_data,
            ToGateway.CANCEL_HISTORICAL_DATA: self._cancel_bars,
            ToGateway.MARKET_DATA_TYPE: self._market_data_type,
            ToGateway.CURRENT_TIME: lambda _, __: [message(ToClient.CURRENT_TIME, 1, int(self.now.timestamp()))],
        }

    @property
    def listened_to(self) -> set[str]:
        """Symbols whose ticks and bars somebody wants."""
        with self._changed:
            return set(self._ticks) & set(self._bars)

    def wait_for(self, symbols: set[str], *, timeout_seconds: float = 10.0) -> None:
        """Return when exactly these symbols are listened to."""
        with self._changed:
            if not self._changed.wait_for(lambda: set(self._ticks) == set(self._bars) == symbols, timeout_seconds):
                raise TimeoutError(f"ticks {sorted(self._ticks)}, bars {sorted(self._bars)}")

    def forget(self) -> None:
        """Forget who listens, as the end of a connection does."""
        with self._changed:
            self._ticks.clear()
            self._bars.clear()

    def price(self, symbol: str, kind: int, price: float, size: float = 3) -> None:
        """Tell one side of a quote."""
        session, number = self._ticks[symbol]
        session.send(message(ToClient.TICK_PRICE, 6, number, kind, price, size, 1))

    def quote(self, symbol: str, bid: float, ask: float) -> None:
        """Tell both sides."""
        self.price(symbol, BID, bid)
        self.price(symbol, ASK, ask)

    def size(self, symbol: str, kind: int, size: float) -> None:
        session, number = self._ticks[symbol]
        session.send(message(ToClient.TICK_SIZE, 6, number, kind, size))

    def number(self, symbol: str, kind: int, value: float) -> None:
        """Tell a number, such as that of a halt."""
        session, request = self._ticks[symbol]
        session.send(message(ToClient.TICK_GENERIC, 6, request, kind, value))

    def fails(self, symbol: str, code: int, words: str) -> None:
        """Tell an error about a symbol's ticks."""
        session, request = self._ticks[symbol]
        session.send(error(request, code, words))

    def becomes(self, symbol: str, data_type: int) -> None:
        """Tell that a symbol's data are from now on of another freshness."""
        session, request = self._ticks[symbol]
        session.send(message(ToClient.MARKET_DATA_TYPE, 1, request, data_type))

    def update(self, symbol: str, bar: MinuteBar) -> None:
        """Tell the newest bar as it is now."""
        session, number = self._bars[symbol]
        opened, high, low, close = bar.prices
        begins = int(bar.opens_at.timestamp())
        session.send(
            message(ToClient.HISTORICAL_DATA_UPDATE, number, 7, begins, opened, close, high, low, close, bar.volume)
        )

    def _market_data_type(self, _: Session, request: Request) -> Sequence[Fields]:
        self.asked_types.append(int(request.fields[2]))
        return []

    def _market_data(self, session: Session, request: Request) -> Sequence[Fields]:
        found = self._found(request.fields[3:15])
        if found is None:
            return [error(request.request_id, 200, "No security definition has been found for the request")]
        if found.symbol in self.refusals:
            return [error(request.request_id, *self.refusals[found.symbol])]
        session.send(message(ToClient.MARKET_DATA_TYPE, 1, request.request_id, self.data_type))
        with self._changed:
            self._ticks[found.symbol] = session, request.request_id
            self._changed.notify_all()
        return []

    def _historical_data(self, session: Session, request: Request) -> Sequence[Fields]:
        found = self._found(request.fields[2:14])
        end, size, duration, regular, what, date_format, keeps, _ = request.fields[15:]
        assert (end, size, duration, regular, what, date_format, keeps) == (
            "", "1 min", "1 D", "1", "TRADES", "2", "1",
        )  # fmt: skip
        if found is None or found.symbol in self.refusals:
            return [error(request.request_id, 162, "Historical Market Data Service error message:No market data")]
        bars = self.bars.get(found.symbol, [])
        rows = [
            field for bar in bars for field in (int(bar.opens_at.timestamp()), *bar.prices, bar.volume, bar.close, 7)
        ]
        session.send(message(ToClient.HISTORICAL_DATA, request.request_id, "", "", len(bars), *rows))
        with self._changed:
            self._bars[found.symbol] = session, request.request_id
            self._changed.notify_all()
        return []

    def _cancel_ticks(self, _: Session, request: Request) -> Sequence[Fields]:
        return self._cancel(self._ticks, int(request.fields[2]))

    def _cancel_bars(self, _: Session, request: Request) -> Sequence[Fields]:
        return self._cancel(self._bars, int(request.fields[2]))

    def _cancel(self, held: dict[str, tuple[Session, int]], number: int) -> Sequence[Fields]:
        with self._changed:
            for symbol, (_, request) in list(held.items()):
                if request == number:
                    del held[symbol]
            self._changed.notify_all()
        return []

    def _found(self, fields: Fields) -> Contract | None:
        asked = AskedContract.of(fields)
        found = [contract for contract in self.contracts if asked.fits(contract)]
        return found[0] if len(found) == 1 else None
