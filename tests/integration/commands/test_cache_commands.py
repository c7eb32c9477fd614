"""``aegis cache``: what is kept is listed, hashed, and forgotten by session."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from aegis.clock import SystemClock
from aegis.config import load_config
from aegis.market_data.sources.cached_answers import FETCHED_AT, KEPT_BARS, CachedAnswers, identity_of
from aegis.market_data.sources.source_cache import open_store

Answer = tuple[int, str, str]
Ask = Callable[..., Answer]
SESSIONS = [date(2024, 6, 12), date(2024, 6, 13), date(2024, 6, 14)]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A configuration whose workspace keeps one bar of three sessions."""
    config = tmp_path / "aegis.yaml"
    config.write_text("run:\n  source: yahoo\n  home: home\n", encoding="utf-8")
    rows = pd.DataFrame({"session": pd.to_datetime(SESSIONS), "symbol": "SPY", "ticker": "SPY", "source": "yahoo"})
    prices = dict.fromkeys(("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd"), 100.0)
    times = dict.fromkeys(("known_at_utc", FETCHED_AT), pd.Timestamp("2024-06-14 20:16", tz="UTC"))
    store = open_store(load_config(config), SystemClock())
    bars = KEPT_BARS.conform(rows.assign(**prices, volume_shares=1e6, **times))
    CachedAnswers(store, identity_of(source="yahoo")).keep_new(bars)
    return config


def test_what_is_kept_is_listed(kept: Path, ask: Ask) -> None:
    status, printed, _ = ask(kept, "cache", "show")
    assert status == 0
    assert "cache of yahoo-simulated" in printed
    assert [word in printed for word in ("yahoo", "bars", "2024")] == [True] * 3


def test_an_empty_cache_says_so(tmp_path: Path, ask: Ask) -> None:
    config = tmp_path / "aegis.yaml"
    config.write_text("run:\n  source: yahoo\n  home: home\n", encoding="utf-8")
    status, printed, _ = ask(config, "cache", "show")
    assert (status, printed.strip()) == (0, "nothing is kept for workspace yahoo-simulated")


def test_damage_is_named_once_and_ends_with_status_1(kept: Path, ask: Ask) -> None:
    assert ask(kept, "cache", "verify")[:2] == (0, "1 kept answer(s) are whole, 0 damaged\n")
    (content,) = (kept.parent / "home" / "yahoo-simulated" / "cache" / "objects").iterdir()
    content.write_bytes(content.read_bytes()[:-1])
    status, printed, _ = ask(kept, "cache", "verify")
    assert status == 1
    assert "kind bars, sessions 2024, source yahoo was damaged on disk" in " ".join(printed.split())
    assert ask(kept, "cache", "verify")[:2] == (0, "0 kept answer(s) are whole, 0 damaged\n")


def test_forgotten_sessions_are_counted_and_gone(kept: Path, ask: Ask) -> None:
    status, printed, _ = ask(kept, "cache", "forget", "--from", "2024-06-13", "--to", "2024-06-30")
    assert status == 0
    assert printed.startswith("2 session(s) from 2024-06-13 to 2024-06-30 forgotten")
    store = open_store(load_config(kept), SystemClock())
    left = CachedAnswers(store, identity_of(source="yahoo")).bars(SESSIONS)
    assert left["session"].dt.date.tolist() == [date(2024, 6, 12)]


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (("--from", "2024-06-14", "--to", "2024-06-13"), "--from 2024-06-14 is after --to 2024-06-13"),
        (("--from", "2024-06-13", "--to", "2024-06-14", "--source", "files"), "--source 'files' is not cached"),
    ],
)
def test_what_cannot_be_forgotten_is_refused(kept: Path, ask: Ask, words: tuple[str, ...], refusal: str) -> None:
    status, _, errors = ask(kept, "cache", "forget", *words)
    assert status == 2
    assert refusal in " ".join(errors.split())
