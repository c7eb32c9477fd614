"""The marts of ten sessions, recomputed with pandas from the lake's tables without any of dbt's SQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd
import pytest

from aegis.config import AegisConfig
from aegis.lake import tables
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import CommitMessage, Replacement
from aegis.reporting.dbt_build import run_dbt_build
from aegis.reporting.strategy_pnl import AttributionInputs, strategy_pnl
from tests.integration.conftest import FIRST, Chain, settings
from tests.integration.hand_made_book import DBT_PROJECT

LAST = date(2014, 9, 30)
pytestmark = pytest.mark.long  # by hand, the same marts are checked in every run: see test_dbt_marts
READ = (
    tables.LISTINGS,
    tables.CORPORATE_ACTIONS,
    tables.DAILY_BARS,
    tables.STRATEGY_SIGNALS,
    tables.TARGET_WEIGHTS,
    tables.RISK_REPORT,
    tables.ORDERS,
    tables.FILLS,
    tables.POSITIONS,
    tables.ACCOUNT_VALUES,
    tables.DAILY_PNL,
    tables.STRATEGY_PNL,
)
Frames = Mapping[str, pd.DataFrame]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    sections = settings(last_session=LAST)
    sections["run"]["home"] = tmp_path_factory.mktemp("home")
    made = Chain(AegisConfig(**sections))
    made.fetch_and_trade(FIRST, LAST)
    return made


@pytest.fixture(scope="module")
def lake(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> tuple[Frames, Frames]:
    """Return the lake's tables and the marts, by name."""
    with chain.lake() as store:
        inputs = {
            field: store.read(table)
            for field, table in zip(
                AttributionInputs.__dataclass_fields__,
                (
                    tables.DAILY_PNL,
                    tables.ACCOUNT_VALUES,
                    tables.POSITIONS,
                    tables.TARGET_WEIGHTS,
                    tables.RISK_REPORT,
                    tables.STRATEGY_SIGNALS,
                    tables.DAILY_BARS,
                    tables.CORPORATE_ACTIONS,
                ),
                strict=True,
            )
        }
        attributed = strategy_pnl(
            AttributionInputs(**inputs), account=chain.desk.account, settings=chain.config.portfolio
        )
        replaced = Replacement(tables.STRATEGY_PNL, attributed, FIRST, LAST)
        store.write([replaced], CommitMessage("portfolio/strategy_pnl", "", "test", "1"))
        stored = {table.name: store.read(table) for table in READ}
    build = run_dbt_build(DBT_PROJECT, chain.workspace.lake, tmp_path_factory.mktemp("dbt"))
    assert build.unbuilt_models == {}
    assert [test for test in build.tests if test.outcome != "pass"] == []
    return stored, marts_of(chain.workspace.lake)


def marts_of(location: LakeLocation) -> Frames:
    with connect(location) as connection:
        names = [
            name
            for (name,) in connection.execute(
                "select table_name from duckdb_tables() where schema_name = 'marts'"
            ).fetchall()
        ]
        return {name: connection.execute(f"select * from lake.marts.{name}").df() for name in names}  # noqa: S608 - ours


def ten_sessions(stored: Frames) -> list[pd.Timestamp]:
    """Return ten sessions in which something was filled, always the same."""
    filled = np.array(sorted(stored["fills"]["session"].unique()))
    return [pd.Timestamp(day) for day in np.random.default_rng(20140602).choice(filled, 10, replace=False)]


def of(frame: pd.DataFrame, session: pd.Timestamp, column: str = "session") -> pd.DataFrame:
    return frame[frame[column] == session]


def before(stored: Frames, session: pd.Timestamp, steps: int) -> pd.Timestamp:
    sessions = sorted(stored["account_values"]["session"])
    return sessions[sessions.index(session) - steps]


