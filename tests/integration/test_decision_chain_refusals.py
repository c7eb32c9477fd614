"""What the chain refuses, and what a repetition changes: nothing. Real parts, the embedded market of 2014."""

from __future__ import annotations

import html
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from aegis.clock import FixedClock
from aegis.config import AegisConfig
from aegis.lake import tables
from aegis.lake.schema import TableSchema
from aegis.market_data.sources.source import MarketDataSource
from aegis.market_data.sources.wrapped import WrappedSource
from aegis_assets.table_assets import asset_key
from aegis_resources.market_data import Market
from aegis_sensors.definitions import build_definitions
from aegis_sensors.jobs import EXECUTE_TRADES, FETCH_MARKET_DATA
from tests.integration.conftest import CALENDAR, FIRST, LONG_AFTER, SESSIONS, SETTINGS, THE_DAY, Chain, settings

MakeChain = Callable[..., Chain]
ConfigOnTheEve = Callable[..., AegisConfig]
FAULTS = {
    "negative_price": "prices_are_positive",
    "duplicate_row": "primary_key_is_unique",
    "high_below_low": "high_low_bracket_open_close",
    "missing_bar": "bars_cover_every_listed_symbol",
}


@pytest.fixture
def on_the_eve(eve: Path, tmp_path: Path) -> ConfigOnTheEve:
    """Return a maker of the configuration of a copy of its own; keyword arguments are sections."""

    def copied(**sections: Any) -> AegisConfig:
        return AegisConfig(**{**settings(home=shutil.copytree(eve, tmp_path / "home")), **sections})

    return copied


@pytest.mark.parametrize(("kind", "check"), FAULTS.items())
def test_a_planted_fault_fails_its_named_check_and_no_order_exists(
    on_the_eve: ConfigOnTheEve, kind: str, check: str
) -> None:
    broken = THE_DAY
    fault = {"symbol": "TVZQ", "session": broken, "kind": kind}
    chain = Chain(on_the_eve(market_data={"faults": [fault]}))
    assert not chain.read(tables.ORDERS, first=date(2014, 10, 1), last=CALENDAR.previous(broken)).empty

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
    targets = chain.read(tables.TARGET_WEIGHTS, first=broken, last=broken)
    assert set(targets["reason"]) == {"hold: session without trusted bars"}
    assert chain.read(tables.RISK_REPORT, first=broken, last=broken)["value_at_risk_95"].isna().all()


class WithAction(WrappedSource):
    """The same market with one more corporate action."""

    def __init__(self, source: MarketDataSource, **values: Any) -> None:
        super().__init__(source)
        row = {"split_ratio": 1.0, "dividend_usd": 0.0, "pay_session": None, "new_ticker": None, "source": "hand"}
        known = CALENDAR.open_utc(values["session"])
        self._row = tables.CORPORATE_ACTIONS.conform(pd.DataFrame([{**row, "known_at_utc": known, **values}]))

    def corporate_actions(self, first: date, last: date) -> pd.DataFrame:
        actions = super().corporate_actions(first, last)
        if not first <= self._row["session"].iloc[0].date() <= last:
            return actions
        rows = actions.to_dict("records") + self._row.to_dict("records")
        return tables.CORPORATE_ACTIONS.conform(pd.DataFrame(rows))


@pytest.mark.parametrize(
    ("action", "check"),
    [
        pytest.param(
            {"action": "dividend", "dividend_usd": 5000.0}, "recorded_actions_are_possible", marks=pytest.mark.long
        ),
        pytest.param({"action": "split", "split_ratio": 1e9}, "recorded_actions_are_possible", marks=pytest.mark.long),
        ({"action": "split", "split_ratio": 1.5}, "prices_show_the_recorded_actions"),
    ],
    ids=["dividend above the price", "split of a billion", "split that the prices do not show"],
)
def test_the_book_stops_before_an_action_that_cannot_be(
    on_the_eve: ConfigOnTheEve, action: dict[str, Any], check: str
) -> None:
    ex_session, symbol = THE_DAY, "TVZQ"
    config = on_the_eve()
    wrong = WithAction(Market(config, FixedClock(LONG_AFTER)).source, session=ex_session, symbol=symbol, **action)
    chain = Chain(config, wrong)
    fetched = chain.run(FETCH_MARKET_DATA, ex_session, ex_session, raise_on_error=False)
    assert check in {name for name, passed in chain.checks(fetched).items() if not passed}
    assert not chain.run(EXECUTE_TRADES, ex_session, ex_session, raise_on_error=False).success
    for table in (tables.ACCOUNT_VALUES, tables.POSITIONS, tables.ORDERS):
        assert chain.read(table, first=ex_session).empty

    mended = Chain(config)
    mended.fetch_and_trade(ex_session, ex_session)
    assert not mended.read(tables.ACCOUNT_VALUES, first=ex_session, last=ex_session).empty


