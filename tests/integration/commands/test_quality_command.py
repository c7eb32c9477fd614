"""``aegis data quality``: what it says of a session, of a symbol, and of words that name neither."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from aegis.clock import SystemClock
from aegis.config import load_config
from aegis.lake import tables
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.schema import TableSchema
from aegis.workspace import Workspace
from aegis_resources.market_data import Market
from aegis_sensors.definitions import lake_resource
from aegis_sensors.workspace_identity import claim

Ask = Callable[..., tuple[int, str, str]]

CLEAN, BLOCKED, NEWEST = date(2014, 6, 5), date(2014, 6, 6), date(2014, 6, 9)
SAID = f"AAA {BLOCKED}: low -1 USD: every price must be above 0; correct the row"
CUT = f"AAA {NEWEST}: volume 7 | BBB {NEWEST}: volume 8 | CCC {NEWEST}: volume 9 | and 2 more row(s)"


def verdicts() -> pd.DataFrame:
    """Return two checks of three sessions: one blocks the second, the other warns of five rows of the third."""
    rows = []
    for session in (CLEAN, BLOCKED, NEWEST):
        for check, guilty, outcome, detail, observed in (
            ("prices_are_positive", BLOCKED, "block", SAID, 1.0),
            ("volume_is_near_its_usual", NEWEST, "warn", CUT, 5.0),
        ):
            fails = session == guilty
            rows.append(
                {
                    "session": session, "table": "market_data/raw_bars", "check": check, "check_version": "1",
                    "outcome": outcome if fails else "pass", "is_blocking": outcome == "block",
                    "observed": observed if fails else 0.0, "threshold": 0.0, "detail": detail if fails else None,
                    "content_hash": "c", "snapshot_id": 3,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def write(store: Lake, table: TableSchema, frame: pd.DataFrame, sessions: Sequence[date]) -> None:
    first, last = (sessions[0], sessions[-1]) if sessions else (None, None)
    store.write([Replacement(table, frame, first, last)], CommitMessage(table.key, "", "a run", "1"))


@pytest.fixture(scope="module")
def judged(
    tmp_path_factory: pytest.TempPathFactory, write_config: Callable[..., Path], write_bars: Callable[[Path], None]
) -> Path:
    """Return the configuration of a lake with verdicts written by hand; only its pages are written to."""
    folder = tmp_path_factory.mktemp("judged")
    write_bars(folder / "prices")
    config = write_config(folder, run={"source": "files"}, market_data={"files": {"folder": "prices"}})
    settings = load_config(config)
    market = Market(settings, SystemClock())
    claim(settings, Workspace.of(settings))
    aside = {"session": NEWEST, "symbol": "AAA", "check": "opens_stay_near_closes", "reason": "an open of 99"}
    mended = {"session": NEWEST, "symbol": "SPY", "column": "ticker", "check": "texts_have_no_blanks_around_them"}
    span = [CLEAN, NEWEST]
    with lake_resource(Workspace.of(settings)).open() as store:
        write(store, tables.LISTINGS, market.source.listings(), [])
        write(store, tables.RAW_BARS, market.source.bars(CLEAN, NEWEST), span)
        write(store, tables.CHECK_RESULTS, verdicts(), span)
        row = dict.fromkeys(tables.QUARANTINED_BARS.column_names) | aside
        write(store, tables.QUARANTINED_BARS, tables.QUARANTINED_BARS.conform(pd.DataFrame([row])), span)
        write(store, tables.REPAIRED_VALUES, pd.DataFrame([mended | {"original": "SPY ", "repaired": "SPY"}]), span)
    return config


def said(ask: Ask, config: Path, *words: str) -> list[str]:
    status, printed, errors = ask(config, "data", "quality", *words)
    assert (status, errors) == (0, "")
    return printed.splitlines()


def test_the_newest_session_is_said_the_worst_first_with_rows_set_aside_and_repairs(judged: Path, ask: Ask) -> None:
    assert said(ask, judged) == [
        f"session {NEWEST}: 1 warn, 1 pass",
        "      warn  volume_is_near_its_usual: 5 offending, 0 allowed",
        f"            {CUT}",
        "      pass  prices_are_positive: 0 offending, 0 allowed",
        " set aside  AAA by opens_stay_near_closes: an open of 99",
        "  repaired  SPY ticker: 'SPY ' is taken as 'SPY' (texts_have_no_blanks_around_them)",
    ]


def test_a_symbol_is_told_what_names_it_and_what_stops_its_session(judged: Path, ask: Ask) -> None:
    assert said(ask, judged, "--session", str(BLOCKED), "--symbol", "AAA") == [
        f"AAA {BLOCKED}: 1 of 2 checks name it",
        "     block  prices_are_positive: 1 offending, 0 allowed",
        f"            {SAID}",
    ]
    assert said(ask, judged, "--session", str(BLOCKED), "--symbol", "SPY") == [
        f"SPY {BLOCKED}: 0 of 2 checks name it",
        "   session  blocked by prices_are_positive: no row of it is used, this symbol's neither",
    ]
    assert said(ask, judged, "--session", str(CLEAN), "--symbol", "SPY") == [f"SPY {CLEAN}: 0 of 2 checks name it"]


def test_a_symbol_that_a_shortened_detail_may_have_left_out_is_not_called_clean(judged: Path, ask: Ask) -> None:
    told = said(ask, judged, "--symbol", "SPY")
    assert told[0] == f"SPY {NEWEST}: 0 of 2 checks name it"
    assert told[1].startswith("  repaired  SPY ticker")
    assert told[2].startswith("     maybe  volume_is_near_its_usual (warn): 5 rows offend and the first are named; SPY")
    assert len(told) == 3


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (("--symbol", "aaa"), "has no symbol 'aaa'; the nearest is AAA"),
        (("--symbol", "../x"), "is not a symbol"),
        (("--symbol", "<script>"), "is not a symbol"),
        (("--session", "2014-06-07"), "2014-06-07 is not a session of XNYS; the one before is 2014-06-06"),
        (("--session", "2014-06-10"), "no verdict in quality/check_results: judged are 2014-06-05 to 2014-06-09"),
        (("--docs", "--symbol", "AAA"), "leave --session and --symbol out"),
        (("--docs", "--session", "2014-06-06"), "leave --session and --symbol out"),
    ],
)
def test_a_wrong_word_is_refused_in_one_line(judged: Path, ask: Ask, words: tuple[str, ...], refusal: str) -> None:
    status, printed, errors = ask(judged, "data", "quality", *words)
    assert (status, printed, len(errors.splitlines())) == (2, "", 1)
    assert refusal in errors


def test_a_word_that_is_no_date_is_refused_by_the_command_line(judged: Path, ask: Ask) -> None:
    with pytest.raises(SystemExit) as ended:
        ask(judged, "data", "quality", "--session", "yesterday")
    assert ended.value.code == 2


def test_the_program_writes_pages_that_lead_to_each_other(judged: Path, aegis: Ask) -> None:
    status, printed, errors = aegis(judged, "data", "quality", "--docs")
    assert (status, errors) == (0, "")
    page = Path(printed.split(": ", 1)[1].strip())
    links = re.findall(r'href="([^"]+)"', page.read_text(encoding="utf-8"))
    assert links == [f"sessions/{BLOCKED}.html", f"sessions/{NEWEST}.html"]
    for address in links:
        text = (page.parent / address).read_text(encoding="utf-8")
        back = re.findall(r'href="([^"]+)"', text)
        assert [(page.parent / address).parent.joinpath(word).resolve() for word in back] == [page.resolve()]
    assert SAID in (page.parent / links[0]).read_text(encoding="utf-8")
