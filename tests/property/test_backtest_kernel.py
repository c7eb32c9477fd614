"""Invariants of the matching kernel over random markets, corporate actions, rules and orders."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from aegis.backtesting.array_strategies import TargetShares, TargetWeights
from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.event_driven import AnyStrategy, EventDrivenBacktest
from aegis.backtesting.kernel.codes import ActionKind, OrderType, Pass, Reason, State, TimeInForce
from aegis.backtesting.kernel.vocabulary import STATES
from aegis.backtesting.results import BacktestResults
from aegis.errors import StrategyFailed
from aegis.execution.order_states import TRANSITIONS, OrderState
from aegis.execution.orders import OrderEventKind
from tests.property.random_backtests import (
    CANCEL,
    CHILD,
    MINUTE,
    PAIR,
    PLACE,
    REPLACE,
    SIBLING,
    WIDTH,
    RandomBacktest,
    random_backtest,
    sparse,
)
from tests.property.script_players import Failing, Player, TargetPlayer, digits_of_closes, jitted, jitted_targets

SAMPLE, LONG = 100, 10_000
FAILS = 4
seeds = st.integers(0, 2**32 - 1)
sample = settings(max_examples=SAMPLE, deadline=None, derandomize=True)
long_run = settings(max_examples=LONG, deadline=None, derandomize=True)


def run(trial: RandomBacktest, *, config: BacktestConfig | None = None) -> BacktestResults:
    return EventDrivenBacktest(Player(trial.script), trial.bars, config or trial.config).run()


def assert_same_records(found: BacktestResults, expected: BacktestResults) -> None:
    for name in ("order_records", "fill_records", "amendment_records", "position_records", "account_record"):
        one, other = getattr(found, name), getattr(expected, name)
        assert len(one) == len(other), name
        for field in one.dtype.names:
            np.testing.assert_array_equal(one[field], other[field], err_msg=f"{name}.{field}")
    np.testing.assert_array_equal(found.equity_usd, expected.equity_usd)
    np.testing.assert_array_equal(found.cash_usd, expected.cash_usd)


def check_forms_agree(seed: int) -> None:
    trial = random_backtest(seed)
    python = run(trial)
    compiled = EventDrivenBacktest(jitted(trial.script), trial.bars, trial.config).run()
    assert_same_records(compiled, python)


def check_arrays_agree(seed: int) -> None:
    """Targets as an array, ordered in Python and ordered by a jitted strategy are the same decisions."""
    trial = random_backtest(seed)
    rng = np.random.default_rng(seed)
    shape = (trial.bars.n_steps, len(trial.bars.symbols))
    are_weights = bool(rng.random() < 0.5)
    wanted = rng.uniform(-0.5, 1.0, shape) if are_weights else rng.integers(-50, 200, shape).astype(np.float64)
    targets = np.where(rng.random(shape) < 0.3, wanted, np.nan)
    array = TargetWeights(weights=targets) if are_weights else TargetShares(shares=targets)
    player = TargetPlayer(targets, are_weights=are_weights)
    machine = jitted_targets.using(float(are_weights), *targets.reshape(-1).tolist())
    found = [EventDrivenBacktest(form, trial.bars, trial.config).run() for form in (array, player, machine)]
    assert_same_records(found[1], found[0])
    assert_same_records(found[2], found[0])


def check_reruns(seed: int) -> None:
    """A backtest that has run other strategies before does what a new one does."""
    trial = random_backtest(seed)
    rng = np.random.default_rng(seed)
    shape = (trial.bars.n_steps, len(trial.bars.symbols))
    shares = np.where(rng.random(shape) < 0.3, rng.integers(-50, 200, shape), np.nan)

    def new(form: int) -> AnyStrategy:
        forms = (Player(trial.script), jitted(trial.script), TargetShares(shares=shares), digits_of_closes)
        return forms[form] if form < len(forms) else Failing(trial.script, at=int(rng.integers(trial.bars.n_steps)))

    used = EventDrivenBacktest(new(int(rng.integers(4))), trial.bars, trial.config)
    used.run()
    for form in rng.permutation(5).tolist():
        if form == FAILS:
            with pytest.raises(StrategyFailed, match="on purpose"):
                used.rerun(new(form))
            continue
        used.rerun(new(form))
        assert_same_records(used.results(), EventDrivenBacktest(new(form), trial.bars, trial.config).run())


def check_quiet_books(seed: int) -> None:
    """Orders that a bar is not near are not asked; that nobody is missed shows if all of them are, at every bar.

    A good-till-date order must be asked at every bar, and with it all orders that came later. Its price is so low that
    neither the market nor the account notices it.
    """
    trial = random_backtest(seed)
    config = dataclasses.replace(trial.config, rules=dataclasses.replace(trial.config.rules, min_notional_usd=0.0))
    n = len(trial.bars.symbols)
    never = np.full(WIDTH, np.nan)
    never[[0, 1, 3, 4, 5, 8, 9]] = 0, PLACE, OrderType.LIMIT, 1_000.0, 1e-9, TimeInForce.GTD, 0
    never[10] = trial.bars.closes_at[-1] + MINUTE
    first = np.tile(never, (n, 1))
    first[:, 2] = np.arange(n)
    later = trial.script.copy()
    later[:, 2] += n * np.isin(later[:, 1], [CANCEL, PAIR, REPLACE])
    later[:, 9] += n * np.isin(later[:, 1], [CHILD, SIBLING])

    def played(script: NDArray[np.float64]) -> BacktestResults:
        return EventDrivenBacktest(jitted(script), trial.bars, config).run()

    quiet, asked = played(trial.script), played(np.vstack([first, later]))
    guards = asked.order_records[:n]
    assert (guards["fills"] == 0).all()
    assert not (guards["state"] == State.REJECTED).any()
    np.testing.assert_array_equal(asked.equity_usd, quiet.equity_usd)
    for name in ("quantity", "filled", "limit", "stop", "state", "reason", "triggered_step", "closed_step", "fills"):
        np.testing.assert_array_equal(asked.order_records[name][n:], quiet.order_records[name], err_msg=name)
    for name in ("quantity", "price", "commission", "step", "at"):
        np.testing.assert_array_equal(asked.fill_records[name], quiet.fill_records[name], err_msg=name)


def check_layouts_agree(seed: int) -> None:
    """A bar that is left out and a bar that is missing are the same."""
    trial = random_backtest(seed)
    found = EventDrivenBacktest(Player(trial.script), sparse(trial.bars), trial.config).run()
    assert_same_records(found, run(trial))


def check_notices(seed: int) -> None:
    """A strategy hears of every fill at its bar, in order, and of every end: at its bar, or at the next if it asked."""
    trial = random_backtest(seed)
    player = Player(trial.script)
    results = EventDrivenBacktest(player, trial.bars, trial.config).run()
    fills, orders = results.fill_records, results.order_records
    heard = [(order, step) for kind, order, step in player.heard if kind == "fill"]
    assert heard == list(zip(fills["order"].tolist(), fills["step"].tolist(), strict=True))
    ends = {str(STATES[state]) for state in State if state >= State.FILLED}
    told: dict[int, list[tuple[str, int]]] = {}
    for kind, order, step in player.heard:
        if kind in ends:
            told.setdefault(order, []).append((kind, step))
    ended = np.flatnonzero(orders["closed_step"] >= 0)
    assert sorted(told) == ended.tolist()
    for order in ended.tolist():
        ((word, step),) = told[order]
        assert word == str(STATES[State(int(orders["state"][order]))])
        assert step - orders["closed_step"][order] in (0, 1)


def check_chunks_agree(seed: int) -> None:
    trial = random_backtest(seed)
    config = dataclasses.replace(trial.config, sessions_per_chunk=1 + seed % 3, history_sessions=seed % 2)
    assert_same_records(run(trial, config=config), run(trial))


def exchange(mergers: list[np.void], held: np.ndarray, closes: np.ndarray, gone: set[int]) -> float:
    """Turn holdings into whole shares of acquirers that trade and stay, in place, and return the cash that is paid."""
    cash = 0.0
    for merger in mergers:
        s, to = int(merger["symbol"]), int(merger["acquirer"])
        if to >= 0 and to not in gone and not np.isnan(closes[to]):
            exact = held[s] * merger["ratio"]
            whole = np.trunc(exact + np.sign(exact) * 1e-9)
            cash += held[s] * merger["amount"] + (exact - whole) * closes[to]
            held[s], held[to] = 0.0, held[to] + whole
    return cash


def check_books(seed: int) -> None:  # noqa: C901, PLR0912, PLR0915 - a second set of books, in one place on purpose
    """Rebuild cash, positions and equity from fills and events alone, without the kernel's bookings."""
    trial = random_backtest(seed)
    results = run(trial)
    bars, costs = trial.bars, trial.config.costs.financing
    n = len(bars.symbols)
    held, mark = np.zeros(n), np.full(n, np.nan)
    cash, owed = trial.config.initial_cash_usd, []
    close = bars.close.reshape(-1, n)
    starts = {int(s): int(d) for s, d in zip(bars.sessions["first_step"], bars.sessions["day"], strict=True)}
    actions = list(results.action_records)
    days = sorted(starts.values())
    leaving: list[int] = []
    mergers: list[np.void] = []
    gone: set[int] = set()
    seen = np.full(n, np.nan)  # the session's own last closes
    yesterday = 0
    for step in range(bars.n_steps):
        if step in starts:
            day = starts[step]
            if step:
                # A night's interest and fees are of what was held over it, at the marks of the close before.
                rate = costs.credit_rate_per_year if cash > 0 else costs.debit_rate_per_year
                short = -np.nansum(np.minimum(held, 0.0) * mark)
                cash += (cash * rate - short * costs.borrow_rate_per_year) * (day - yesterday) / 360
            yesterday = day
            paid_out = np.zeros(n)
            while actions and actions[0]["day"] <= day:
                action = actions.pop(0)
                s = int(action["symbol"])
                if action["kind"] == ActionKind.DIVIDEND:
                    owed.append((int(action["pay_day"]), held[s] * action["amount"]))
                    paid_out[s] += action["amount"]
                elif action["kind"] == ActionKind.SPLIT:
                    exact = held[s] * action["ratio"]
                    held[s], mark[s] = np.trunc(exact + np.sign(exact) * 1e-9), mark[s] / action["ratio"]
                    paid_out[s] /= action["ratio"]
                    cash += (exact - held[s]) * mark[s] if exact else 0.0
                elif action["kind"] == ActionKind.CASH_MERGER:
                    cash, held[s] = cash + held[s] * action["amount"], 0.0
                    gone.add(s)
                elif action["kind"] in (ActionKind.DELISTING, ActionKind.SHARE_MERGER):
                    leaving.append(s)
                    if action["kind"] == ActionKind.SHARE_MERGER:
                        mergers.append(action)
            mark = np.maximum(mark - paid_out, 0.0)  # no bar may come before the next night is charged for
            cash += sum(amount for pay, amount in owed if pay <= day)
            owed = [(pay, amount) for pay, amount in owed if pay > day]
        for fill in results.fill_records[results.fill_records["step"] == step]:
            cash -= fill["quantity"] * fill["price"] + fill["commission"] + fill["fees"]
            held[fill["symbol"]] += fill["quantity"]
        mark = np.where(np.isnan(close[step]), mark, close[step])
        seen = np.where(np.isnan(close[step]), seen, close[step])
        if step + 1 in starts or step + 1 == bars.n_steps:
            gone.update(leaving)
            cash += exchange(mergers, held, seen, gone)
            mergers = []
            seen = np.full(n, np.nan)
        if step + 1 in starts:
            for s in leaving:
                cash, held[s] = cash + (held[s] * mark[s] if held[s] else 0.0), 0.0
            leaving = []
    assert days
    total = cash + sum(amount for _, amount in owed) + np.nansum(held * mark)
    assert total == pytest.approx(results.equity_usd[-1], abs=1e-6)
    np.testing.assert_allclose(results.position_records["quantity"], held, atol=1e-9)


