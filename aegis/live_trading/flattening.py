"""Closing every position of a stopped account, once, when a person asked for it with the stop.

Belongs here: which order is made when, and what is left. By what such an order may leave while the kill switch is
engaged is :mod:`aegis.live_trading.exit_permits`.

Notes
-----
An order for a symbol is made only when no order of ours in it is open, at the broker or by the journal, and the
journal's shares are the broker's. Where they differ and nothing changes for :data:`SETTLE_SECONDS`, the broker's word
is taken: a broker that tells an execution before the position it led to must not make us sell twice.

The name of an order is made of the request, the symbol and the number of orders that the request has had for it, which
is read from the journal. So whoever restarts, and however often, meets the order that was written down, and the door
sends it at most once. What an order left open is closed by the next number, :data:`MOST_ORDERS` at most.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from aegis.clock import Clock
from aegis.durable_files import replace_json
from aegis.errors import AegisError, ExecutionError
from aegis.execution.account_state import Position
from aegis.execution.brokers.broker import Broker
from aegis.execution.brokers.holdings import Holdings
from aegis.execution.decisions import DecisionEventKind
from aegis.execution.journal import Journal
from aegis.execution.order_ids import client_order_id, decision_id
from aegis.execution.order_states import FILL_TOLERANCE_SHARES, OrderState
from aegis.execution.orders import Order
from aegis.live_trading.broker_account import holdings_of
from aegis.live_trading.execution_config import ExecutionConfig
from aegis.live_trading.exit_door import ExitDoor
from aegis.live_trading.exit_permits import FlattenPermit, flatten_kind, flatten_request
from aegis.live_trading.held_positions import journalled_positions
from aegis.live_trading.session_clock import SessionClock

SETTLE_SECONDS = 10.0
"""How long journal and broker differ before the broker's word is taken: its positions may be behind its executions."""
MOST_ORDERS = 5
"""Orders of one request for one symbol: what these do not close is a person's."""

