"""What happens to the companies of the simulated market: splits, dividends, halts, and the share price through them.

Belongs here: the rules by which events occur, and the latent share price before rounding. Delistings and renames are
scripted in :mod:`~aegis.market_data.sources.simulated_market.instruments` and announced in
:mod:`~aegis.market_data.sources.simulated_market.market`.

Notes
-----
A rule looks at the close of session n and takes effect at n + 10 or later, so every action is announced ahead. Split
ex-sessions keep clear of the days between a dividend's announcement and its ex-session, so that a dividend is always
announced per share of its own ex-session. Halts keep clear of ex-sessions and of the session before one, so that the
previous close of an ex-session is a traded price.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aegis.market_data.sources.simulated_market.instruments import BENCHMARK_START_PRICE_USD, INSTRUMENTS
from aegis.market_data.sources.simulated_market.streams import BLOCK_SESSIONS, Floats, draw_block, draw_uniform

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

SPLIT_ABOVE_USD = 360.0
SPLIT_RATIO = 2.0
REVERSE_SPLIT_BELOW_USD = 6.0
REVERSE_SPLIT_RATIO = 0.125
SPLIT_NOTICE_SESSIONS = 10
QUARTER_SESSIONS = 63
DIVIDEND_NOTICE_SESSIONS = 12
DIVIDEND_PAID_AFTER_SESSIONS = (10, 15)
HALT_PROBABILITY = 1 / 4000

LONGEST_NOTICE_SESSIONS = SPLIT_NOTICE_SESSIONS + DIVIDEND_NOTICE_SESSIONS + 1

_NEVER = 2**62
_CENT = 0.01

_SYMBOLS = tuple(i.symbol for i in INSTRUMENTS)
_COMPANIES = len(INSTRUMENTS)
_FIRST = np.array([*(i.first_session for i in INSTRUMENTS), 0])
_LAST = np.array([*(_NEVER if i.last_session is None else i.last_session for i in INSTRUMENTS), _NEVER])
_YIELD = np.array([i.dividend_yield for i in INSTRUMENTS])
_SCRIPTED = np.array([i.split[0] if i.split else -1 for i in INSTRUMENTS])
_SCRIPTED_NOTICE = _SCRIPTED - SPLIT_NOTICE_SESSIONS
_SCRIPTED_RATIO = np.array([i.split[1] if i.split else 1.0 for i in INSTRUMENTS])
_DIVIDEND_PHASE = (20 + 11 * np.arange(_COMPANIES)) % QUARTER_SESSIONS


@dataclass(frozen=True)
class PlannedAction:
    """A corporate action by session number.

    Parameters
    ----------
    session, announced : int
        Ex-session, and the session at whose close it becomes known.
    symbol, action : str
        Company; ``split``, ``dividend``, ``rename`` or ``delisting``.
    split_ratio, dividend_usd : float
        New shares for one old share; cash per share held before the ex-session.
    pay_session : int, optional
        Session in which a dividend is paid.
    new_ticker : str, optional
        Ticker from `session` on.
    """

    session: int
    announced: int
    symbol: str
    action: str
    split_ratio: float = 1.0
    dividend_usd: float = 0.0
    pay_session: int | None = None
    new_ticker: str | None = None


@dataclass(frozen=True)
class EventState:
    """Share prices and announced events after a session; company arrays, prices with the benchmark last."""

    price: Floats
    split_session: Integers
    split_ratio: Floats
    dividend_session: Integers
    dividend_usd: Floats


@dataclass(frozen=True)
class EventsBlock:
    """Latent share prices of one block, shape (BLOCK_SESSIONS, companies + 1), benchmark last.

    Parameters
    ----------
    reference, close : ndarray of float64
        Previous close in shares of this session and without its dividend; close. USD, unrounded.
    listed, halted : ndarray of bool
        Whether it has a bar; whether it trades at all in that bar.
    actions : tuple of PlannedAction
        Splits and dividends announced in this block, in order of announcement.
    """

    reference: Floats
    close: Floats
    listed: Flags
    halted: Flags
    actions: tuple[PlannedAction, ...]


def initial_event_state() -> EventState:
    """Return the state before session 0: starting prices and nothing announced."""
    return EventState(
        price=np.array([*(i.start_price_usd for i in INSTRUMENTS), BENCHMARK_START_PRICE_USD]),
        split_session=np.full(_COMPANIES, -1),
        split_ratio=np.ones(_COMPANIES),
        dividend_session=np.full(_COMPANIES, -1),
        dividend_usd=np.zeros(_COMPANIES),
    )


def events_of_block(seed: int, block: int, returns: Floats, *, state: EventState) -> tuple[EventsBlock, EventState]:
    """Carry share prices and events through one block.

    Parameters
    ----------
    seed, block : int
        Stream keys.
    returns : ndarray of float64, shape (BLOCK_SESSIONS, companies + 1)
        Simple total returns.
    state : EventState
        State after the block before.
    """
    halts = draw_block(seed, block, owners=_SYMBOLS, purpose="halt", draw=draw_uniform) < HALT_PROBABILITY
    payments = draw_block(seed, block, owners=_SYMBOLS, purpose="pay session", draw=draw_uniform)
    numbers = block * BLOCK_SESSIONS + np.arange(BLOCK_SESSIONS)
    listed = (numbers[:, None] >= _FIRST) & (numbers[:, None] <= _LAST)
    halted = np.zeros_like(listed)
    reference, close = np.empty_like(returns), np.empty_like(returns)
    actions: list[PlannedAction] = []
    for t, number in enumerate(numbers.tolist()):
        if halts[t].any():
            halted[t, :-1] = halts[t] & _may_halt(state, number)
        reference[t] = _ex_price(state, number)
        close[t] = np.where(listed[t], reference[t] * (1 + returns[t]), reference[t])
        state = replace(state, price=close[t])
        state, splits = _announce_splits(state, number)
        state, dividends = _announce_dividends(state, number, payments[t])
        actions += splits + dividends
    return EventsBlock(reference, close, listed, halted, tuple(actions)), state


def _ex_price(state: EventState, number: int) -> Floats:
    price = state.price.copy()
    splitting = np.flatnonzero(state.split_session == number)
    price[splitting] /= state.split_ratio[splitting]
    paying = np.flatnonzero(state.dividend_session == number)
    price[paying] -= state.dividend_usd[paying]
    return price


def _may_halt(state: EventState, number: int) -> Flags:
    near_ex = np.zeros(_COMPANIES, dtype=bool)
    for session in (number, number + 1):
        near_ex |= (state.split_session == session) | (state.dividend_session == session)
    return np.asarray((number > _FIRST[:-1]) & (number < _LAST[:-1]) & ~near_ex)


def _announce_splits(state: EventState, number: int) -> tuple[EventState, list[PlannedAction]]:
    price = state.price[:-1]
    scripted = np.equal(_SCRIPTED_NOTICE, number)
    out_of_range = (price > SPLIT_ABOVE_USD) | (price < REVERSE_SPLIT_BELOW_USD)
    if not (scripted.any() or out_of_range.any()):
        return state, []
    free = (number >= _FIRST[:-1]) & (number + 2 * LONGEST_NOTICE_SESSIONS < _LAST[:-1])
    free &= (state.split_session <= number) & (number >= _SCRIPTED)
    split_session, split_ratio = state.split_session.copy(), state.split_ratio.copy()
    actions = []
    for i in np.flatnonzero(scripted | (out_of_range & free)):
        if scripted[i]:
            session, ratio = int(_SCRIPTED[i]), float(_SCRIPTED_RATIO[i])
        else:
            session = _clear_of_dividends(int(i), number + SPLIT_NOTICE_SESSIONS)
            ratio = SPLIT_RATIO if price[i] > SPLIT_ABOVE_USD else REVERSE_SPLIT_RATIO
        split_session[i], split_ratio[i] = session, ratio
        actions.append(PlannedAction(session, number, _SYMBOLS[i], "split", split_ratio=ratio))
    return replace(state, split_session=split_session, split_ratio=split_ratio), actions


def _clear_of_dividends(company: int, earliest: int) -> int:
    if _YIELD[company] == 0:
        return earliest
    since_ex = (earliest - int(_DIVIDEND_PHASE[company])) % QUARTER_SESSIONS
    if 0 < since_ex <= QUARTER_SESSIONS - DIVIDEND_NOTICE_SESSIONS:
        return earliest
    return earliest + (QUARTER_SESSIONS - since_ex) % QUARTER_SESSIONS + 1


def _announce_dividends(state: EventState, number: int, payments: Floats) -> tuple[EventState, list[PlannedAction]]:
    session = number + DIVIDEND_NOTICE_SESSIONS
    due = (_YIELD > 0) & ((session - _DIVIDEND_PHASE) % QUARTER_SESSIONS == 0)
    due &= (number >= _FIRST[:-1]) & (session <= _LAST[:-1])
    if not due.any():
        return state, []
    dividend_session, dividend_usd = state.dividend_session.copy(), state.dividend_usd.copy()
    earliest, latest = DIVIDEND_PAID_AFTER_SESSIONS
    actions = []
    for i in np.flatnonzero(due):
        cash = max(round(float(state.price[i] * _YIELD[i]) * QUARTER_SESSIONS / 252, 2), _CENT)
        paid = session + earliest + int(payments[i] * (latest - earliest + 1))
        dividend_session[i], dividend_usd[i] = session, cash
        actions.append(PlannedAction(session, number, _SYMBOLS[i], "dividend", dividend_usd=cash, pay_session=paid))
    return replace(state, dividend_session=dividend_session, dividend_usd=dividend_usd), actions