def check_orders(seed: int) -> None:
    """No order is filled beyond its quantity, its limit, its bar's volume, or in the bar that decided it."""
    trial = random_backtest(seed)
    results = run(trial)
    orders, fills, bars = results.order_records, results.fill_records, trial.bars
    n = len(bars.symbols)
    assert (abs(orders["filled"]) <= abs(orders["quantity"]) + 1e-9).all()
    assert (orders["filled"] * orders["quantity"] >= 0).all()
    children = orders["parent"][fills["order"]] >= 0
    decided = orders["submitted_step"][fills["order"]]
    assert (fills["step"][~children] > decided[~children]).all()
    assert (fills["step"][children] >= decided[children]).all()
    rows = fills["step"].astype(np.int64) * n + fills["symbol"]
    assert (bars.volume[rows] > 0).all()
    taken = np.zeros(bars.n_rows)
    np.add.at(taken, rows, abs(fills["quantity"]))
    used = taken > 0
    assert (taken[used] <= trial.config.rules.participation_rate * bars.volume[used] + 1e-9).all()
    buys = fills["quantity"] > 0
    assert (fills["price"][buys] >= fills["reference"][buys] - 1e-12).all()
    assert (fills["price"][~buys] <= fills["reference"][~buys] + 1e-12).all()
    inside = (fills["reference"] >= bars.low[rows] - 1e-9) & (fills["reference"] <= bars.high[rows] + 1e-9)
    assert inside.all()
    _check_limits(results)
    _check_finals(orders)


