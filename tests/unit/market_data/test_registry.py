from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from aegis.calendars import trading_calendar
from aegis.clock import FixedClock
from aegis.config import AegisConfig
from aegis.errors import ConfigurationError
from aegis.market_data.sources.alpaca import AlpacaSource
from aegis.market_data.sources.crypto import CryptoSource
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


def test_yahoo_is_opened_without_asking_the_network() -> None:
    settings = AegisConfig.model_validate({"run": {"source": "yahoo"}})
    found = open_source(settings, XNYS, FRIDAY_EVENING)
    assert isinstance(found, YahooSource)
    assert found.benchmark_symbol == "SPY"


def test_alpaca_is_opened_without_keys_and_without_asking_the_network() -> None:
    found = open_source(AegisConfig.model_validate({"run": {"source": "alpaca"}}), XNYS, FRIDAY_EVENING)
    assert isinstance(found, AlpacaSource)
    assert (found.name, found.is_simulated) == ("alpaca", False)


def test_crypto_is_opened_on_a_calendar_of_every_day_only() -> None:
    settings = AegisConfig.model_validate({"run": {"source": "crypto"}})
    assert isinstance(open_source(settings, trading_calendar("24/7"), FRIDAY_EVENING), CryptoSource)
    with pytest.raises(ConfigurationError, match=r"market_data\.calendar: 'XNYS' has days without a session"):
        open_source(settings, XNYS, FRIDAY_EVENING)