def test_daily_returns(lake: tuple[Frames, Frames]) -> None:
    stored, marts = lake
    for session in ten_sessions(stored):
        (row,) = of(marts["daily_returns"], session).to_dict("records")
        equity = of(stored["account_values"], session)["equity_usd"].item()
        earlier = of(stored["account_values"], before(stored, session, 1))["equity_usd"].item()
        benchmark = of(stored["daily_pnl"], session)["benchmark_return_daily"].item()
        assert row["return_daily"] == pytest.approx(equity / earlier - 1, abs=1e-14)
        assert row["active_return_daily"] == pytest.approx(equity / earlier - 1 - benchmark, abs=1e-14)


def test_sector_exposures(lake: tuple[Frames, Frames]) -> None:
    stored, marts = lake
    for session in ten_sessions(stored):
        values: dict[str, float] = {}
        for held in of(stored["positions"], session).to_dict("records"):
            listed = stored["listings"][stored["listings"]["symbol"] == held["symbol"]]
            sector = listed[listed["first_session"] <= session].sort_values("first_session")["sector"].iloc[-1]
            values[sector] = values.get(sector, 0.0) + held["quantity_shares"] * held["mark_price_usd"]
        found = of(marts["sector_exposures"], session).set_index("sector")
        equity = of(stored["account_values"], session)["equity_usd"].item()
        assert found["market_value_usd"].to_dict() == pytest.approx(values)
        assert found["net_weight"].to_dict() == pytest.approx({name: v / equity for name, v in values.items()})


def test_turnover_and_costs_of_the_month(lake: tuple[Frames, Frames]) -> None:
    stored, marts = lake
    fills = stored["fills"].assign(value=stored["fills"]["quantity_shares"] * stored["fills"]["price_usd"])
    for session in ten_sessions(stored):
        (row,) = of(marts["turnover"], session).to_dict("records")
        value = of(fills, session)["value"]
        assert row["bought_usd"] == pytest.approx(value[value > 0].sum())
        assert row["sold_usd"] == pytest.approx(-value[value < 0].sum())
        month = session.replace(day=1)
        of_month = fills[(fills["session"] >= month) & (fills["session"] < month + pd.offsets.MonthBegin(1))]
        cost = of_month["commission_usd"].sum() + of_month["slippage_usd"].sum()
        (costs,) = of(marts["costs"], month, "month_start").to_dict("records")
        assert costs["cost_usd"] == pytest.approx(cost)
        assert costs["cost_bps"] == pytest.approx(1e4 * cost / of_month["value"].abs().sum())


def test_execution_of_each_order_and_of_the_session(lake: tuple[Frames, Frames]) -> None:
    stored, marts = lake
    volumes = stored["daily_bars"].set_index(["session", "symbol"])["volume_shares"]
    for session in ten_sessions(stored):
        orders = of(stored["orders"], session, "execution_session")
        orders = orders[orders["gate_outcome"] == "approved"]
        found = of(marts["execution_by_order"], session, "execution_session").set_index("client_order_id")
        assert set(found.index) == set(orders["client_order_id"])
        ordered, arrived, cost = 0.0, 0.0, 0.0
        for order in orders.to_dict("records"):
            fills = stored["fills"][stored["fills"]["client_order_id"] == order["client_order_id"]]
            row = found.loc[order["client_order_id"]]
            shares = fills["quantity_shares"].abs().sum()
            value = (fills["quantity_shares"].abs() * fills["price_usd"]).sum()
            at_arrival = (fills["quantity_shares"].abs() * fills["arrival_price_usd"]).sum()
            signed = np.sign(order["quantity_shares"])
            assert row["fill_rate"] == pytest.approx(
                at_arrival / abs(order["quantity_shares"] * order["arrival_price_usd"])
            )
            if shares:
                assert row["participation_rate"] == pytest.approx(shares / volumes[session, order["symbol"]])
                assert row["slippage_bps"] == pytest.approx(1e4 * fills["slippage_usd"].sum() / value)
                assert row["arrival_cost_bps"] == pytest.approx(
                    1e4 * signed * (value - at_arrival) / at_arrival, abs=1e-9
                )
            ordered += abs(order["quantity_shares"] * order["arrival_price_usd"])
            arrived += at_arrival
            cost += fills["slippage_usd"].sum() + fills["commission_usd"].sum()
        (whole,) = of(marts["execution_by_session"], session).to_dict("records")
        assert whole["order_count"] == len(orders)
        assert whole["fill_rate"] == pytest.approx(arrived / ordered)
        assert whole["cost_usd"] == pytest.approx(cost)