def _check_limits(results: BacktestResults) -> None:
    """Limits hold as they stood when the order was filled; splits move them, so symbols that split are left out."""
    split = {int(a["symbol"]) for a in results.action_records if a["kind"] == ActionKind.SPLIT}
    orders, fills = results.order_records, results.fill_records
    for fill in fills:
        limit = orders["limit"][fill["order"]]
        if not np.isnan(limit) and int(fill["symbol"]) not in split:
            assert (fill["price"] - limit) * np.sign(fill["quantity"]) <= 1e-9


def _check_finals(orders: np.ndarray) -> None:
    is_open = orders["closed_step"] < 0
    assert (orders["state"][is_open] <= State.PARTIALLY_FILLED).all()
    assert (orders["state"][~is_open] >= State.FILLED).all()
    filled = orders["state"] == State.FILLED
    np.testing.assert_allclose(orders["filled"][filled], orders["quantity"][filled], atol=1e-9)


def check_events(seed: int) -> None:
    """Every order's log of events is a path through the transition table of live orders."""
    results = run(random_backtest(seed))
    for _, log in results.order_events.groupby("order", sort=False):
        state = OrderState.SUBMITTED
        for kind in log["kind"]:
            state = TRANSITIONS[state][OrderEventKind(kind)]


def check_exits(seed: int) -> None:
    """An exit never opens or grows a position, and working exits never exceed what their entry filled."""
    results = run(random_backtest(seed))
    orders, fills = results.order_records, results.fill_records
    held: dict[int, float] = {}
    splits = {int(a["symbol"]) for a in results.action_records if a["kind"] == ActionKind.SPLIT}
    for fill in fills:
        symbol, quantity = int(fill["symbol"]), float(fill["quantity"])
        before = held.get(symbol, 0.0)
        if orders["is_exit"][fill["order"]] and symbol not in splits:
            assert before * quantity < 0
            assert abs(quantity) <= abs(before) + 1e-9
        held[symbol] = before + quantity
    # What an ended entry filled is in the shares of its day, so symbols that split are left out.
    exits = orders[(orders["is_exit"] != 0) & ~np.isin(orders["symbol"], list(splits))]
    for parent in np.unique(exits["parent"]):
        children = exits[exits["parent"] == parent]
        entered = abs(orders["filled"][parent])
        assert abs(children["filled"]).sum() <= entered + 1e-9
        open_ones = children[children["closed_step"] < 0]
        for child in open_ones[open_ones["state"] != State.HELD]:
            assert abs(child["quantity"] - child["filled"]) <= entered - abs(children["filled"]).sum() + 1e-9


