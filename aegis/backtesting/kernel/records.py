"""The kernel's records: what each packed array holds, with units.

Belongs here: numpy dtypes and nothing else. Everything that must survive from one chunk of bars to the next is in
`ACCOUNT`, `CURSOR`, `POSITION`, `SYMBOL`, `ORDER` and `RECEIVABLE`; bars and outputs are plain columns whose addresses
stand in `HEADER`. Times are nanoseconds since 1970 in UTC, days are whole days since 1970, amounts are USD, quantities
are shares, signed: bought positive, sold negative. :mod:`aegis.backtesting.kernel.codes` explains the integer codes.
"""

from __future__ import annotations

from typing import Final

import numpy as np

NO_ORDER: Final = -1
"""An order index that points nowhere."""

NO_SYMBOL: Final = -1
"""A symbol number that stands for none."""

NEVER: Final = np.iinfo(np.int64).max
"""A time that does not come."""

SETTLEMENT_RING: Final = 8
"""Sessions that unsettled sales can lie ahead; settlement may take at most one less."""

ORDER: Final = np.dtype(
    [
        ("quantity", "f8"),
        ("filled", "f8"),
        ("limit", "f8"),
        ("stop", "f8"),
        ("trail", "f8"),
        ("watermark", "f8"),
        ("commission", "f8"),
        ("activity_fee", "f8"),
        ("split_away", "f8"),
        ("active_from", "i8"),
        ("expires", "i8"),
        ("submitted_step", "i4"),
        ("triggered_step", "i4"),
        ("closed_step", "i4"),
        ("session", "i4"),
        ("symbol", "i4"),
        ("next", "i4"),
        ("previous", "i4"),
        ("parent", "i4"),
        ("sibling", "i4"),
        ("child", "i4"),
        ("amendment", "i4"),
        ("fills", "i4"),
        ("type", "i1"),
        ("time_in_force", "i1"),
        ("state", "i1"),
        ("reason", "i1"),
        ("trail_is_fraction", "i1"),
        ("in_book", "i1"),
        ("is_exit", "i1"),
    ],
    align=True,
)
"""One order, 136 bytes. Prices are NaN where the type has none.

`commission`, `activity_fee`: charged so far, for cumulative minima and caps. `split_away`: what was filled before
splits less what it is in `filled`, which is in today's shares: the sum of both is what was traded. `trail`: USD, or a
fraction of the `watermark`, the best price since the order began. `session`: the ordinal of the session a DAY, OPG or
CLS order is for. `next`, `previous`: neighbours in its symbol's book, in time priority. `parent`: the entry that
releases it. `sibling`: the next of a ring in which one cancels the others; those that have ended stay in it. `child`:
the first of its children; they follow each other. `amendment`: its latest, -1 for none. `is_exit`: a child that closes
what its parent opened, and never more than the position.
"""

FILL: Final = np.dtype(
    [
        ("quantity", "f8"),
        ("price", "f8"),
        ("reference", "f8"),
        ("commission", "f8"),
        ("fees", "f8"),
        ("order", "i4"),
        ("symbol", "i4"),
        ("step", "i4"),
        ("session", "i4"),
        ("number", "i4"),
        ("at", "i1"),
    ],
    align=True,
)
"""One execution, 64 bytes. `reference`: the price without slippage and impact. `fees`: regulatory, sales only.
`number`: 1 for the order's first. `at`: the :class:`~aegis.backtesting.kernel.codes.Pass` that executed it.
"""

AMENDMENT: Final = np.dtype(
    [("quantity", "f8"), ("limit", "f8"), ("stop", "f8"), ("order", "i4"), ("step", "i4"), ("kind", "i1")], align=True
)
"""A change of an order's terms: the terms after it."""

POSITION: Final = np.dtype([("quantity", "f8"), ("mark", "f8"), ("average_cost", "f8"), ("realised", "f8")])
"""Shares of one symbol. `mark`: last close, NaN before the first bar. `realised`: profit of closed quantity at average
cost, before costs, since the beginning."""

SYMBOL: Final = np.dtype(
    [
        ("up_trigger", "f8"),
        ("down_trigger", "f8"),
        ("volume_taken", "f8"),
        ("tick", "f8"),
        ("lot", "f8"),
        ("borrow_rate", "f8"),
        ("first_order", "i4"),
        ("last_order", "i4"),
        ("always_from", "i4"),
        ("asked_in", "i4"),
        ("status", "i1"),
    ],
    align=True,
)
"""A symbol's terms and its book of open orders. Between the two triggers no resting order can execute. `always_from`:
1 + an order of the book before which none needs every bar, 0 where none does. `asked_in`: 1 + the last session in which
a bar met open orders. `tick`: 0 for none. `lot`: smallest step of a quantity. `borrow_rate`: a year, NaN for the
account's. `status`: 0 where it simply trades, otherwise the flags below together."""

IS_HALTED: Final = 1
"""Nothing executes and no order is taken until the symbol resumes."""

IS_LEAVING: Final = 2
"""This session is its last; a halt may fall on the same day."""

IS_DELISTED: Final = 4
"""It has left for good: nothing brings it back."""

FEE_RATE: Final = np.dtype(
    [("section31", "f8"), ("activity_fee", "f8"), ("activity_fee_cap", "f8"), ("day", "i4")], align=True
)
"""Regulatory fees from `day` on: a fraction of the proceeds of sales, USD per share sold, USD per order at most."""

