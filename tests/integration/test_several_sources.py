"""Several sources and the cache as configured, with alpaca-py itself against a server on this machine.

The server's request count is the number of network calls; the second source is a folder of the user's own files.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from aegis.calendars import trading_calendar
from aegis.clock import FixedClock
from aegis.config import AegisConfig
from aegis.errors import SourceUnavailable
from aegis.market_data.ingestion import compare_with_other_sources, fetch_raw_bars
from aegis.market_data.sources.optional_answers import fetch_notes
from aegis.market_data.sources.registry import open_source
from aegis.market_data.sources.source import MarketDataSource
from aegis.workspace import Workspace
from tests.integration.vendors.alpaca_server import KEY_ID, SECRET_KEY, AlpacaServer, alpaca_bar
from tests.integration.vendors.transport_faults import PASSING, REFUSALS
from tests.integration.vendors.vendor_server import Altered, Fault, Hang

XNYS = trading_calendar("XNYS")
FIRST, THURSDAY, FRIDAY = date(2024, 6, 3), date(2024, 6, 13), date(2024, 6, 14)
DAYS = XNYS.sessions(FIRST, FRIDAY)
SYMBOLS = ("AAPL", "MSFT", "SPY")
FRIDAY_EVENING = FixedClock(datetime(2024, 6, 14, 20, 16, tzinfo=UTC))
THURSDAY_EVENING = FixedClock(datetime(2024, 6, 13, 20, 16, tzinfo=UTC))

WAITED_FOR = "429 with Retry-After"
"""Is waited for in real time here; test_alpaca_source has it."""
FAULTS = {name: fault for name, (fault, _) in (PASSING | REFUSALS).items() if name != WAITED_FOR}


@pytest.fixture
def server() -> Iterator[AlpacaServer]:
    with AlpacaServer({symbol: [alpaca_bar(day, 100.0) for day in DAYS] for symbol in SYMBOLS}) as started:
        assert isinstance(started, AlpacaServer)
        yield started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The user's own files of the same sessions, a hundredth of a dollar higher."""
    files = tmp_path / "files"
    files.mkdir()
    for symbol in SYMBOLS:
        rows = "".join(f"{day},100.01,101.01,99.01,100.01,1000000\n" for day in DAYS)
        (files / f"{symbol}.csv").write_text(f"date,open,high,low,close,volume\n{rows}", encoding="utf-8")
    return files


def opened(
    server: AlpacaServer,
    folder: Path,
    *,
    source: str = "multi",
    clock: FixedClock = FRIDAY_EVENING,
    patience_seconds: float = 20.0,
    **data: Any,
) -> MarketDataSource:
    """Open what the configuration names, as a process of its own."""
    alpaca = {
        "symbols": SYMBOLS, "first_session": FIRST, "url": server.url, "key_id": KEY_ID, "secret_key": SECRET_KEY,
        "attempts": 2, "timeout_seconds": patience_seconds, "first_pause_seconds": 0.0, "longest_pause_seconds": 0.0,
    }  # fmt: skip
    settings = {
        "run": {"source": source, "home": folder.parent / "home"},
        "market_data": {"sources": ("alpaca", "files"), "files": {"folder": folder}, "alpaca": alpaca, **data},
    }
    return open_source(AegisConfig.model_validate(settings), XNYS, clock)


def sources_of(source: MarketDataSource, session: date) -> dict[str, str]:
    bars = fetch_raw_bars(source, [session], last_complete=FRIDAY, has_ended=False)
    assert bars["session"].dt.date.unique().tolist() == [session]
    return dict(zip(bars["symbol"], bars["source"], strict=True))


def test_a_second_fetch_of_final_sessions_makes_no_network_call(server: AlpacaServer, folder: Path) -> None:
    first = opened(server, folder, source="alpaca")
    told = fetch_raw_bars(first, DAYS, last_complete=FRIDAY, has_ended=False)
    first.listings()
    calls = server.count
    assert calls == 2  # bars and actions

    second = opened(server, folder, source="alpaca")
    assert fetch_raw_bars(second, DAYS, last_complete=FRIDAY, has_ended=False).equals(told)
    assert second.listings().equals(first.listings())
    assert second.session_range() == (FIRST, FRIDAY)
    assert second.corporate_actions(FIRST, FRIDAY).empty
    assert server.count == calls


def test_the_next_day_asks_for_its_own_session_only(server: AlpacaServer, folder: Path) -> None:
    sources_of(opened(server, folder, source="alpaca", clock=THURSDAY_EVENING), THURSDAY)
    calls = server.count
    friday = opened(server, folder, source="alpaca")
    sources_of(friday, THURSDAY)
    assert server.count == calls
    sources_of(friday, FRIDAY)
    assert server.count == calls + 2