def test_an_action_that_was_not_there_when_the_bars_were_checked_is_not_booked(on_the_eve: ConfigOnTheEve) -> None:
    ex_session = THE_DAY
    config = on_the_eve()
    Chain(config).run(FETCH_MARKET_DATA, ex_session, ex_session)
    source = Market(config, FixedClock(LONG_AFTER)).source
    late = Chain(config, WithAction(source, session=ex_session, symbol="TVZQ", action="dividend", dividend_usd=1.0))
    late.run(FETCH_MARKET_DATA, ex_session, ex_session, assets=[asset_key(tables.CORPORATE_ACTIONS)])
    assert not late.run(EXECUTE_TRADES, ex_session, ex_session, raise_on_error=False).success
    assert late.read(tables.ACCOUNT_VALUES, first=ex_session).empty
    late.fetch_and_trade(ex_session, ex_session)
    assert not late.read(tables.ACCOUNT_VALUES, first=ex_session).empty


class WithBustedLow(WrappedSource):
    """The same market, except that one symbol's low of the day is a hundredth of what it was."""

    def __init__(self, source: MarketDataSource, symbol: str) -> None:
        super().__init__(source)
        self._symbol = symbol

    def bars(self, first: date, last: date) -> pd.DataFrame:
        bars = super().bars(first, last)
        hit = (bars["symbol"] == self._symbol) & (bars["session"] == pd.Timestamp(THE_DAY))
        return bars.assign(low_raw_usd=bars["low_raw_usd"].mask(hit, bars["low_raw_usd"] / 100.0))


def with_busted_low(config: AegisConfig, symbol: str) -> Chain:
    return Chain(config, WithBustedLow(Market(config, FixedClock(LONG_AFTER)).source, symbol))


def symbols_on_the_eve(config: AegisConfig) -> tuple[set[str], set[str]]:
    """Return the members of the universe, and those that the book holds or has orders for."""
    chain, day = Chain(config), CALENDAR.previous(THE_DAY)
    members = chain.read(tables.UNIVERSE, first=day, last=day).query("is_member")["symbol"]
    held = chain.read(tables.POSITIONS, first=day, last=day).query("quantity_shares != 0")["symbol"]
    ordered = chain.read(tables.ORDERS, first=day, last=day)["symbol"]
    return set(members), {*held, *ordered}


def test_a_bad_tick_of_a_stranger_is_set_aside_and_the_day_goes_on_without_it(on_the_eve: ConfigOnTheEve) -> None:
    config = on_the_eve()
    members, needed = symbols_on_the_eve(config)
    stranger = min(members - needed)
    chain = with_busted_low(config, stranger)
    fetched = chain.run(FETCH_MARKET_DATA, THE_DAY, THE_DAY)

    def rows(table: TableSchema) -> pd.DataFrame:
        frame = chain.read(table, first=THE_DAY, last=THE_DAY)
        return frame[frame["symbol"] == stranger]

    (delivered,) = rows(tables.RAW_BARS).to_dict("records")
    (aside,) = rows(tables.QUARANTINED_BARS).to_dict("records")
    assert aside["check"] == "wicks_stay_near_the_body"
    assert {name: aside[name] for name in tables.RAW_BARS.column_names} == delivered
    for said in (stranger, THE_DAY.isoformat(), f"low {delivered['low_raw_usd']:.6g}", "correct the row"):
        assert said in aside["reason"]
    for table in (tables.DAILY_BARS, tables.DAILY_FEATURES, tables.ENSEMBLE_SIGNALS):
        assert rows(table).empty
        assert not chain.read(table, first=THE_DAY, last=THE_DAY).empty

    page = fetched.get_asset_check_evaluations()[0].metadata["data_docs"].value
    assert aside["reason"] in html.unescape(Path(str(page)).read_text(encoding="utf-8"))

    traded = chain.run(EXECUTE_TRADES, THE_DAY, THE_DAY)
    assert all(passed for name, passed in chain.checks(traded).items() if name != "no_limit_is_breached")
    gate = chain.read(tables.PRE_TRADE_GATE, first=THE_DAY, last=THE_DAY)
    assert not (gate["outcome"] == "refuse").any()
    assert not chain.read(tables.FILLS, first=THE_DAY, last=THE_DAY).empty
    assert stranger not in set(chain.read(tables.ORDERS, first=THE_DAY, last=THE_DAY)["symbol"])