CHECKS = [
    check_forms_agree,
    check_arrays_agree,
    check_reruns,
    check_quiet_books,
    check_layouts_agree,
    check_chunks_agree,
    check_notices,
    check_books,
    check_orders,
    check_events,
    check_exits,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_kernel_keeps_its_invariants(check):
    @sample
    @given(seeds)
    def holds(seed):
        check(seed)

    holds()


@pytest.mark.long
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_kernel_keeps_its_invariants_in_ten_thousand_markets(check):
    @long_run
    @given(seeds)
    def holds(seed):
        check(seed)

    holds()


def test_random_markets_reach_every_pass_order_type_and_end():
    passes, types, states, reasons, times = set(), set(), set(), set(), set()
    for seed in range(600):
        results = run(random_backtest(seed))
        passes |= set(results.fill_records["at"].tolist())
        types |= set(results.order_records["type"][results.fill_records["order"]].tolist())
        states |= set(results.order_records["state"].tolist())
        reasons |= set(results.order_records["reason"].tolist())
        times |= set(results.order_records["time_in_force"][results.fill_records["order"]].tolist())
    assert passes == set(range(Pass.NONE))
    assert types == set(OrderType)
    assert states >= set(State) - {State.HELD}
    assert times == set(TimeInForce)
    # There are no ticks, and every symbol has a price when it is ordered; a child of another symbol may have none.
    assert reasons >= set(Reason) - {Reason.TICK_SIZE, Reason.LOT_SIZE, Reason.NO_PRICE}
