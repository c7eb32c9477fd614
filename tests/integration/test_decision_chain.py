"""The promises of the chain, kept by real parts: lake, journal, Dagster instance, Great Expectations.

The market is the embedded one from June to December 2014. In its last 63 sessions, which are also run one at a time,
lie Thanksgiving, two half days, Christmas, a 3:1 split of TVZQ on 2014-12-23 and, with a daily-loss limit of 0.5 %,
breaker trips.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import date, timedelta

import pytest

from aegis.config import AegisConfig
from aegis.lake import tables
from aegis.market_data.sources.simulated import SimulatedSource
from aegis.market_data.sources.truncated import TruncatedSource
from tests.integration.conftest import CALENDAR, FIRST, LAST, SESSIONS, SETTINGS, Chain, settings

SPLIT = date(2014, 12, 23)
DAY_BY_DAY_FROM = SESSIONS[-63]
COMPARED = (*tables.RESEARCH_TABLES, tables.DAILY_BARS, tables.ADJUSTMENT_FACTORS, tables.UNIVERSE, *tables.BOOK_TABLES)
MakeChain = Callable[..., Chain]


@pytest.fixture(scope="module")
def one_shot(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    chain = Chain(AegisConfig(**{**SETTINGS, "run": {**SETTINGS["run"], "home": tmp_path_factory.mktemp("one_shot")}}))
    chain.fetch_and_trade(FIRST, LAST)
    return chain


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


def require_equal(chain: Chain, expected: Chain) -> None:
    for table in COMPARED:
        hashes = expected.hashes(table)
        assert hashes, table.key
        assert chain.hashes(table) == hashes, table.key


def test_one_shot_equals_ranges_with_single_days_between_them(one_shot: Chain, make_chain: MakeChain) -> None:
    # The days are that of the split, a half day, and the one after Christmas.
    days = SESSIONS[SESSIONS.index(SPLIT) :][:3]
    pieces = make_chain(**settings())
    pieces.fetch_and_trade(FIRST, CALENDAR.previous(SPLIT))
    pieces.fetch_and_trade_each((day, day) for day in days)
    pieces.fetch_and_trade(CALENDAR.next(days[-1]), LAST)
    require_equal(pieces, one_shot)


@pytest.mark.long
def test_one_shot_equals_two_halves_equals_day_by_day(one_shot: Chain, make_chain: MakeChain) -> None:
    halves = make_chain(**settings())
    halves.fetch_and_trade(FIRST, CALENDAR.previous(DAY_BY_DAY_FROM))
    halves.fetch_and_trade(DAY_BY_DAY_FROM, LAST)
    require_equal(halves, one_shot)

    daily = make_chain(**settings())
    daily.fetch_and_trade(FIRST, CALENDAR.previous(DAY_BY_DAY_FROM))
    daily.fetch_and_trade_each((session, session) for session in SESSIONS[-63:])
    require_equal(daily, one_shot)


@pytest.mark.parametrize("cut", [pytest.param(date(2014, 10, 15), marks=pytest.mark.long), date(2014, 12, 22)])
def test_deleting_the_future_changes_no_row_decided_before(one_shot: Chain, make_chain: MakeChain, cut: date) -> None:
    whole = SimulatedSource(
        one_shot.config.market_data.simulated, CALENDAR, last_session=LAST, vendor_delay=timedelta(minutes=15)
    )
    truncated = make_chain(TruncatedSource(whole, cut), **settings(last_session=cut))
    truncated.fetch_and_trade(FIRST, cut)
    for table in COMPARED:
        assert truncated.hashes(table, last=cut) == one_shot.hashes(table, last=cut), table.key


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
