"""What the asset ``market_data/universe`` stored, beside the same worked out from the stored rows in plain loops."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from aegis.config import AegisConfig, SimulatedMarketSettings
from aegis.lake import tables
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.market_data.corporate_actions import normalise_actions
from aegis.market_data.sources.optional_answers import instruments
from aegis.market_data.sources.simulated import SimulatedSource
from aegis.market_data.sources.simulated_market.instruments import INSTRUMENTS
from aegis_sensors.jobs import FETCH_MARKET_DATA
from tests.integration.conftest import CALENDAR, Chain
from tests.recomputed_universe import ExchangeDays, StoredRows, recomputed_universe, stored_universe

FIRST, LAST = date(2014, 6, 2), date(2014, 10, 14)
UNIVERSE = dg.AssetKey(["market_data", "universe"])
UP_TO_THE_UNIVERSE = [
    dg.AssetKey(key.split("/"))
    for key in (
        "market_data/listings",
        "market_data/instruments",
        "market_data/raw_bars",
        "market_data/corporate_actions",
        "market_data/daily_bars",
        "quality/source_agreement",
        "quality/check_results",
        "quality/quarantined_bars",
        "quality/repaired_values",
    )
]
KINDS = {
    "member",
    "member; halted in this session, no volume",
    "not tradable",
    "not in the index",
    "delisting announced for #",
    "no bar in this session",
    "history: # bars in the last # sessions",
    "median dollar volume # USD is below # USD",
}


def compare(chain: Chain, sessions: Iterable[date]) -> Counter[str]:
    """Compare each of the sessions and return how often each kind of reason was given."""
    kinds: Counter[str] = Counter()
    days = ExchangeDays(date(2013, 1, 2), date(2020, 12, 31), timedelta(minutes=15))
    with chain.lake() as lake:
        rows = StoredRows.of(lake, chain.config.universe.membership_file)
        stored_rows = stored_universe(lake)
        for session in sessions:
            expected = recomputed_universe(session, rows, days, chain.config)
            found = stored_rows.get(session, {})
            assert found.keys() == expected.keys(), session
            for symbol, row in expected.items():
                stored, median = dict(found[symbol]), row["median_dollar_volume_usd"]
                assert stored.pop("median_dollar_volume_usd") == pytest.approx(median, rel=1e-12), (session, symbol)
                assert stored == {name: row[name] for name in stored}, (session, symbol)
                assert len(stored) == len(row) - 1
            kinds.update(re.sub(r"[\d-]+", "#", str(row["reason"])) for row in expected.values())
    return kinds


def write_members(folder: Path, lines: Iterable[str]) -> Path:
    file = folder / "members.csv"
    file.write_text("\n".join(["symbol,from,to,known_at", *lines]) + "\n", encoding="utf-8")
    return file


def on(frame: pd.DataFrame, symbol: str, first: date, last: date = LAST) -> pd.Series[bool]:
    return (frame["symbol"] == symbol) & frame["session"].between(pd.Timestamp(first), pd.Timestamp(last))


def plant(lake: Lake) -> None:
    """Write a summer with a newcomer, a rename, a delisting, halts, gaps, blocked sessions and facts told late."""
    source = SimulatedSource(SimulatedMarketSettings(), CALENDAR, last_session=LAST, vendor_delay=timedelta(minutes=15))
    bars, listings = source.bars(FIRST, LAST), source.listings()
    gone = on(bars, "NZLO", FIRST, date(2014, 8, 14)) | on(bars, "KRQW", date(2014, 10, 6))
    gone |= bars["session"].isin(pd.to_datetime([date(2014, 9, 17), date(2014, 9, 18)]))
    gone |= on(bars, "FVZQ", date(2014, 9, 2), date(2014, 9, 5))
    draw = random.Random(20140602)  # noqa: S311 - the same rows in every run
    gone |= pd.Series([draw.random() < 0.01 for _ in range(len(bars))]) & (bars["symbol"] != "JQNZ")
    # Eleven sessions: when the last two begin the window of forty, 38 are there, and of the ten oldest none.
    gone |= on(bars, "JQNZ", date(2014, 7, 1), date(2014, 7, 16))
    bars.loc[on(bars, "AVQR", date(2014, 10, 1), date(2014, 10, 2)), "volume_shares"] = 0.0

    listings.loc[listings["symbol"] == "NZLO", "first_session"] = pd.Timestamp(2014, 8, 15)
    listings.loc[listings["symbol"] == "KRQW", "last_session"] = pd.Timestamp(2014, 10, 3)
    renamed = listings[listings["symbol"] == "WZLQ"].assign(first_session=pd.Timestamp(2014, 9, 2), ticker="WZTQ")
    listings.loc[listings["symbol"] == "WZLQ", "last_session"] = pd.Timestamp(2014, 8, 29)

    facts = instruments(source, CALENDAR)
    moved = facts[facts["symbol"] == "PHZQ"].assign(sector="Consumer", industry="Food Products", lot_shares=100.0)
    told = [(date(2014, 8, 4), 1), (date(2014, 9, 8), 9)]  # the second after it began
    later = [
        moved.assign(
            first_session=pd.Timestamp(day),
            known_at_utc=pd.Timestamp(day, tz="UTC") + pd.Timedelta(days=late, hours=20),
            sector=f"Sector {late}",
        )
        for day, late in told
    ]
    delisting = {"session": date(2014, 10, 6), "symbol": "KRQW", "action": "delisting"}
    delisting["known_at_utc"] = datetime(2014, 9, 24, 20, 15, tzinfo=UTC)  # the instant of that session's decision
    actions = normalise_actions(pd.DataFrame([delisting]), CALENDAR, source="simulated")
    lake.create_tables(tables.MARKET_TABLES)
    lake.write(
        [
            Replacement(tables.DAILY_BARS, bars[~gone][list(tables.DAILY_BARS.column_names)], FIRST, LAST),
            Replacement(tables.LISTINGS, pd.concat([listings, renamed])),
            Replacement(tables.INSTRUMENTS, pd.concat([facts, *later])),
            Replacement(tables.CORPORATE_ACTIONS, actions, FIRST, LAST),
        ],
        CommitMessage("by hand", f"{FIRST}..{LAST}", "test", "1"),
    )


def test_the_stored_universe_is_what_plain_loops_make_of_the_stored_rows(tmp_path: Path) -> None:
    symbols = [i.symbol for i in INSTRUMENTS if i.first_session == 0 and i.symbol not in ("CRZQ", "TVZQ", "OLQZ")]
    spells = [
        "TVZQ,2014-06-02,2014-08-20,",
        "TVZQ,2014-09-10,,2014-09-04T12:00:00-04:00",
        "SIMX,2014-06-02,,",
        "OLQZ,2014-09-02,,2014-09-12T16:15:00-04:00",  # told ten days after it began, at the instant of the decision
    ]
    sections: dict[str, Any] = {
        "run": {"home": tmp_path / "home", "first_session": FIRST, "last_session": LAST},
        "universe": {
            "min_history_sessions": 40,
            "dollar_volume_window_sessions": 6,
            "min_median_dollar_volume_usd": 45e6,
            "membership_file": write_members(tmp_path, [*spells, *(f"{symbol},2014-06-02,," for symbol in symbols)]),
        },
    }
    chain = Chain(AegisConfig(**sections))
    with chain.lake() as lake:
        plant(lake)
    first = date(2014, 7, 28)

    chain.run(FETCH_MARKET_DATA, first, LAST, assets=[UNIVERSE])

    kinds = compare(chain, CALENDAR.sessions(first, LAST))
    assert set(kinds) == KINDS
    decided = chain.read(tables.UNIVERSE, first=first, last=LAST)
    assert decided["session"].nunique() == len(CALENDAR.sessions(first, LAST)) - 2, "two sessions were blocked"
    assert set(decided.loc[decided["symbol"] == "PHZQ", "sector"]) == {"Health Care", "Sector 1", "Sector 9"}
    assert set(decided.loc[decided["symbol"] == "WZLQ", "ticker"]) == {"WZLQ", "WZTQ"}


@pytest.mark.long
def test_the_universe_of_ten_random_dates_in_six_years(tmp_path: Path) -> None:
    """2014 to March 2020: newcomers, a rename, a delisting, an index that changes, sessions that the gate blocked."""
    first, last = date(2014, 1, 2), date(2020, 3, 31)
    draw = random.Random(20140102)  # noqa: S311 - the same dates in every run
    sessions = CALENDAR.sessions(first, last)
    ten = sorted(draw.sample(sessions[252:], 10))
    events = [date(2016, 12, 2), date(2017, 8, 2), date(2018, 10, 18), date(2019, 12, 30), date(2020, 1, 3)]
    near = sorted({CALENDAR.offset(day, draw.randint(-9, 9)) for day in events for _ in range(4)})
    faults = [
        {"symbol": "TVZQ", "session": CALENDAR.offset(day, -draw.randint(1, 200)), "kind": kind}
        for day in ten
        for kind in ("missing_bar", "negative_price", "duplicate_row")
    ]
    companies = ["AVQR", "NZLO", "QBYZ", "VRXQ", "XOVZ", "MDQL", "PHZQ", "BQVZ", "DRZQ", "RZTQ", "TZRQ"]
    spells = [f"{symbol},2014-01-02,," for symbol in ("SIMX", "LZQU", "ZNQL", "GZOQ", "WZLQ", "YQGZ", "TVZQ")]
    for symbol in companies:
        begin = draw.choice(sessions[:600])
        end = CALENDAR.offset(begin, draw.randint(100, 500))
        back = CALENDAR.offset(end, draw.randint(1, 200))
        told = CALENDAR.offset(back, draw.randint(-20, 20))
        spells += [f"{symbol},{begin},{end},", f"{symbol},{back},,{told}T{draw.choice(['09:00', '16:20'])}:00-05:00"]
    sections = {
        "run": {"home": tmp_path / "home", "first_session": first, "last_session": last},
        "market_data": {"faults": faults},
        "universe": {
            "membership_file": write_members(tmp_path, spells),
            "min_median_dollar_volume_usd": 30e6,
        },
    }
    chain = Chain(AegisConfig(**sections))
    chain.run(FETCH_MARKET_DATA, first, last, assets=UP_TO_THE_UNIVERSE, raise_on_error=False)
    chain.run(FETCH_MARKET_DATA, first, last, assets=[UNIVERSE])

    kinds = compare(chain, ten) + compare(chain, near)

    blocked = set(sessions) - set(chain.read(tables.DAILY_BARS)["session"].dt.date)
    print(f"dates {', '.join(map(str, ten))}; near events {len(near)}; blocked {len(blocked)}; {dict(kinds)}")
    assert len(blocked) > 5
    assert KINDS - set(kinds) <= {"member; halted in this session, no volume", "no bar in this session"}
