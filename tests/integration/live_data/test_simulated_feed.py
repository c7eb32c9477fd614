"""The simulated market as a feed: what it tells at each instant, and that a backtest of the session reads the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.clock import FixedClock, SimulatedClock
from aegis.config import AegisConfig
from aegis.errors import ConfigurationError
from aegis.execution.algorithms.observation import NOTHING_OBSERVED
from aegis.lake import tables
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.live_data.port import LiveMarketData
from aegis.live_data.registry import live_market_data, live_source
from aegis.live_data.session_history import GeneratedSessions, StoredSessions
from aegis.live_data.simulated import SimulatedMarketData
from aegis.market_data.sources.minute_source import open_minute_source
from aegis.market_data.sources.registry import open_source
from tests.unit.live_data.feeds import WrittenDown

XNYS = trading_calendar("XNYS")
SESSION, HALF_DAY = date(2014, 11, 26), date(2014, 11, 28)
OPENS, CLOSES = XNYS.open_utc(SESSION), XNYS.close_utc(SESSION)
MINUTE = timedelta(minutes=1)
CONFIG = AegisConfig.model_validate(
    {"eval": {"live_trading": {"market_data": {"source": "simulated", "simulated": {"half_spread_bps": 2.0}}}}}
)


GENERATED = GeneratedSessions(CONFIG, XNYS)


def started(clock: SimulatedClock, listener: WrittenDown | None = None) -> LiveMarketData:
    settings = CONFIG.eval.live_trading.market_data
    feed = SimulatedMarketData(GENERATED, clock=clock, calendar=XNYS, settings=settings, listener=listener)
    feed.start()
    return feed


@pytest.fixture(scope="module")
def backtested() -> pd.DataFrame:
    """The minutes that the lake gets of these sessions after their close, and a backtest reads."""
    source = open_source(CONFIG, XNYS, FixedClock(datetime(2014, 12, 1, 22, tzinfo=UTC)))
    symbols = sorted(source.bars(SESSION, SESSION)["symbol"])[:3]
    return open_minute_source(CONFIG, XNYS, source).minute_bars([SESSION, HALF_DAY], symbols)


@pytest.fixture(scope="module")
def symbols(backtested: pd.DataFrame) -> frozenset[str]:
    return frozenset(backtested["symbol"])


def test_every_minute_is_told_once_when_it_has_ended_and_is_that_of_the_backtest(
    backtested: pd.DataFrame, symbols: frozenset[str]
) -> None:
    clock, heard = SimulatedClock(OPENS), WrittenDown()
    feed = live_market_data(CONFIG, clock, calendar=XNYS, ticker_of=str, listener=heard)
    feed.start()
    feed.watch(symbols)
    told = 0
    while clock.now_utc() < XNYS.close_utc(HALF_DAY):
        clock.advance_to(clock.now_utc() + 7 * MINUTE)
        feed.step()
        assert all(minute.closes_at_utc <= clock.now_utc() for minute in heard.minutes[told:])
        told = len(heard.minutes)
    of_session = backtested.sort_values(["closes_at_utc", "symbol"])
    expected = [
        (row.symbol, row.closes_at_utc.to_pydatetime(), row.open_raw_usd, row.high_raw_usd, row.low_raw_usd,
         row.close_raw_usd, row.volume_shares)
        for row in of_session.itertuples()
    ]  # fmt: skip
    found = [
        (m.symbol, m.closes_at_utc, m.open_usd, m.high_usd, m.low_usd, m.close_usd, m.volume_shares)
        for m in sorted(heard.minutes, key=lambda m: (m.closes_at_utc, m.symbol))
    ]
    assert found == expected


def test_an_observation_is_the_last_close_with_half_a_spread_and_the_volume_so_far(
    backtested: pd.DataFrame, symbols: frozenset[str]
) -> None:
    instant = OPENS + timedelta(minutes=42, seconds=30)
    feed = started(SimulatedClock(instant))
    feed.watch(symbols)
    for symbol in symbols:
        ended = backtested[(backtested["symbol"] == symbol) & (backtested["closes_at_utc"] <= instant)]
        last, volume = ended["close_raw_usd"].iloc[-1], ended["volume_shares"].sum()
        found = feed.observe(symbol)
        assert found.bid_usd == pytest.approx(last * 0.9998, rel=1e-12)
        assert found.ask_usd == pytest.approx(last * 1.0002, rel=1e-12)
        assert (found.quoted_at_utc, found.volume_shares) == (instant, volume)
        assert found.volume_at_utc == OPENS + 42 * MINUTE


def test_nothing_that_comes_later_changes_what_is_known(symbols: frozenset[str]) -> None:
    instant = OPENS + timedelta(minutes=42, seconds=30)
    early = started(SimulatedClock(instant))
    early.watch(symbols)
    clock, heard = SimulatedClock(OPENS - timedelta(days=1)), WrittenDown()
    stepped = started(clock, heard)
    stepped.watch(symbols)
    for seconds in range(0, 24 * 3600 + 42 * 60, 600):
        clock.advance_to(OPENS - timedelta(days=1) + timedelta(seconds=seconds))
        stepped.step()
    clock.advance_to(instant)
    assert {symbol: stepped.observe(symbol) for symbol in symbols} == {s: early.observe(s) for s in symbols}


def test_before_the_opening_the_close_before_is_quoted_for_a_while_and_after_the_close_the_quote_grows_old(
    symbols: frozenset[str],
) -> None:
    symbol = min(symbols)
    source = open_source(CONFIG, XNYS, FixedClock(CLOSES + timedelta(hours=1)))
    before = source.bars(date(2014, 11, 25), date(2014, 11, 25)).set_index("symbol")["close_raw_usd"][symbol]
    clock = SimulatedClock(OPENS - timedelta(minutes=30))
    feed = started(clock)
    feed.watch(frozenset({symbol}))
    found = feed.observe(symbol)
    assert found.bid_usd == pytest.approx(before * 0.9998, rel=1e-12)
    assert found.quoted_at_utc == clock.now_utc()
    clock.advance_to(CLOSES + timedelta(minutes=3))
    late = feed.observe(symbol)
    assert (late.quoted_at_utc, late.volume_at_utc) == (CLOSES, CLOSES)
    assert not late.has_quote(clock.now_utc(), timedelta(seconds=120))


def test_a_symbol_that_nobody_knows_has_a_problem_and_the_others_go_on(symbols: frozenset[str]) -> None:
    feed = started(SimulatedClock(OPENS + 5 * MINUTE))
    feed.watch(symbols | {"NOBODY"})
    assert feed.observe("NOBODY").bid_usd is None
    assert feed.observe("NEVER-WATCHED") == NOTHING_OBSERVED
    health = feed.health()
    assert health.symbols["NOBODY"].problem == f"no bar of {SESSION}; take it out of the orders"
    assert all(health.symbols[symbol].problem == "" for symbol in symbols)
    assert all(feed.observe(symbol).bid_usd is not None for symbol in symbols)
    feed.close()
    feed.close()
    assert not feed.health().stream.is_connected


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """Real prices by hand: AAA trades, BBB is halted, CCC has minute bars of its own, AAA splits 2:1 today."""
    with connect(LakeLocation(tmp_path_factory.mktemp("lake"))) as connection:
        lake = Lake(connection)
        lake.create_tables([tables.DAILY_BARS, tables.MINUTE_BARS, tables.CORPORATE_ACTIONS])
        rows = [
            (date(2014, 11, 25), "AAA", 40.0, 41.0, 39.0, 40.5, 8_000.0),
            (SESSION, "AAA", 20.0, 21.0, 19.5, 20.25, 9_000.0),
            (SESSION, "BBB", 9.0, 9.0, 9.0, 9.0, 0.0),
            (SESSION, "CCC", 5.0, 5.5, 5.0, 5.5, 300.0),
        ]
        names = ("session", "symbol", "open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd", "volume_shares")
        daily = pd.DataFrame(rows, columns=list(names))
        known = pd.to_datetime(daily["session"]).dt.tz_localize("UTC") + pd.Timedelta(hours=22)
        daily = daily.assign(ticker=daily["symbol"], source="files", known_at_utc=known)
        minutes = pd.DataFrame(
            [(SESSION, "CCC", OPENS + 2 * MINUTE, 5.0, 5.5, 5.0, 5.5, 300.0)],
            columns=[*names[:2], "closes_at_utc", *names[2:]],
        ).assign(source="files", known_at_utc=CLOSES)
        action = pd.DataFrame(
            {
                "session": [SESSION], "symbol": ["AAA"], "action": ["split"], "split_ratio": [2.0],
                "dividend_usd": [0.0], "pay_session": [pd.NaT], "new_ticker": [None], "source": ["files"],
                "known_at_utc": [OPENS],
            }
        )  # fmt: skip
        first = date(2014, 11, 25)
        lake.write(
            [
                Replacement(tables.DAILY_BARS, tables.DAILY_BARS.conform(daily), first, SESSION),
                Replacement(tables.MINUTE_BARS, tables.MINUTE_BARS.conform(minutes), first, SESSION),
                Replacement(tables.CORPORATE_ACTIONS, tables.CORPORATE_ACTIONS.conform(action), first, SESSION),
            ],
            CommitMessage("trial", "", "run", "1"),
        )
        yield lake


class _Held:
    """A lake that stays open."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def __call__(self) -> _Held:
        return self

    def __enter__(self) -> Lake:
        return self._lake

    def __exit__(self, *_: object) -> None:
        pass