def test_without_the_cache_every_process_asks(server: AlpacaServer, folder: Path) -> None:
    for _ in range(2):
        sources_of(opened(server, folder, source="alpaca", cache={"mode": "off"}), FRIDAY)
    assert server.count == 4
    config = AegisConfig.model_validate({"run": {"source": "alpaca", "home": folder.parent / "home"}})
    assert not Workspace.of(config).cache.exists()


def test_no_key_is_in_the_cache(server: AlpacaServer, folder: Path) -> None:
    sources_of(opened(server, folder, source="alpaca"), FRIDAY)
    kept = [file.read_bytes() for file in (folder.parent / "home").rglob("*") if file.is_file()]
    assert len(kept) > 4
    for secret in (KEY_ID, SECRET_KEY):
        assert not any(secret.encode() in content for content in kept)


def test_a_healthy_first_source_gives_every_bar(server: AlpacaServer, folder: Path) -> None:
    assert sources_of(opened(server, folder), FRIDAY) == dict.fromkeys(SYMBOLS, "alpaca")


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_every_fault_of_the_first_source_is_answered_by_the_second(
    server: AlpacaServer, folder: Path, fault: Fault
) -> None:
    server.always = fault
    source = opened(server, folder, patience_seconds=0.3 if isinstance(fault, Hang) else 20.0)
    assert sources_of(source, FRIDAY) == dict.fromkeys(SYMBOLS, "files")
    reasons = [note for note in fetch_notes(source) if note.startswith("alpaca: Source")]
    assert len(reasons) == 1
    assert "Alpaca: " in reasons[0]
    assert SECRET_KEY not in reasons[0]


def test_an_answer_without_bars_is_answered_by_the_second(server: AlpacaServer, folder: Path) -> None:
    server.bars = {}
    assert sources_of(opened(server, folder), FRIDAY) == dict.fromkeys(SYMBOLS, "files")


def test_a_malformed_answer_is_answered_by_the_second(server: AlpacaServer, folder: Path) -> None:
    server.always = Altered(lambda _: {"bars": {"AAPL": [{"t": "yesterday", "c": "a lot"}]}})
    source = opened(server, folder)
    assert sources_of(source, FRIDAY) == dict.fromkeys(SYMBOLS, "files")
    assert any(note.startswith("alpaca: ") for note in fetch_notes(source))


def test_a_stale_first_source_is_completed_by_the_second(server: AlpacaServer, folder: Path) -> None:
    server.bars = {symbol: rows[:-1] for symbol, rows in server.bars.items()}
    source = opened(server, folder)
    assert sources_of(source, THURSDAY) == dict.fromkeys(SYMBOLS, "alpaca")
    assert sources_of(source, FRIDAY) == dict.fromkeys(SYMBOLS, "files")
    assert "alpaca: stale, its last session is 2024-06-13 and 2024-06-14 was due" in fetch_notes(source)


def test_a_bar_that_the_first_source_lacks_comes_from_the_second(server: AlpacaServer, folder: Path) -> None:
    server.bars["MSFT"] = server.bars["MSFT"][:-1]
    assert sources_of(opened(server, folder), FRIDAY) == {"AAPL": "alpaca", "MSFT": "files", "SPY": "alpaca"}


@pytest.mark.parametrize("fault", ["malformed", "stale", "without the symbol"])
def test_faults_of_the_second_source_do_not_touch_the_first(server: AlpacaServer, folder: Path, fault: str) -> None:
    for file in folder.iterdir():
        if fault == "malformed":
            file.write_text("not a table", encoding="utf-8")
        elif fault == "stale":
            file.write_text("".join(file.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")
    if fault == "without the symbol":
        (folder / "MSFT.csv").unlink()
    assert sources_of(opened(server, folder), FRIDAY) == dict.fromkeys(SYMBOLS, "alpaca")


def test_when_both_fail_the_error_names_both_reasons(server: AlpacaServer, folder: Path) -> None:
    server.always = next(iter(PASSING.values()))[0]
    for file in folder.iterdir():
        file.write_text("date,open\n2024-06-14,1\n", encoding="utf-8")
    words = r"alpaca: SourceUnavailable: Alpaca: .*HTTP 429.* \| files: MalformedData"
    with pytest.raises(SourceUnavailable, match=words):
        opened(server, folder).bars(FRIDAY, FRIDAY)


def test_the_same_bars_of_both_are_put_side_by_side(server: AlpacaServer, folder: Path) -> None:
    source = opened(server, folder)
    bars = fetch_raw_bars(source, DAYS, last_complete=FRIDAY, has_ended=False)
    found = compare_with_other_sources(source, bars, compared_share=1.0)
    assert len(found) == len(DAYS) * len(SYMBOLS)
    assert set(found["source"]) == {"alpaca"}
    assert set(found["other_source"]) == {"files"}
    assert found["close_ratio"].tolist() == [pytest.approx(1.0001)] * len(found)
