"""The promises of the chain, kept by real parts: lake, journal, Dagster instance, Great Expectations.

The market is the embedded one from June to December 2014. In its last 63 sessions, which are also run one at a time,
lie Thanksgiving, two half days, Christmas, a 3:1 split of TVZQ on 2014-12-23 and, with a daily-loss limit of 0.5 %,
breaker trips.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from aegis.calendars import trading_calendar
from aegis.config import AegisConfig
from aegis.lake import tables
from aegis.market_data.sources.simulated import SimulatedSource
from aegis.market_data.sources.truncated import TruncatedSource
from aegis_sensors.jobs import EXECUTE_TRADES, FETCH_MARKET_DATA
from tests.integration.conftest import Chain

FIRST, LAST = date(2014, 6, 2), date(2014, 12, 31)
SPLIT = date(2014, 12, 23)
CALENDAR = trading_calendar("XNYS")
SESSIONS = CALENDAR.sessions(FIRST, LAST)
DAY_BY_DAY_FROM = SESSIONS[-63]
SETTINGS: dict[str, Any] = {
    "run": {"first_session": FIRST, "last_session": LAST},
    "universe": {"min_history_sessions": 20},
    "portfolio": {"covariance_lookback_sessions": 40},
    "risk": {"value_at_risk_lookback_sessions": 20, "max_daily_loss": 0.005, "rearm_after_sessions": 3},
}
COMPARED = (*tables.RESEARCH_TABLES, tables.DAILY_BARS, tables.ADJUSTMENT_FACTORS, tables.UNIVERSE, *tables.BOOK_TABLES)
MakeChain = Callable[..., Chain]


@pytest.fixture(scope="module")
def one_shot(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    chain = Chain(AegisConfig(**{**SETTINGS, "run": {**SETTINGS["run"], "home": tmp_path_factory.mktemp("one_shot")}}))
    chain.fetch_and_trade(FIRST, LAST)
    return chain


def settings(**run: Any) -> dict[str, Any]:
    return {**SETTINGS, "run": {**SETTINGS["run"], **run}}


def test_the_range_holds_what_the_comparison_is_about(one_shot: Chain) -> None:
    last = set(SESSIONS[-63:])
    assert date(2014, 11, 27) not in last
    assert CALENDAR.is_half_day(date(2014, 11, 28))
    actions = one_shot.read(tables.CORPORATE_ACTIONS, first=SPLIT, last=SPLIT)
    assert actions.loc[actions["action"] == "split", ["symbol", "split_ratio"]].to_numpy().tolist() == [["TVZQ", 3.0]]
    held = one_shot.read(tables.POSITIONS, first=date(2014, 12, 22), last=date(2014, 12, 22))
    assert "TVZQ" in set(held["symbol"])
    risk = one_shot.read(tables.RISK_REPORT, first=DAY_BY_DAY_FROM)
    trips = (risk["breaker_state"] != "armed") & (risk["breaker_state"].shift() == "armed")
    assert trips.any()
    assert len(one_shot.read(tables.FILLS, first=DAY_BY_DAY_FROM)) > 50


def test_one_shot_equals_two_halves_equals_day_by_day(one_shot: Chain, make_chain: MakeChain) -> None:
    cut = SESSIONS.index(DAY_BY_DAY_FROM)
    halves = make_chain(**settings())
    halves.fetch_and_trade(FIRST, SESSIONS[cut - 1])
    halves.fetch_and_trade(DAY_BY_DAY_FROM, LAST)

    daily = make_chain(**settings())
    daily.fetch_and_trade(FIRST, SESSIONS[cut - 1])
    for session in SESSIONS[cut:]:
        daily.fetch_and_trade(session, session)

    for table in COMPARED:
        expected = one_shot.hashes(table)
        assert expected, table.key
        assert halves.hashes(table) == expected, table.key
        assert daily.hashes(table) == expected, table.key


@pytest.mark.parametrize("cut", [date(2014, 10, 15), date(2014, 12, 22)])
def test_deleting_the_future_changes_no_row_decided_before(one_shot: Chain, make_chain: MakeChain, cut: date) -> None:
    whole = SimulatedSource(
        one_shot.config.market_data.simulated, CALENDAR, last_session=LAST, vendor_delay=timedelta(minutes=15)
    )
    truncated = make_chain(TruncatedSource(whole, cut), **settings(last_session=cut))
    truncated.fetch_and_trade(FIRST, cut)
    for table in COMPARED:
        assert truncated.hashes(table, last=cut) == one_shot.hashes(table, last=cut), table.key


FAULTS = {
    "negative_price": "prices_are_positive",
    "duplicate_row": "primary_key_is_unique",
    "high_below_low": "high_low_bracket_open_close",
    "missing_bar": "bars_cover_every_listed_symbol",
}


@pytest.mark.parametrize(("kind", "check"), FAULTS.items())
def test_a_planted_fault_fails_its_named_check_and_no_order_exists(
    make_chain: MakeChain, kind: str, check: str
) -> None:
    broken = date(2014, 10, 15)
    fault = {"symbol": "TVZQ", "session": broken, "kind": kind}
    chain = make_chain(market_data={"faults": [fault]}, **settings())
    before, after = CALENDAR.previous(broken), CALENDAR.next(broken)
    chain.fetch_and_trade(FIRST, before)
    assert not chain.read(tables.ORDERS, first=date(2014, 10, 1), last=before).empty

    fetched = chain.run(FETCH_MARKET_DATA, broken, broken, raise_on_error=False)
    failed = {name for name, passed in chain.checks(fetched).items() if not passed}
    assert check in failed
    assert not fetched.success
    row = chain.read(tables.CHECK_RESULTS, first=broken, last=broken).set_index("check").loc[check]
    assert row["outcome"] == "block"
    assert "TVZQ" in row["detail"]
    assert broken.isoformat() in row["detail"]

    alone = chain.run(EXECUTE_TRADES, broken, broken)
    assert chain.read(tables.ORDERS, first=broken, last=broken).empty
    assert chain.read(tables.FILLS, first=broken, last=broken).empty
    assert chain.checks(alone)["no_session_is_blocked"] is False
    assert chain.checks(alone)["pnl_explains_equity_change"] is True
    gate = chain.read(tables.PRE_TRADE_GATE, first=broken, last=broken).set_index("rule")["outcome"]
    assert gate["data_checks_passed"] == "refuse"

    chain.fetch_and_trade(after, after)
    assert chain.read(tables.FILLS, first=after, last=after).empty


def test_materializing_the_book_twice_leaves_one_set_of_orders(make_chain: MakeChain) -> None:
    chain = make_chain(**settings(last_session=date(2014, 10, 31)))
    last = date(2014, 10, 31)
    chain.fetch_and_trade(FIRST, last)
    orders, events = chain.hashes(tables.ORDERS), journal_events(chain)
    again = chain.run(EXECUTE_TRADES, FIRST, last)
    assert chain.checks(again)["orders_match_committed_decisions"] is True
    assert chain.hashes(tables.ORDERS) == orders
    assert journal_events(chain) == events


def test_a_recomputation_that_differs_keeps_the_committed_orders_and_fails_a_check(make_chain: MakeChain) -> None:
    last = date(2014, 10, 31)
    chain = make_chain(**settings(last_session=last))
    chain.fetch_and_trade(FIRST, last)
    orders = chain.hashes(tables.ORDERS)
    other = {**settings(last_session=last, home=chain.config.run.home)}
    other["portfolio"] = {**SETTINGS["portfolio"], "max_position_weight": 0.04}
    changed = Chain(AegisConfig(**other))
    result = changed.run(EXECUTE_TRADES, FIRST, last)
    assert changed.checks(result)["orders_match_committed_decisions"] is False
    committed = changed.read(tables.ORDERS)
    assert set(committed["client_order_id"]) == set(chain_order_ids(orders, changed))


def test_the_parts_of_each_days_pnl_add_up_and_link_the_days(one_shot: Chain) -> None:
    pnl = one_shot.read(tables.DAILY_PNL)
    parts = ["price_pnl_usd", "trading_pnl_usd", "dividends_usd", "interest_usd", "slippage_usd", "commission_usd"]
    values = one_shot.read(tables.ACCOUNT_VALUES)
    equity = [one_shot.config.run.initial_cash_usd, *values["equity_usd"]]
    changes = [after - before for before, after in itertools.pairwise(equity)]
    assert pnl["equity_change_usd"].tolist() == pytest.approx(changes, abs=1e-6)
    assert (pnl["equity_change_usd"] - pnl[parts].sum(axis=1)).abs().max() < 1e-6
    worth = values["cash_usd"] + values["dividends_receivable_usd"] + values["positions_value_usd"]
    assert (worth - values["equity_usd"]).abs().max() < 1e-6
    held = one_shot.read(tables.POSITIONS).groupby("session")["market_value_usd"].sum()
    assert (values.set_index("session")["positions_value_usd"].sub(held, fill_value=0.0)).abs().max() < 1e-6


def test_no_fill_happens_in_the_session_of_its_decision(one_shot: Chain) -> None:
    orders = one_shot.read(tables.ORDERS).set_index("client_order_id")
    fills = one_shot.read(tables.FILLS).set_index("client_order_id")
    decided = orders["session"].reindex(fills.index)
    assert (fills["session"] > decided).all()
    assert (fills["session"] == orders["execution_session"].reindex(fills.index)).all()


def test_a_book_without_its_previous_session_is_refused(make_chain: MakeChain) -> None:
    chain = make_chain(**settings())
    chain.run(FETCH_MARKET_DATA, FIRST, SESSIONS[2])
    result = chain.run(EXECUTE_TRADES, SESSIONS[2], SESSIONS[2], raise_on_error=False)
    assert not result.success
    assert chain.read(tables.BOOK_STATES).empty


def test_an_open_session_is_not_fetched(make_chain: MakeChain) -> None:
    from aegis.clock import FixedClock  # noqa: PLC0415
    from aegis_sensors.definitions import build_definitions  # noqa: PLC0415

    chain = make_chain(**settings(last_session=None))
    at_noon = FixedClock(datetime(2014, 6, 3, 16, tzinfo=UTC))
    chain.definitions = build_definitions(chain.config, clock=at_noon)
    result = chain.run(FETCH_MARKET_DATA, date(2014, 6, 3), date(2014, 6, 3), raise_on_error=False)
    assert not result.success
    assert chain.read(tables.RAW_BARS).empty


def journal_events(chain: Chain) -> int:
    with chain.desk.journal() as journal:
        return journal.verify()


def chain_order_ids(_hashes: dict[date, str], chain: Chain) -> list[str]:
    with chain.desk.journal() as journal:
        return [str(row.client_order_id) for row in journal.events(kinds=["intent recorded"])]
