"""Columns of a fused sweep: signal, simulation and running numbers in one compiled pass over the bars.

Belongs here: the loop, and which steps need the kernel. A step on which no order is open and no night books anything
can only move the value of what is held; everything else is the kernel's own step, on the kernel's own records
(:mod:`aegis.backtesting.kernel.stepping`), so that there is no second set of rules. Nothing of a column stays but its
row of sums.
"""

from __future__ import annotations

import numpy as np

from aegis.backtesting.bars import Bars
from aegis.backtesting.commissions import Tiered
from aegis.backtesting.compilation import compiled
from aegis.backtesting.kernel.codes import Fault, TimeInForce
from aegis.backtesting.kernel.lot_sizes import QUANTITY_TOLERANCE
from aegis.backtesting.kernel.memory import (
    account_of,
    cursor_of,
    fill_record,
    header_of,
    load_i8,
    position_of,
    rules_of,
    session_record,
    store_f8,
    store_i8,
)
from aegis.backtesting.kernel.simulation import Simulation
from aegis.backtesting.kernel.sizing import fail, order_target_quantity, order_target_weight
from aegis.backtesting.kernel.stepping import trade_step
from aegis.backtesting.sweep_signals import Floats, SweepSignal, floats_at, padded, signal, specialised
from aegis.backtesting.sweep_sums import N_SUMS as _N_SUMS
from aegis.backtesting.sweep_sums import add_fill, add_session, begin_equity, store_account, store_equity

_DAY, _WEIGHT = int(TimeInForce.DAY), int(Fault.WEIGHT)


_EVERY_STEP, _EVERY_NIGHT, _WEIGHTS = 1, 2, 4


class Columns:
    """One account at the venue, used for column after column of one symbol.

    Parameters
    ----------
    simulation : Simulation
        Of one symbol, fed with `bars` and not advanced.
    bars : Bars
        Of one symbol, none missing.
    signal : SweepSignal
        What decides.
    """

    def __init__(self, simulation: Simulation, bars: Bars, signal: SweepSignal) -> None:
        self._simulation, self._signal = simulation, signal
        self._history = padded(bars.close, np.nan)
        self._n_sessions = len(bars.sessions) - 1
        self._beginning = np.concatenate(simulation.beginning)
        self._words = np.array([len(words) for words in simulation.beginning])
        costs, rules = simulation.costs, simulation.rules
        rates = costs.financing.credit_rate_per_year, costs.financing.debit_rate_per_year
        by_night = any(rates) or rules.settlement_sessions > 0
        by_night = by_night or costs.regulatory_fees or isinstance(costs.commission, Tiered)
        self._flags = _EVERY_NIGHT * by_night + _EVERY_STEP * (rules.account_type == "margin")
        self._flags += _WEIGHTS * (signal.targets == "weights")

    def simulate(self, parameters: Floats, sums: Floats) -> int:
        """Simulate a column for each row of parameters.

        Parameters
        ----------
        parameters : ndarray of float64, shape (n, parameters)
            C-contiguous.
        sums : ndarray of float64, shape (n, N_SUMS)
            Is filled, a row for each column.

        Returns
        -------
        int
            How many columns came to their end: all, or those before the one whose signal asked for what cannot be.

        Notes
        -----
        Gives up Python's lock; an object serves one thread at a time.
        """
        state = np.zeros(self._signal.state_size)
        loop = specialised(_simulate_columns, self._signal.function, self._signal.compiled_function)
        return int(
            loop(
                self._simulation.handle,
                self._history.ctypes.data + self._history.nbytes // 3,
                self._n_sessions,
                parameters.ctypes.data,
                parameters.shape[1],
                state.ctypes.data,
                len(state),
                self._beginning.ctypes.data,
                self._words.ctypes.data,
                sums.ctypes.data,
                len(sums),
                self._flags,
            )
        )


