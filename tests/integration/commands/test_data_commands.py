"""``aegis data``: reading, comparing, correcting and keeping versions of a lake that was written by hand.

Ten sessions of two symbols from a folder of files, and one order decided on them: enough to correct a price and to ask
what rested on it, without a run of the whole chain.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from aegis.clock import SystemClock
from aegis.config import load_config
from aegis.lake import tables
from aegis.lake.attachment import connect
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.schema import TableSchema
from aegis.workspace import Workspace
from aegis_resources.market_data import Market
from aegis_sensors.definitions import lake_resource
from aegis_sensors.workspace_identity import claim

Ask = Callable[..., tuple[int, str, str]]

CORRECTED, DECIDED = date(2014, 6, 5), date(2014, 6, 9)
ORDER = "0f" * 16
HOSTILE = [
    "'; DROP TABLE lake.market_data.daily_bars; --",
    '"',
    "../../etc/passwd",
    "AAA\0",
    "A" * 10_000,
    "\u202eAAA",
    "<script>alert(1)</script>",
    "[red]AAA[/red]",
]


@dataclass(frozen=True)
class ByHand:
    """A configuration, and the snapshot that the order was decided at."""

    config: Path
    decided_at: int

    def lake_now(self) -> tuple[int, set[str]]:
        workspace = Workspace.of(load_config(self.config))
        with connect(workspace.lake) as connection:
            return Lake(connection).snapshot_id(), {str(p) for p in workspace.folder.rglob("*.parquet")}


def write(store: Lake, table: TableSchema, frame: pd.DataFrame, first: date | None, last: date | None) -> int:
    message = CommitMessage(table.key, f"{first}..{last}" if first else "", "a run", "1")
    return store.write([Replacement(table, frame, first, last)], message)


def order(snapshot_id: int) -> pd.DataFrame:
    row: dict[str, object] = {c.name: "text" if c.kind == "text" else 1.0 for c in tables.ORDERS.columns}
    row |= {"session": DECIDED, "execution_session": DECIDED, "account": "simulated", "client_order_id": ORDER}
    row |= {"symbol": "AAA", "is_reducing": False, "gate_outcome": "approved", "input_snapshot_id": snapshot_id}
    return pd.DataFrame([row | {"known_at_utc": pd.Timestamp("2014-06-09 20:15", tz="UTC")}])


@pytest.fixture
def by_hand(tmp_path: Path, write_config: Callable[..., Path], write_bars: Callable[[Path], None]) -> ByHand:
    return make(tmp_path, write_config, write_bars)


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory,
    write_config: Callable[..., Path],
    write_bars: Callable[[Path], None],
) -> ByHand:
    """Return a lake that tests only read."""
    return make(tmp_path_factory.mktemp("shared"), write_config, write_bars)


def make(folder: Path, write_config: Callable[..., Path], write_bars: Callable[[Path], None]) -> ByHand:
    write_bars(folder / "prices")
    config = write_config(folder, run={"source": "files"}, market_data={"files": {"folder": "prices"}})
    settings = load_config(config)
    workspace, market = Workspace.of(settings), Market(settings, SystemClock())
    claim(settings, workspace)
    first, last = market.session_range()
    with lake_resource(workspace).open() as store:
        write(store, tables.LISTINGS, market.source.listings(), None, None)
        bars = market.source.bars(first, last)
        write(store, tables.RAW_BARS, bars, first, last)
        write(store, tables.DAILY_BARS, bars, first, last)
        write(store, tables.ENSEMBLE_SIGNALS, tables.ENSEMBLE_SIGNALS.empty(), DECIDED, DECIDED)
        decided_at = store.snapshot_id()
        write(store, tables.ORDERS, order(decided_at), DECIDED, DECIDED)
    return ByHand(config, decided_at)


def corrected_file(folder: Path, close: float) -> str:
    file = folder / "rows.csv"
    file.write_text(f"session,symbol,close_raw_usd\n{CORRECTED},AAA,{close}\n", encoding="utf-8")
    return str(file)


def test_a_correction_is_a_new_version_that_says_which_order_rested_on_the_old_one(
    by_hand: ByHand, ask: Ask, tmp_path: Path
) -> None:
    rows = corrected_file(tmp_path, 10.8)
    status, printed, errors = ask(by_hand.config, "data", "correct", "--rows", rows, "--reason", "vendor restated it")
    assert status == 0, errors
    assert "close_raw_usd 10.75 → 10.8" in printed
    assert "signals/ensemble_signals is outdated in 1 sessions, 2014-06-09..2014-06-09" in printed
    assert ORDER in printed
    assert "make run FROM=2014-06-05" in printed

    def close(as_of: str) -> str:
        words = ("data", "read", "market_data/daily_bars", "--as-of", as_of, "--symbol", "AAA")
        status, printed, errors = ask(by_hand.config, *words, "--session", str(CORRECTED), "--format", "csv")
        assert status == 0, errors
        (row,) = csv.DictReader(io.StringIO(printed))
        return row["close_raw_usd"]

    assert close(str(by_hand.decided_at)) == "10.75"
    assert close("latest") == "10.8"
    _, listed, _ = ask(by_hand.config, "data", "versions", "market_data/daily_bars", "--json")
    newest = json.loads(listed)[-1]
    assert newest["reason"] == "vendor restated it"
    _, lines, _ = ask(by_hand.config, "data", "versions", "market_data/daily_bars")
    assert "run aegis data correct by " in lines, "a command is no run of Dagster, whose digits are shortened"
    assert newest["rows"]["market_data/daily_bars"]["added"] >= 2
    status, again, _ = ask(by_hand.config, "data", "diff", str(by_hand.decided_at), "latest", "--json")
    found = {entry["table"]: entry for entry in json.loads(again)}
    assert found["market_data/daily_bars"]["rows"] == {"changed": 1}
    assert found["market_data/daily_bars"]["client_order_ids"] == [ORDER]


@pytest.mark.parametrize(("close", "reason", "refusal"), [(9.0, "typo", "bracket"), (10.8, "  ", "reason")])
def test_a_correction_that_the_gate_blocks_or_nobody_explains_changes_nothing(
    by_hand: ByHand, ask: Ask, tmp_path: Path, close: float, reason: str, refusal: str
) -> None:
    before = by_hand.lake_now()
    status, _, errors = ask(
        by_hand.config, "data", "correct", "--rows", corrected_file(tmp_path, close), "--reason", reason
    )
    assert status == 2
    assert refusal in errors
    assert by_hand.lake_now() == before


def test_an_expiry_shows_first_and_spares_what_orders_and_persons_refer_to(by_hand: ByHand, ask: Ask) -> None:
    ask(by_hand.config, "data", "keep", "3", "--reason", "the auditor asked")
    newest, _ = by_hand.lake_now()
    status, printed, errors = ask(by_hand.config, "data", "expire", "--older-than", "1")
    assert status == 0, errors
    assert "0 snapshots before" in printed, "all of them are younger than a day"
    status, printed, errors = ask(by_hand.config, "data", "expire", "--older-than", "99999999999")
    assert (status, "0 snapshots before" in printed) == (0, True), errors
    assert by_hand.lake_now()[0] == newest
    _, listed, _ = ask(by_hand.config, "data", "versions", "--json")
    assert {entry["snapshot_id"]: entry["kept_because"] for entry in json.loads(listed)}[3] == "the auditor asked"


@pytest.mark.parametrize(
    "text", [text if number < 2 else pytest.param(text, marks=pytest.mark.long) for number, text in enumerate(HOSTILE)]
)
def test_hostile_words_are_refused_and_change_nothing(shared: ByHand, ask: Ask, text: str, tmp_path: Path) -> None:
    before = shared.lake_now()
    for words in (
        ("versions", text),
        ("read", text),
        ("read", "market_data/daily_bars", "--as-of", text),
        ("read", "market_data/daily_bars", "--symbol", text),
        ("diff", text, "latest"),
        ("diff", "1", text),
        ("diff", "1", "--table", text),
        ("keep", text, "--reason", "why"),
    ):
        status, printed, errors = ask(shared.config, "data", *words)
        assert status == 2, words
        assert "Traceback" not in errors
        if len(text) > 100 or not text.isprintable():
            assert text not in printed + errors, "what does not print is escaped, and what is long cut"
        assert len(errors) < 1_000
    file = tmp_path / "rows.parquet"
    pd.DataFrame({"session": [str(CORRECTED)], "symbol": [text], "close_raw_usd": [1.0]}).to_parquet(file)
    status, _, errors = ask(shared.config, "data", "correct", "--rows", str(file), "--reason", "why")
    assert (status, "is not a symbol" in errors) == (2, True)
    assert shared.lake_now() == before


def test_a_wrong_name_is_answered_with_the_nearest(shared: ByHand, ask: Ask) -> None:
    for words, nearest in (
        (("read", "market_data/daily_bar"), "market_data/daily_bars"),
        (("read", "market_data/daily_bars", "--symbol", "AAB"), "the nearest is AAA"),
        (("read", "market_data/daily_bars", "--as-of", "999"), "nearest"),
        (("read", "market_data/daily_bars", "--as-of", "2001-01-01"), "first snapshot is 0"),
        (("read", "market_data/listings", "--session", "2014-06-05"), "has no sessions"),
    ):
        status, _, errors = ask(shared.config, "data", *words)
        assert (status, nearest in errors) == (2, True), errors


def test_a_file_holds_every_row_and_the_terminal_the_first(shared: ByHand, ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "bars.parquet"
    words = ("data", "read", "market_data/daily_bars")
    status, _, errors = ask(shared.config, *words, "--format", "parquet", "--output", str(file))
    assert status == 0, errors
    assert pq.read_table(file).num_rows == 20
    _, printed, _ = ask(shared.config, *words, "--limit", "3")
    assert "20 rows, the first 3 of them" in printed
    assert len(printed.splitlines()) == 1 + 1 + 3 + 1