def test_a_past_session_of_any_source_is_played_from_the_lake(stored: Lake) -> None:
    run = CONFIG.run.model_copy(update={"source": "files"})
    config = CONFIG.model_copy(update={"run": run})
    clock, heard = SimulatedClock(OPENS - MINUTE), WrittenDown()
    feed = live_market_data(config, clock, calendar=XNYS, ticker_of=str, open_lake=_Held(stored), listener=heard)
    feed.start()
    feed.watch(frozenset({"AAA", "BBB", "CCC", "DDD"}))
    assert feed.observe("AAA").bid_usd == pytest.approx(20.25 * 0.9998), "40.50 before a split of two for one"
    clock.advance_to(CLOSES)
    feed.step()
    bars = {symbol: feed.minutes(symbol) for symbol in ("AAA", "CCC")}
    assert [(bar.closes_at_utc, bar.volume_shares) for bar in bars["CCC"]] == [(OPENS + 2 * MINUTE, 300.0)]
    opened, high, low = (
        bars["AAA"][0].open_usd,
        max(b.high_usd for b in bars["AAA"]),
        min(b.low_usd for b in bars["AAA"]),
    )
    assert (opened, high, low, bars["AAA"][-1].close_usd) == (20.0, 21.0, 19.5, 20.25)
    assert np.sum([bar.volume_shares for bar in bars["AAA"]]) == 9_000.0
    assert [(halt.symbol, halt.is_halted) for halt in heard.halts] == [("BBB", True)]
    assert feed.observe("BBB").bid_usd is None
    assert feed.health().symbols["DDD"].problem.startswith("no bar of 2014-11-26")


