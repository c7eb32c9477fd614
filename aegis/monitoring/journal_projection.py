"""What a monitor reads off the journal as it grows: profit and loss, instants of orders, slippage, rejections.

Belongs here: taking rows once, in their order, with bounded memory. What the numbers mean is said where they are made:
:mod:`aegis.monitoring.profit_and_loss`, :mod:`aegis.monitoring.order_timing`, :mod:`aegis.monitoring.arrival_slippage`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import date

from aegis.execution.decisions import ASIDES, INTENTS
from aegis.execution.journal_chain import JournalRow
from aegis.execution.order_projections import order_event
from aegis.execution.order_records import instant_from_text
from aegis.execution.orders import Fill, OrderEvent, OrderEventKind
from aegis.live_trading.held_positions import AccountEventKind
from aegis.monitoring.arrival_slippage import Slippage, SlippageSums, total_slippage
from aegis.monitoring.order_timing import OrderInstants, StageLatency, stage_latencies
from aegis.monitoring.profit_and_loss import ProfitAndLossBook, strategy_of

_KEPT_ORDERS = 1_000
_ANSWERS = frozenset(
    {
        OrderEventKind.ACCEPTED,
        OrderEventKind.HELD,
        OrderEventKind.REJECTED,
        OrderEventKind.PARTIALLY_FILLED,
        OrderEventKind.FILLED,
    }
)
_EXECUTED = frozenset({OrderEventKind.PARTIALLY_FILLED, OrderEventKind.FILLED})
_GOOD_ENDS = _EXECUTED | {OrderEventKind.CANCELLED, OrderEventKind.EXPIRED}
_KINDS = frozenset(OrderEventKind) - {OrderEventKind.APPROVED, OrderEventKind.REFUSED}


class JournalProjection:
    """The account's journal from a place on, as a monitor needs it.

    Parameters
    ----------
    opening : mapping of str to (float, float)
        Shares and marks at the start, by permanent symbol.
    after : int
        The place of the journal at the start; earlier rows are in `opening`.

    Notes
    -----
    Instants are kept of the newest thousand orders, slippage of the newest thousand decided orders of the newest
    session that filled, and of all of them in total; profit and loss of each symbol and strategy for good.
    """

    def __init__(self, opening: Mapping[str, tuple[float, float]], *, after: int) -> None:
        self.profit = ProfitAndLossBook(opening)
        self.sequence = after
        self.rejects_in_a_row = 0
        self._instants: OrderedDict[str, OrderInstants] = OrderedDict()
        self._slippage: OrderedDict[tuple[str, str], SlippageSums] = OrderedDict()
        self._slippage_before = SlippageSums()
        self._slippage_session: date | None = None

    def take(self, rows: Iterable[JournalRow], marks_usd: Mapping[str, float]) -> None:
        """Take the rows that follow, by ascending sequence.

        Parameters
        ----------
        rows : iterable of JournalRow
            Those that were taken already change nothing.
        marks_usd : mapping of str to float
            Values positions that are taken over.
        """
        for row in rows:
            if row.sequence > self.sequence:
                self._take(row, marks_usd)
                self.sequence = row.sequence

    def instants(self, client_order_id: str) -> OrderInstants | None:
        """Return the instants of one of the newest orders; None of any other."""
        return self._instants.get(client_order_id)

    def latencies(self) -> tuple[StageLatency, ...]:
        """Return the latency of each stage over the newest orders."""
        return stage_latencies(self._instants.values())

    def slippage(self) -> tuple[Slippage, tuple[Slippage, ...]]:
        """Return the slippage of the newest session that filled: in total, and by decided order."""
        parts = tuple(sums.read(*key) for key, sums in sorted(self._slippage.items()))
        return total_slippage((self._slippage_before, *self._slippage.values())), parts

    def _take(self, row: JournalRow, marks_usd: Mapping[str, float]) -> None:
        if row.kind == AccountEventKind.POSITIONS_ADOPTED:
            shares = {str(symbol): float(held) for symbol, held in row.payload["shares"].items()}
            self.profit.take_over(shares, marks_usd)
        elif row.kind == AccountEventKind.SPLIT_BOOKED:
            self.profit.split(row.payload["symbol"], row.payload["ratio"])
        elif row.kind == AccountEventKind.SHARES_EXCHANGED:
            self.profit.exchange(
                row.payload["symbol"], row.payload["acquirer"], row.payload["received_shares"], marks_usd
            )
        elif row.client_order_id is None or row.kind in ASIDES:
            return
        elif row.kind in INTENTS:
            self._instants[row.client_order_id] = OrderInstants(instant_from_text(row.at_utc))
            while len(self._instants) > _KEPT_ORDERS:
                self._instants.popitem(last=False)
        elif row.kind in _KINDS:
            self._hear(order_event(row), str(row.decision_id))

    def _hear(self, event: OrderEvent, decision_id: str) -> None:
        known = self._instants.get(event.client_order_id)
        if known is not None:
            if event.kind is OrderEventKind.SUBMITTED:
                known.submitted_at_utc = known.submitted_at_utc or event.at_utc
            if event.kind in _ANSWERS:
                known.acknowledged_at_utc = known.acknowledged_at_utc or event.at_utc
            if event.kind in _EXECUTED:
                known.filled_at_utc = known.filled_at_utc or event.at_utc
        if event.kind is OrderEventKind.REJECTED:
            self.rejects_in_a_row += 1
        elif event.kind in _GOOD_ENDS:  # to be accepted is none: a venue may accept and reject afterwards
            self.rejects_in_a_row = 0
        if event.fill is not None:
            fill = event.fill
            self.profit.fill(fill, strategy_of(decision_id))
            if self._slippage_session is None or fill.session > self._slippage_session:
                self._slippage.clear()
                self._slippage_before = SlippageSums()
                self._slippage_session = fill.session
            if fill.session == self._slippage_session:
                self._add_slippage(fill, decision_id)

    def _add_slippage(self, fill: Fill, decision_id: str) -> None:
        self._slippage.setdefault((decision_id, fill.symbol), SlippageSums()).add(fill)
        if len(self._slippage) > _KEPT_ORDERS:
            self._slippage_before.merge(self._slippage.popitem(last=False)[1])