def test_pnl_by_strategy(lake: tuple[Frames, Frames], chain: Chain) -> None:
    """Name by name: the close before and now, the weight held between them, and who wanted it two sessions before."""
    stored, marts = lake
    policy = chain.config.portfolio
    spoken = 0
    for session in ten_sessions(stored):
        held_at, decided_at = before(stored, session, 1), before(stored, session, 2)
        equity = of(stored["account_values"], held_at)["equity_usd"].item()
        asked = of(stored["target_weights"], decided_at)
        asked = asked[asked["optimized_return_daily"] != 0]["symbol"].tolist()
        allowed = of(stored["risk_report"], decided_at)["exposure_scale"].item() * policy.max_gross_exposure
        share = min(policy.neutral_exposure, allowed) / max(len(asked), 1)
        weights = of(stored["positions"], held_at).set_index("symbol")["weight"].to_dict()
        closes = {day: of(stored["daily_bars"], day).set_index("symbol")["close_raw_usd"] for day in (held_at, session)}
        signals = of(stored["strategy_signals"], decided_at)
        strength = (signals["score"] * signals["confidence"]).groupby([signals["symbol"], signals["strategy"]]).sum()
        expected = dict.fromkeys(["neutral", *stored["strategy_signals"]["strategy"].unique()], 0.0)
        for symbol in {*asked, *weights}:
            actions = of(stored["corporate_actions"], session)
            actions = actions[actions["symbol"] == symbol]
            ratio, dividend = actions["split_ratio"].prod(), actions["dividend_usd"].sum()
            change = (closes[session][symbol] * ratio + dividend) / closes[held_at][symbol] - 1
            neutral = share if symbol in asked else 0.0
            expected["neutral"] += equity * neutral * change
            active = weights.get(symbol, 0.0) - neutral
            opinions = strength[symbol].to_dict() if symbol in strength.index.get_level_values(0) else {}
            agreeing = {name: abs(value) for name, value in opinions.items() if value * active > 0}
            spoken += len(agreeing)
            for name, value in agreeing.items():
                expected[name] += equity * active * value / sum(agreeing.values()) * change
        part = of(marts["pnl_by_strategy"], session).set_index("attributed_to")["pnl_usd"]
        assert {name: part[name] for name in expected} == pytest.approx(expected, abs=1e-6)
        assert part.sum() == pytest.approx(of(stored["daily_pnl"], session)["equity_change_usd"].item(), abs=1e-6)
    assert spoken > 100


def test_pnl_of_the_month_by_cause_and_by_symbol(lake: tuple[Frames, Frames]) -> None:
    stored, marts = lake
    for session in ten_sessions(stored):
        month = session.replace(day=1)
        inside = stored["daily_pnl"]["session"].dt.to_period("M") == session.to_period("M")
        pnl = stored["daily_pnl"][inside]
        (row,) = of(marts["pnl_by_month"], month, "month_start").to_dict("records")
        assert row["equity_change_usd"] == pytest.approx(pnl["equity_change_usd"].sum())
        assert row["slippage_usd"] == pytest.approx(pnl["slippage_usd"].sum())
        symbols = of(marts["pnl_by_symbol_month"], month, "month_start")
        causes = ["price_pnl_usd", "trading_pnl_usd", "dividends_usd", "slippage_usd", "commission_usd"]
        assert symbols["pnl_usd"].sum() == pytest.approx(pnl[causes].sum().sum(), abs=1e-4)