def _simulate_columns(
    handle: int,
    close: int,
    n_sessions: int,
    parameters: int,
    n_parameters: int,
    state: int,
    n_state: int,
    beginning: int,
    words: int,
    sums: int,
    n: int,
    flags: int,
) -> int:
    """Simulate the columns one after the other; return how many came to their end. What is not a size is an address."""
    sessions = header_of(handle).sessions
    closes, kept = floats_at(close), floats_at(state)
    every_step = flags & _EVERY_STEP != 0
    every_night = flags & _EVERY_NIGHT != 0
    for c in range(n):
        row = floats_at(parameters + 8 * c * n_parameters)
        tally = sums + 8 * c * _N_SUMS
        begin(handle, beginning, words, tally)
        for s in range(n_state):
            store_f8(state, s, 0.0)
        equity = cash = account_of(handle).cash
        running = begin_equity(cash)
        shares = 0.0
        invested = 0
        needs_kernel = False
        for k in range(n_sessions):
            needs_kernel = needs_kernel or every_night
            for i in range(session_record(sessions, k).first_step, session_record(sessions, k + 1).first_step):
                if needs_kernel or every_step:
                    needs_kernel = take_step(handle, k, i, tally)
                    cash = account_of(handle).cash
                    equity = account_of(handle).equity_now
                    shares = position_of(handle, 0).quantity
                else:
                    equity = cash + shares * closes[i]
                target = signal(closes, i, kept, row)
                if not np.isnan(target):
                    needs_kernel = decide(handle, k, i, target, closes[i], equity, flags & _WEIGHTS)
                    if cursor_of(handle).error != 0:
                        return c
            if abs(shares) > QUANTITY_TOLERANCE:
                invested += 1
            running = add_session(equity, running)
        store_equity(tally, running, invested)
        store_account(tally, account_of(handle))
    return n


@compiled
def begin(handle: int, beginning: int, words: int, sums: int) -> None:
    """Put account, cursor, position and symbol back to how they were before the first bar, and the sums to zero."""
    header = header_of(handle)
    _copy(beginning, header.account, load_i8(words, 0))
    beginning += 8 * load_i8(words, 0)
    _copy(beginning, header.cursor, load_i8(words, 1))
    beginning += 8 * load_i8(words, 1)
    _copy(beginning, header.positions, load_i8(words, 2))
    beginning += 8 * load_i8(words, 2)
    _copy(beginning, header.symbols, load_i8(words, 3))
    for k in range(_N_SUMS):
        store_f8(sums, k, 0.0)


@compiled
def _copy(source: int, target: int, words: int) -> None:
    for word in range(words):
        store_i8(target, word, load_i8(source, word))


@compiled
def stand_at(handle: int, session: int, step: int) -> None:
    """Put the cursor where the kernel has it at the close of a step, whatever steps it did not take itself."""
    header, cursor = header_of(handle), cursor_of(handle)
    if cursor.session != session:
        record = session_record(header.sessions, session)
        cursor.session = session
        cursor.chunk_session = session + 1
        cursor.day = record.day
        cursor.next_session_step = session_record(header.sessions, session + 1).first_step
        cursor.step = record.first_step
    cursor.step = step
    cursor.now = load_i8(header.closes_at, step)


@compiled
def take_step(handle: int, session: int, step: int, sums: int) -> bool:
    """Let the kernel take a step and count what it filled; say whether the next one must be its, too."""
    header, cursor = header_of(handle), cursor_of(handle)
    if step > 0:
        opens = step == session_record(header.sessions, session).first_step
        stand_at(handle, session - 1 if opens else session, step - 1)
    cursor.step = step
    trade_step(handle)
    for k in range(cursor.fills):
        fill = fill_record(header.fills, k)
        add_fill(sums, fill.quantity, fill.price)
    # What has been counted, and orders that have ended, make room: memory stays what one session needs.
    cursor.fills = 0
    if cursor.working == 0:
        cursor.orders = 0
        cursor.amendments = 0
    is_working: bool = cursor.working > 0
    return is_working


@compiled
def decide(handle: int, session: int, step: int, target: float, close: float, equity: float, is_weight: int) -> bool:
    """Order what is missing to a target, at the close of a step; say whether the next step must be the kernel's."""
    stand_at(handle, session, step)
    if not np.isfinite(target):
        fail(handle, _WEIGHT, 0, target)
        return False
    position_of(handle, 0).mark = close
    account_of(handle).equity_now = equity
    kind = rules_of(handle).target_order_type
    if is_weight != 0:
        order_target_weight(handle, 0, target, kind, _DAY)
    else:
        order_target_quantity(handle, 0, target, kind, _DAY)
    is_working: bool = cursor_of(handle).working > 0
    return is_working