def test_a_session_that_the_lake_does_not_have_stops_its_symbols_until_there_is_one(stored: Lake) -> None:
    history = StoredSessions(_Held(stored), CONFIG, XNYS)
    assert history.session(SESSION, ["AAA"]).symbols == {"AAA"}
    run = CONFIG.run.model_copy(update={"source": "files"})
    clock = SimulatedClock(XNYS.open_utc(HALF_DAY) + 5 * MINUTE)
    feed = live_market_data(
        CONFIG.model_copy(update={"run": run}), clock, calendar=XNYS, ticker_of=str, open_lake=_Held(stored)
    )
    feed.start()
    feed.watch(frozenset({"AAA"}))
    assert feed.observe("AAA").bid_usd is None
    assert "2014-11-28: the lake has no bar of AAA; materialize the session" in feed.health().symbols["AAA"].problem


def test_the_source_is_that_of_the_broker_unless_one_is_named() -> None:
    def config(**trading: object) -> AegisConfig:
        return AegisConfig.model_validate({"eval": {"live_trading": trading}})

    assert live_source(config()) == "alpaca"
    assert live_source(config(broker="simulated")) == "simulated"
    assert live_source(config(broker="multi", market_data={"source": "yahoo"})) == "yahoo"
    with pytest.raises(ConfigurationError, match="several brokers have no market data in common; name one of"):
        live_source(config(broker="multi"))
    files = CONFIG.model_copy(update={"run": CONFIG.run.model_copy(update={"source": "files"})})
    with pytest.raises(ConfigurationError, match=r"run\.source is 'files'; give the lake"):
        live_market_data(files, SimulatedClock(OPENS), calendar=XNYS, ticker_of=str)
