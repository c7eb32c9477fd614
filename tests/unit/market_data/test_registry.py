from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from aegis.calendars import trading_calendar
from aegis.clock import FixedClock
from aegis.config import AegisConfig
from aegis.errors import ConfigurationError
from aegis.market_data.multi_source import MultiSource
from aegis.market_data.sources.cached import CachedSource, RefreshedSource
from aegis.market_data.sources.files import FilesSource
from aegis.market_data.sources.registry import open_source
from aegis.market_data.sources.yahoo import YahooSource

XNYS = trading_calendar("XNYS")
FRIDAY_EVENING = FixedClock(datetime(2014, 6, 6, 22, 0, tzinfo=UTC))
FRIDAY_NOON = FixedClock(datetime(2014, 6, 6, 16, 0, tzinfo=UTC))


def config(tmp_path: Path, **run: object) -> AegisConfig:
    days = ["2014-06-04", "2014-06-05", "2014-06-06", "2014-06-09"]
    rows = "\n".join(f"{day},1,1,1,1,1" for day in days)
    (tmp_path / "SPY.csv").write_text(f"date,open,high,low,close,volume\n{rows}\n", encoding="utf-8")
    return AegisConfig.model_validate(
        {"run": {"source": "files"} | run, "market_data": {"files": {"folder": tmp_path}}}
    )


def test_files_answer_up_to_the_last_session_with_final_bars(tmp_path: Path) -> None:
    evening = open_source(config(tmp_path), XNYS, FRIDAY_EVENING)
    noon = open_source(config(tmp_path), XNYS, FRIDAY_NOON)
    assert isinstance(evening, FilesSource)
    assert evening.session_range() == (date(2014, 6, 4), date(2014, 6, 6))
    assert noon.session_range() == (date(2014, 6, 4), date(2014, 6, 5))


def test_the_configured_last_session_limits_the_source_even_on_a_weekend(tmp_path: Path) -> None:
    for last in ("2014-06-05", "2014-06-08"):
        found = open_source(config(tmp_path, last_session=last), XNYS, FRIDAY_EVENING).session_range()[1]
        assert found == min(date.fromisoformat(last), date(2014, 6, 6))


def test_a_first_session_after_the_last_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"run\.first_session: 2014-06-09 is after 2014-06-06"):
        open_source(config(tmp_path, first_session="2014-06-09"), XNYS, FRIDAY_EVENING)


def test_a_last_session_before_the_calendar_is_refused_by_its_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"run\.last_session: XNYS has no session up to 1890-01-01"):
        open_source(config(tmp_path, last_session="1890-01-01"), XNYS, FRIDAY_EVENING)


@pytest.mark.parametrize(
    ("name", "calendar"), [("alpaca", "XNYS"), ("interactive_brokers", "XNYS"), ("crypto", "24/7")]
)
def test_every_source_behind_a_network_is_cached(tmp_path: Path, name: str, calendar: str) -> None:
    settings = AegisConfig.model_validate({"run": {"source": name, "home": tmp_path}})
    found = open_source(settings, trading_calendar(calendar), FRIDAY_EVENING)
    assert isinstance(found, CachedSource)
    assert (found.name, found.is_simulated) == (name, False)


def test_crypto_is_opened_on_a_calendar_of_every_day_only() -> None:
    settings = AegisConfig.model_validate({"run": {"source": "crypto"}})
    with pytest.raises(ConfigurationError, match=r"market_data\.calendar: 'XNYS' has days without a session"):
        open_source(settings, XNYS, FRIDAY_EVENING)


@pytest.mark.parametrize(("mode", "kind"), [("use", CachedSource), ("refresh", RefreshedSource), ("off", YahooSource)])
def test_a_source_behind_a_network_is_opened_with_its_cache_and_without_a_call(
    tmp_path: Path, mode: str, kind: type
) -> None:
    settings = {"run": {"source": "yahoo", "home": tmp_path / "home"}, "market_data": {"cache": {"mode": mode}}}
    found = open_source(AegisConfig.model_validate(settings), XNYS, FRIDAY_EVENING)
    assert type(found) is kind
    assert (found.name, found.benchmark_symbol) == ("yahoo", "SPY")
    assert not (tmp_path / "home").exists()


def test_several_sources_are_opened_in_their_order(tmp_path: Path) -> None:
    settings = config(tmp_path, source="multi")
    data = settings.market_data.model_copy(update={"sources": ("alpaca", "files", "interactive_brokers", "yahoo")})
    found = open_source(settings.model_copy(update={"market_data": data}), XNYS, FRIDAY_EVENING)
    assert isinstance(found, MultiSource)
    assert [(source.name, type(source)) for source in found._sources] == [
        ("alpaca", CachedSource),
        ("files", FilesSource),
        ("interactive_brokers", CachedSource),
        ("yahoo", CachedSource),
    ]


def test_several_sources_need_a_list(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"market_data\.sources: expected two sources or more"):
        open_source(config(tmp_path, source="multi"), XNYS, FRIDAY_EVENING)
