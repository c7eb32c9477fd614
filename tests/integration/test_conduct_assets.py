"""Findings and drift as assets over a traded workspace: rows, checks by configuration, and what an alarm leads to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from aegis.config import AegisConfig
from aegis.errors import DriftError
from aegis.lake import tables
from aegis.lake.lake import CommitMessage, Replacement
from aegis_assets.conduct import COMPLIANCE_CHECKS, CONDUCT_ASSET_KEYS, DRIFT_CHECKS
from aegis_sensors.cli import main
from aegis_sensors.instance import open_instance
from aegis_sensors.jobs import EXECUTE_TRADES, FETCH_MARKET_DATA, REPORT
from tests.integration.conftest import CALENDAR, FIRST, LAST, SILENT, THE_DAY, Chain, settings

EVE = CALENDAR.previous(THE_DAY)


@pytest.fixture
def traded(eve: Path, tmp_path: Path) -> Callable[..., Chain]:
    """Return a maker of a workspace on the eve of the day, with further sections of settings."""
    home = shutil.copytree(eve, tmp_path / "home")

    def make(**sections: Any) -> Chain:
        return Chain(AegisConfig(**settings(home=home), **sections))

    return make


def judge(chain: Chain) -> dict[str, tuple[bool, dg.AssetCheckSeverity, dict[str, Any]]]:
    """Materialize the two assets and return for each check whether it passed, its severity and its metadata."""
    with open_instance(chain.workspace) as instance:
        job = chain.definitions.resolve_job_def(REPORT)
        result = job.execute_in_process(
            instance=instance, run_config=SILENT, asset_selection=list(CONDUCT_ASSET_KEYS), raise_on_error=True
        )
    return {
        found.check_name: (found.passed, found.severity, {name: v.value for name, v in found.metadata.items()})
        for found in result.get_asset_check_evaluations()
    }


def plant(chain: Chain, table: Any, frame: pd.DataFrame) -> None:
    """Put rows in the place of a table's, as a correction would."""
    with chain.lake() as store:
        first, last = frame["session"].min().date(), frame["session"].max().date()
        store.write(
            [Replacement(table, table.conform(frame), first, last, "simulated")],
            CommitMessage(table.key, f"{first}..{last}", "test", "1", "planted"),
        )


def sold_at_a_loss_and_bought_again(chain: Chain) -> None:
    """Let the account's newest fills be a purchase, a sale at a loss on the eve, and a purchase again."""
    fills = chain.read(tables.FILLS)
    row = fills[fills["quantity_shares"] > 0].tail(1)
    days = [CALENDAR.offset(EVE, -2), CALENDAR.offset(EVE, -1), EVE]
    trades = []
    for number, (day, shares, price) in enumerate(zip(days, (10.0, -10.0, 10.0), (90.0, 80.0, 81.0), strict=True)):
        at = pd.Timestamp(CALENDAR.close_utc(day))
        trades.append(
            row.assign(
                session=pd.Timestamp(day), client_order_id=f"planted{number}", symbol="PLNT", ticker="PLNT",
                quantity_shares=shares, price_usd=price, commission_usd=0.0, filled_at_utc=at,
            )
        )  # fmt: skip
    kept = fills[fills["session"] < pd.Timestamp(days[0])]
    plant(chain, tables.FILLS, pd.concat([kept, *trades], ignore_index=True))


def test_a_planted_wash_sale_is_found_and_its_check_is_as_severe_as_configured(traded) -> None:
    chain = traded(compliance={"severities": {"wash_sales": "error", "cash_account": "note"}})
    sold_at_a_loss_and_bought_again(chain)
    checks = judge(chain)
    assert set(checks) == {name for name, _ in (*COMPLIANCE_CHECKS.values(), *DRIFT_CHECKS.values())}
    assert [name for name, (passed, _, _) in checks.items() if not passed] == ["no_recent_loss_is_a_wash_sale"]
    assert chain.read(tables.DRIFT_MEASURES).empty, "94 sessions are too few for any reference"
    check = checks["no_recent_loss_is_a_wash_sale"]
    assert check[:2] == (False, dg.AssetCheckSeverity.ERROR)
    assert check[2]["observed"] >= 1
    day = CALENDAR.previous(EVE)
    assert f"PLNT {day}: 100.00 of a loss of 100.00 USD is not deductible" in check[2]["detail"]
    assert check[2]["cause"] == f"wash sale PLNT {day}"
    found = chain.read(tables.COMPLIANCE_FINDINGS)
    row = found[found["symbol"] == "PLNT"].to_dict("records")[0]
    assert (row["session"].date(), row["observed"], row["rule"]) == (day, 100.0, "wash sale")
    assert "26 USC 1091" in row["citation"]


