"""``aegis data confirm``: a true move goes from refused to traded on, and a later restatement is doubted again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from aegis.config import load_config
from aegis.lake import tables
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.workspace import Workspace
from aegis_assets.market_data import GATED_TABLES, market_data_assets
from aegis_assets.partitions import session_partitions
from aegis_resources.market_data import Market
from aegis_sensors.definitions import lake_resource
from aegis_sensors.workspace_identity import claim

Ask = Callable[..., tuple[int, str, str]]

FIRST, BID, LAST = date(2014, 6, 2), date(2014, 6, 9), date(2014, 6, 13)
JUMP = "jumps_hide_no_split_or_unit_slip"
WORDS = ("data", "confirm", "AAA", str(BID), "--reason", "bid of 31 by BBB, 8-K of the day", "--actor", "j.doe")


@dataclass(frozen=True)
class Desk:
    """A folder of ten sessions in which AAA is bid for, fetched into a lake."""

    config: Path

    def judge(self) -> dict[str, Any]:
        """Run the gate as Dagster does, and return the metadata of the check of jumps."""
        settings = load_config(self.config)
        market, workspace = Market(settings), Workspace.of(settings)
        result = dg.materialize(
            market_data_assets(session_partitions(market.calendar, FIRST, LAST)),
            selection=[dg.AssetKey([table.layer, table.name]) for table in GATED_TABLES],
            resources={"market": market, "lake": lake_resource(workspace), "workspace": workspace},
            tags={
                ASSET_PARTITION_RANGE_START_TAG: FIRST.isoformat(),
                ASSET_PARTITION_RANGE_END_TAG: LAST.isoformat(),
            },
        )
        (check,) = [each for each in result.get_asset_check_evaluations() if each.check_name == JUMP]
        return {"passed": check.passed, **{name: value.value for name, value in check.metadata.items()}}

    def read(self, table: Any) -> pd.DataFrame:
        with self.lake() as store:
            return store.read(table)

    def lake(self) -> Any:
        return lake_resource(Workspace.of(load_config(self.config))).open()

    def write(self, table: Any, frame: pd.DataFrame, *span: date) -> None:
        with self.lake() as store:
            store.write([Replacement(table, frame, *span)], CommitMessage(table.key, "", "a run", "1"))


@pytest.fixture(scope="module")
def make_desk(write_config: Callable[..., Path], write_bars: Callable[[Path], None]) -> Callable[[Path], Desk]:
    return lambda folder: _desk(folder, write_config, write_bars)


@pytest.fixture
def desk(tmp_path: Path, make_desk: Callable[[Path], Desk]) -> Desk:
    return make_desk(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, make_desk: Callable[[Path], Desk]) -> Desk:
    """Return a desk that refusals leave as it is."""
    return make_desk(tmp_path_factory.mktemp("shared"))


def _desk(folder: Path, write_config: Callable[..., Path], write_bars: Callable[[Path], None]) -> Desk:
    write_bars(folder / "prices")
    file = folder / "prices" / "bars.csv"
    lines = [
        f"AAA,{line.split(',')[1]},30.5,31,30.25,30.75,9{line.rsplit(',', 1)[1]}"
        if line.startswith("AAA") and line.split(",")[1] >= str(BID)
        else line
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    quality = {"stale_repeat_sessions": 20}  # the ten bars repeat their close
    config = write_config(folder, run={"source": "files"}, market_data={"files": {"folder": "prices"}}, quality=quality)
    settings = load_config(config)
    claim(settings, Workspace.of(settings))
    desk, market = Desk(config), Market(settings)
    desk.write(tables.LISTINGS, market.source.listings())
    desk.write(tables.RAW_BARS, market.source.bars(FIRST, LAST), FIRST, LAST)
    return desk


@pytest.mark.long
def test_a_true_move_is_confirmed_once_and_trades_until_the_vendor_restates_it(desk: Desk, ask: Ask) -> None:
    before = desk.judge()
    assert (before["passed"], before["confirmed_rows"]) == (False, 0)
    assert f"aegis data confirm AAA {BID} --close 30.75" in before["first_detail"]
    assert pd.Timestamp(BID) not in set(desk.read(tables.DAILY_BARS).query("symbol == 'AAA'")["session"])

    status, printed, errors = ask(desk.config, *WORDS, "--close", "30.75")
    assert (status, errors) == (0, "")
    assert f"AAA {BID}: close 30.75 is confirmed: snapshot" in printed
    assert f"settles  {JUMP} of {BID}" in printed
    assert f"make run FROM={BID}" in printed
    (row,) = desk.read(tables.CONFIRMED_CLOSES).itertuples()
    assert (row.symbol, row.session, row.close_raw_usd) == ("AAA", pd.Timestamp(BID), 30.75)
    assert (row.person, row.reason) == ("j.doe", "bid of 31 by BBB, 8-K of the day")
    assert pd.isna(row.open_raw_usd)

    status, printed, _ = ask(desk.config, *WORDS, "--close", "30.75")
    assert (status, len(desk.read(tables.CONFIRMED_CLOSES))) == (0, 1)
    assert "was confirmed before; nothing was written" in printed

    after = desk.judge()
    assert (after["passed"], after["confirmed_rows"], after["failed_sessions"]) == (True, 1, 0)
    said = f"AAA {BID}: close 30.75 confirmed by j.doe at "
    assert after["first_detail"].startswith(said)
    assert pd.Timestamp(BID) in set(desk.read(tables.DAILY_BARS).query("symbol == 'AAA'")["session"])
    shown = ask(desk.config, "data", "quality", "--session", str(BID), "--symbol", "AAA")[1]
    assert f"pass  {JUMP}: 0 offending" in shown
    assert said in shown
    ask(desk.config, "data", "quality", "--docs")
    docs = Workspace.of(load_config(desk.config)).data_docs / "sessions" / f"{BID}.html"
    assert said in docs.read_text(encoding="utf-8")
    log = ask(desk.config, "data", "versions", "quality/confirmed_closes")[1]
    assert "aegis data confirm by j.doe" in " ".join(log.split()) or "bid of 31" in log

    stored = desk.read(tables.RAW_BARS)
    restated = (stored["symbol"] == "AAA") & (stored["session"] == pd.Timestamp(BID))
    desk.write(tables.RAW_BARS, stored.assign(close_raw_usd=stored["close_raw_usd"].mask(restated, 30.8)), FIRST, LAST)
    again = desk.judge()
    assert (again["passed"], again["confirmed_rows"]) == (False, 0)


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ((*WORDS, "--close", "30.7"), "the stored close is 30.75 USD and 30.7 was to be confirmed"),
        ((*WORDS, "--close", "30.75", "--open", "30"), "the stored open is 30.5 USD and 30 was to be confirmed"),
        (("data", "confirm", "AAA", "2014-06-05", "--close", "10.75", "--reason", "why"), "is doubted by no check"),
        (("data", "confirm", "AAB", str(BID), "--close", "30.75", "--reason", "why"), "0 bars are stored"),
        (("data", "confirm", "AAA", "2014-06-07", "--close", "30.75", "--reason", "why"), "2014-06-07"),
        (("data", "confirm", "AAA", str(BID), "--close", "30.75", "--reason", " "), "reason '' cannot stand"),
        ((*WORDS[:-1], "a\nb", "--close", "30.75"), "actor 'a\\nb' cannot stand"),
        (("data", "confirm", "\u202eAAA", str(BID), "--close", "30.75", "--reason", "why"), "is not a symbol"),
    ],
)
def test_what_cannot_be_confirmed_is_refused_in_one_line_and_changes_nothing(
    shared: Desk, ask: Ask, words: tuple[str, ...], refusal: str
) -> None:
    with shared.lake() as store:
        before = Lake(store.connection).snapshot_id()
    status, printed, errors = ask(shared.config, *words)
    assert (status, printed, len(errors.splitlines())) == (2, "", 1)
    assert refusal in errors
    with shared.lake() as store:
        assert Lake(store.connection).snapshot_id() == before


@pytest.mark.parametrize("close", ["0", "-1", "nan", "inf", "ten"])
def test_what_is_no_price_is_refused_by_the_command_line(shared: Desk, ask: Ask, close: str) -> None:
    with pytest.raises(SystemExit) as ended:
        ask(shared.config, *WORDS, "--close", close)
    assert ended.value.code == 2