ACTION: Final = np.dtype(
    [
        ("ratio", "f8"),
        ("amount", "f8"),
        ("day", "i4"),
        ("pay_day", "i4"),
        ("symbol", "i4"),
        ("kind", "i1"),
        ("acquirer", "i4"),
    ],
    align=True,
)
"""A corporate action, in the order of `day`, its ex-date. `ratio`: new shares for one old, of the acquirer in a merger.
`amount`: USD per share of before. `pay_day`: when a dividend is cash; the ex-date if not known. `acquirer`: symbol
whose shares a merger pays, `NO_SYMBOL` where it is not known; read of a merger for shares only."""

SESSION: Final = np.dtype([("first_step", "i8"), ("day", "i4")], align=True)
"""A session begins with its first step and ends before the next one's; the last row ends the chunk."""

RECEIVABLE: Final = np.dtype([("amount", "f8"), ("pay_day", "i4"), ("symbol", "i4")], align=True)
"""Dividend cash past its ex-date and not yet paid; negative when a short position owes it."""

ACCOUNT: Final = np.dtype(
    [
        ("cash", "f8"),
        ("receivable", "f8"),
        ("unsettled", "f8", (SETTLEMENT_RING,)),
        ("unsettled_total", "f8"),
        ("long_value", "f8"),
        ("short_value", "f8"),
        ("equity_now", "f8"),
        ("interest", "f8"),
        ("borrow_fees", "f8"),
        ("dividends", "f8"),
        ("commissions", "f8"),
        ("fees", "f8"),
        ("slippage", "f8"),
        ("month_shares", "f8"),
        ("month", "i8"),
    ],
    align=True,
)
"""Cash and what it went through since the beginning. `receivable`: dividends not yet paid. `short_value`: negative.
`interest`: credited less debited. `month_shares`: traded this calendar month, for tiered commissions."""

CURSOR: Final = np.dtype(
    [
        ("step", "i8"),
        ("session", "i8"),
        ("chunk_session", "i8"),
        ("next_session_step", "i8"),
        ("action", "i8"),
        ("target", "i8"),
        ("orders", "i8"),
        ("counted_step", "i8"),
        ("orders_before", "i8"),
        ("fills", "i8"),
        ("amendments", "i8"),
        ("receivables", "i8"),
        ("working", "i8"),
        ("held", "i8"),
        ("leaving", "i8"),
        ("fee_rate", "i8"),
        ("day", "i8"),
        ("steps_before", "i8"),
        ("notice", "i8"),
        ("error", "i8"),
        ("error_symbol", "i8"),
        ("error_value", "f8"),
        ("now", "i8"),
    ],
    align=True,
)
"""How far the simulation has come. `step` counts within the chunk, `steps_before` the steps of earlier chunks; records
hold the sum. `orders_before`: orders before the strategy's first at the close of `counted_step`. `working`: open orders
at the venue; `held`: those that wait for their parents. `notice`: set when an order changed, for callbacks."""

RULES: Final = np.dtype(
    [
        ("participation_rate", "f8"),
        ("max_leverage", "f8"),
        ("initial_margin", "f8"),
        ("maintenance_margin", "f8"),
        ("min_notional", "f8"),
        ("settlement_sessions", "i4"),
        ("margin_account", "i1"),
        ("allow_short", "i1"),
        ("fractional", "i1"),
        ("limit_needs_trade_through", "i1"),
        ("children_act_in_entry_bar", "i1"),
        ("reject_unaffordable", "i1"),
        ("target_order_type", "i1"),
    ],
    align=True,
)
"""The venue's and the account's rules; see :class:`aegis.backtesting.rules.TradingRules`."""

HEADER: Final = np.dtype(
    [
        # Bars: one row for each bar, in the order of time, then symbol.
        ("open", "i8"),
        ("high", "i8"),
        ("low", "i8"),
        ("close", "i8"),
        ("volume", "i8"),
        ("sigma", "i8"),
        ("adv", "i8"),
        ("row_symbol", "i8"),
        ("first_row", "i8"),
        ("row_opens_at", "i8"),
        # Steps: one for each instant at which bars close.
        ("opens_at", "i8"),
        ("closes_at", "i8"),
        ("sessions", "i8"),
        ("actions", "i8"),
        ("fee_rates", "i8"),
        ("target_steps", "i8"),
        ("targets", "i8"),
        # State.
        ("account", "i8"),
        ("cursor", "i8"),
        ("rules", "i8"),
        ("costs", "i8"),
        ("positions", "i8"),
        ("symbols", "i8"),
        ("orders", "i8"),
        ("fills", "i8"),
        ("amendments", "i8"),
        ("receivables", "i8"),
        ("candidates", "i8"),
        # Outputs, one value for each step.
        ("equity", "i8"),
        ("cash", "i8"),
        # The strategy's own.
        ("parameters", "i8"),
        ("memory", "i8"),
        ("indicators", "i8"),
        # Sizes.
        ("n_symbols", "i8"),
        ("n_steps", "i8"),
        ("n_rows", "i8"),
        ("n_sessions", "i8"),
        ("n_actions", "i8"),
        ("n_fee_rates", "i8"),
        ("n_targets", "i8"),
        ("n_parameters", "i8"),
        ("n_memory", "i8"),
        ("n_indicators", "i8"),
        ("orders_capacity", "i8"),
        ("fills_capacity", "i8"),
        ("amendments_capacity", "i8"),
        ("receivables_capacity", "i8"),
        ("orders_per_step", "i8"),
        ("bar_interval", "i8"),
        ("targets_are_weights", "i8"),
    ],
    align=True,
)
"""Addresses of everything else, 0 where there is none, and sizes. Without `row_symbol` every step has one bar of each
symbol, in order; without `opens_at` a bar opens `bar_interval` before it closes; a missing bar has a NaN close."""

CANDIDATE: Final = np.dtype([("price", "f8"), ("row", "i8"), ("order", "i4"), ("at", "i1")], align=True)
"""An order that the current bar (its row) would execute, at which price without costs, and in which pass."""