def test_the_same_bad_tick_of_a_holding_blocks_the_day_for_the_book(on_the_eve: ConfigOnTheEve) -> None:
    config = on_the_eve()
    _, needed = symbols_on_the_eve(config)
    holding = min(needed)
    chain = with_busted_low(config, holding)
    chain.run(FETCH_MARKET_DATA, THE_DAY, THE_DAY)
    (low,) = chain.read(tables.QUARANTINED_BARS, first=THE_DAY, last=THE_DAY)["low_raw_usd"]
    alone = chain.run(EXECUTE_TRADES, THE_DAY, THE_DAY)
    assert chain.checks(alone)["no_session_is_blocked"] is False
    assert chain.read(tables.FILLS, first=THE_DAY, last=THE_DAY).empty
    assert chain.read(tables.ORDERS, first=THE_DAY, last=THE_DAY).empty
    gate = chain.read(tables.PRE_TRADE_GATE, first=THE_DAY, last=THE_DAY)
    told = " ".join(gate.loc[gate["outcome"] == "refuse", "detail"].fillna(""))
    for said in (holding, THE_DAY.isoformat(), "wicks_stay_near_the_body", f"low {low:.6g}", "correct the row"):
        assert said in told


def test_materializing_the_book_twice_leaves_one_set_of_orders(on_the_eve: ConfigOnTheEve) -> None:
    chain = Chain(on_the_eve())
    orders, events = chain.hashes(tables.ORDERS), journal_events(chain)
    assert orders
    again = chain.run(EXECUTE_TRADES, FIRST, CALENDAR.previous(THE_DAY))
    assert chain.checks(again)["orders_match_committed_decisions"] is True
    assert chain.hashes(tables.ORDERS) == orders
    assert journal_events(chain) == events


def test_a_recomputation_that_differs_keeps_the_committed_orders_and_fails_a_check(on_the_eve: ConfigOnTheEve) -> None:
    changed = Chain(on_the_eve(portfolio={**SETTINGS["portfolio"], "max_position_weight": 0.04}))
    before = changed.read(tables.ORDERS)
    result = changed.run(EXECUTE_TRADES, FIRST, CALENDAR.previous(THE_DAY))
    assert changed.checks(result)["orders_match_committed_decisions"] is False
    after = changed.read(tables.ORDERS)
    terms = ["session", "client_order_id", "symbol", "quantity_shares", "execution_session", "gate_outcome"]
    assert after[terms].equals(before[terms])
    assert set(after["client_order_id"]) == set(journalled_order_ids(changed))


def test_a_book_without_its_previous_session_is_refused(make_chain: MakeChain) -> None:
    chain = make_chain(**settings())
    chain.run(FETCH_MARKET_DATA, FIRST, SESSIONS[2])
    result = chain.run(EXECUTE_TRADES, SESSIONS[2], SESSIONS[2], raise_on_error=False)
    assert not result.success
    assert chain.read(tables.BOOK_STATES).empty


def test_an_open_session_is_not_fetched(make_chain: MakeChain) -> None:
    chain = make_chain(**settings(last_session=None))
    at_noon = FixedClock(datetime(2014, 6, 3, 16, tzinfo=UTC))
    chain.definitions = build_definitions(chain.config, clock=at_noon)
    result = chain.run(FETCH_MARKET_DATA, date(2014, 6, 3), date(2014, 6, 3), raise_on_error=False)
    assert not result.success
    assert chain.read(tables.RAW_BARS).empty


def journal_events(chain: Chain) -> int:
    with chain.desk.journal() as journal:
        return journal.verify()


def journalled_order_ids(chain: Chain) -> list[str]:
    with chain.desk.journal() as journal:
        return [str(row.client_order_id) for row in journal.events(kinds=["intent recorded"])]