FlattenState = Literal["closing", "waiting", "flat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenProgress:
    """How far a request is.

    Parameters
    ----------
    request : str
        Its name.
    state : {"closing", "waiting", "flat"}
        An order is at work; something keeps the next one; the broker says that nothing is held.
    left : mapping of str to float
        Signed shares by the broker, by permanent symbol; of one that stands at a broker which no order to close it
        would go to, by ``<symbol> at <broker>``.
    told : str
        What keeps it, for a person; empty where nothing does.
    """

    request: str
    state: FlattenState
    left: Mapping[str, float]
    told: str = ""


def progress_file(switch: Path) -> Path:
    """Return where the progress is kept, beside the kill switch at `switch`."""
    return switch.with_name(f"{switch.stem}.flatten.json")


def flatten_progress(switch: Path) -> FlattenProgress | None:
    """Return how far the last request is, None where there was none.

    Raises
    ------
    ExecutionError
        The file cannot be read.
    """
    path = progress_file(switch)
    if not path.exists():
        return None
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return FlattenProgress(
            request=str(said["request"]),
            state=said["state"],
            left={str(symbol): float(shares) for symbol, shares in said["left"].items()},
            told=str(said["told"]),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ExecutionError(f"{path} cannot be read ({error}); ask the broker what is held") from error


class Flattening:
    """The closing of one account's positions.

    Parameters
    ----------
    door : ExitDoor
        Lets the orders out.
    broker : Broker
        Asked what is held.
    journal : Journal
        Of the account.
    permit : FlattenPermit
        Asked before an order is made, so that one that may not leave now is not used up.
    config : ExecutionConfig
        Of the account.
    sessions : SessionClock
    """

    def __init__(
        self,
        door: ExitDoor,
        broker: Broker,
        journal: Journal,
        *,
        permit: FlattenPermit,
        config: ExecutionConfig,
        sessions: SessionClock,
    ) -> None:
        self._door, self._broker, self._journal, self._permit = door, broker, journal, permit
        self._config, self._sessions = config, sessions
        self._clock: Clock = config.clock
        self._file = progress_file(config.kill_switch)
        self._shown: FlattenProgress | None = None
        self._differs_since: dict[str, tuple[tuple[float, float], datetime]] = {}

    def step(self, request: str) -> str:
        """Do what is due for a request, and return what keeps it; empty where nothing does or nothing is asked.

        Parameters
        ----------
        request : str
            The one that stands in the kill switch; empty for none.
        """
        if not request:
            return ""
        if self._shown is None or self._shown.request != request:
            self._shown = self._kept(request)
        if self._shown is not None and self._shown.state == "flat":
            return ""
        try:
            found = self._advance(request)
        except AegisError as error:
            left = {} if self._shown is None else self._shown.left
            found = FlattenProgress(request=request, state="waiting", left=left, told=str(error))
        if found != self._shown:
            self._shown = found
            try:
                replace_json(
                    self._file,
                    {"request": request, "state": found.state, "left": dict(found.left), "told": found.told},
                )
            except OSError as error:
                return f"{self._file} cannot be written ({error})"
        return found.told

    def _kept(self, request: str) -> FlattenProgress | None:
        try:
            kept = flatten_progress(self._config.kill_switch)
        except ExecutionError:
            return None  # what it said is found out again
        return kept if kept is not None and kept.request == request else None

    def _advance(self, request: str) -> FlattenProgress:
        self._door.take_events()
        found = holdings_of(self._broker)
        positions = {held.symbol: held for held in found.positions if held.quantity_shares}
        left = _left(found)
        at_work = {status.order.symbol for status in self._broker.open_orders()} | self._symbols_at_work()
        if not left and not at_work:
            return FlattenProgress(request=request, state="flat", left={})
        used, ours = self._used(request), journalled_positions(self._journal)
        waits = [each.told for each in found.misplaced]
        for symbol in sorted(positions.keys() - at_work - found.misplaced_symbols):
            held = positions[symbol]
            order = self._order(request, held, number=used[symbol] + 1)
            why = self._why_not(order, held, used[symbol], None if ours is None else ours.get(symbol, 0.0))
            if why:
                waits.append(why)
            else:
                self._door.submit(order)
        return FlattenProgress(
            request=request, state="waiting" if waits else "closing", left=left, told="; ".join(waits)
        )

    def _symbols_at_work(self) -> set[str]:
        """Return the symbols of orders that were sent, or perhaps were, and are not at their end by the journal.

        Notes
        -----
        One that the venue was asked for and tells of no more keeps nothing from being closed: the broker's own list of
        open orders is asked as well, and a person may take days to find out what became of it.
        """
        missing = self._door.missing()
        found = (self._door.status(name) for name in self._door.open_ids() if name not in missing)
        sent = (status for status in found if status is not None and status.state is not OrderState.APPROVED)
        return {status.order.symbol for status in sent if not status.is_final}

    def _why_not(self, order: Order, held: Position, used: int, ours: float | None) -> str:
        """Return why a position is not closed now."""
        if used >= MOST_ORDERS:
            return (
                f"{held.symbol}: {held.quantity_shares:g} shares are left after {used} orders; close them at the broker"
            )
        theirs = held.quantity_shares
        if ours is not None and abs(ours - theirs) > FILL_TOLERANCE_SHARES:
            now = self._clock.now_utc()
            pair, since = self._differs_since.get(held.symbol, ((ours, theirs), now))
            if pair != (ours, theirs):
                since = now
            self._differs_since[held.symbol] = (ours, theirs), since
            if (now - since).total_seconds() < SETTLE_SECONDS:
                return f"{held.symbol}: our books say {ours:g} shares, the broker {theirs:g}; it is asked again"
        verdict = self._permit.review(order)
        return verdict.reason

    def _used(self, request: str) -> Counter[str]:
        """Return how many orders the request has had, by symbol."""
        rows = self._journal.events(kinds=[DecisionEventKind.INTENT_RECORDED])
        return Counter(
            str(row.payload["order"]["symbol"])
            for row in rows
            if row.decision_id is not None and flatten_request(row.decision_id) == request
        )

    def _order(self, request: str, held: Position, *, number: int) -> Order:
        config, session = self._config, self._sessions.execution_session(self._clock.now_utc())
        decided = config.calendar.previous(session)
        kind = flatten_kind(request, held.symbol)
        decision = decision_id(config.account, config.book, session=decided, kind=kind, number=number)
        return Order(
            client_order_id=client_order_id(config.account, decision, symbol=held.symbol),
            decision_id=decision,
            account=config.account,
            session=decided,
            execution_session=session,
            symbol=held.symbol,
            ticker=held.ticker,
            quantity_shares=-held.quantity_shares,
            algorithm="market",
            time_in_force="DAY",
            arrival_price_usd=held.mark_price_usd,
            target_weight=0.0,
            is_reducing=True,
            reason=f"flatten {request}",
            is_fractional=not float(held.quantity_shares).is_integer(),
        )


def _left(found: Holdings) -> dict[str, float]:
    """Return what is held: of a misplaced symbol at each broker, because the parts may cancel out."""
    elsewhere = found.misplaced_symbols
    left = {held.symbol: held.quantity_shares for held in found.positions if held.symbol not in elsewhere}
    for each in found.misplaced:
        left[f"{each.symbol} at {each.broker}"] = each.position.quantity_shares
        if each.home is not None and each.home_shares:
            left[f"{each.symbol} at {each.home}"] = each.home_shares
    return {name: shares for name, shares in sorted(left.items()) if shares}