LIVE = date(2014, 9, 15)
FALLING = {
    "live_since": LIVE,
    "reference_sessions": 120,
    "performance": {"action": "shrink", "severity": "error"},
    "shrink_exposure": 0.25,
}


def fell(chain: Chain) -> None:
    """Let the account have traded since its beginning, and its results collapse since they count as live."""
    days = CALENDAR.sessions(FIRST, EVE)
    draw = np.random.default_rng(11).standard_normal(len(days))
    returns = 0.01 * draw - np.where(np.array(days) >= LIVE, 0.03, 0.0)
    amounts = {c.name: 0.0 for c in tables.DAILY_PNL.columns if c.kind == "float"}
    frame = pd.DataFrame({"session": pd.to_datetime(days), "account": "simulated", **amounts, "return_daily": returns})
    plant(chain, tables.DAILY_PNL, frame)
    first = chain.read(tables.FILLS).head(1).assign(session=pd.Timestamp(FIRST), client_order_id="first")
    plant(chain, tables.FILLS, first)


def test_results_that_fall_are_answered_once_and_a_person_releases_the_answer(traded, monkeypatch, capsys) -> None:
    chain = traded(drift=FALLING)
    fell(chain)
    passed, severity, seen = judge(chain)["returns_stay_within_expectation"]
    assert (passed, severity, seen["observed"]) == (False, dg.AssetCheckSeverity.ERROR, 2)
    assert seen["cause"] == "active return, return"
    history = chain.desk.drift_responses.history()
    assert [(r.family, r.action, r.exposure_scale, r.measured_session) for r in history.responses] == [
        ("performance", "shrink", 0.25, EVE)
    ]
    for name, value in {
        "RUN__HOME": chain.config.run.home,
        "RUN__FIRST_SESSION": FIRST,
        "RUN__LAST_SESSION": LAST,
    }.items():
        monkeypatch.setenv(f"AEGIS_{name}", str(value))
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["drift", "status"]) == 0
    assert f"shrink since {EVE} (performance): " in capsys.readouterr().out
    assert main(["drift", "release", "--reason", "a bad quarter, looked into"]) == 0
    assert f"decisions from session {THE_DAY} on are made in full" in capsys.readouterr().out
    assert main(["drift", "release", "--reason", "again"]) == 2
    assert "there is nothing to release" in capsys.readouterr().err
    assert chain.desk.drift_responses.history().limits(THE_DAY).exposure_scale == 1.0


@pytest.mark.long
def test_the_decision_after_results_fell_is_made_with_less_exposure(traded) -> None:
    chain = traded(drift=FALLING)
    kept = {table: chain.read(table) for table in (tables.DAILY_PNL, tables.FILLS)}
    fell(chain)
    for _ in range(2):
        judge(chain)
        assert len(chain.desk.drift_responses.history().responses) == 1, "the second time one stands already"
    for table, frame in kept.items():
        plant(chain, table, frame)
    chain.run(FETCH_MARKET_DATA, THE_DAY, THE_DAY)
    chain.run(EXECUTE_TRADES, THE_DAY, THE_DAY)
    report = chain.read(tables.RISK_REPORT, first=THE_DAY, last=THE_DAY).iloc[0]
    assert report["exposure_scale"] == 0.25
    assert report["gross_exposure"] <= 0.25 + 1e-9
    before = chain.read(tables.RISK_REPORT, first=EVE, last=EVE).iloc[0]
    assert before["gross_exposure"] > 0.25


def test_a_broken_record_of_responses_lets_nothing_be_decided(traded) -> None:
    desk = traded().desk
    path = desk.drift_responses.path
    path.parent.mkdir(parents=True)
    path.write_text("torn\n")
    with pytest.raises(DriftError, match="nothing is decided until the file is put right"):
        desk.policy(desk.kill_switch.status())
