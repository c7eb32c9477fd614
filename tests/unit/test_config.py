"""The configuration file: what it accepts, what it refuses, and which value wins."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from aegis.config import load_config
from aegis.errors import ConfigurationError

# The block that users were promised, letter for letter.
PROMISED_BLOCK = """\
eval:
  backtesting:
    engine: "event_driven"
    slippage_model: "fixed"
    slippage_basis_points: 5
    transaction_cost_bps: 1
  execution:
    default_algorithm: "vwap"
    participation_rate: 0.1
    interval_minutes: 5
  live_trading:
    broker: "alpaca"
    paper_trading: true
    risk_limits:
      max_position_size: 0.05
      max_daily_loss: 0.02
      max_drawdown: 0.1
  metrics:
    reporting_currency: "USD"
    risk_free_rate: 0.02
    benchmark_symbol: "SPY"
  reporting:
    frequency: "daily"
    formats: ["pdf", "html", "csv"]
    storage_path: "./reports/"
"""


def _file(folder: Path, text: str) -> Path:
    file = folder / "aegis.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_promised_block_loads_as_it_stands(tmp_path: Path) -> None:
    settings = load_config(_file(tmp_path, PROMISED_BLOCK)).eval

    assert settings.backtesting.engine == "event_driven"
    assert settings.backtesting.slippage_model == "fixed"
    assert settings.backtesting.slippage_basis_points == 5.0
    assert settings.backtesting.transaction_cost_bps == 1.0
    assert settings.execution.default_algorithm == "vwap"
    assert settings.execution.participation_rate == 0.1
    assert settings.execution.interval_minutes == 5
    assert settings.live_trading.broker == "alpaca"
    assert settings.live_trading.paper_trading is True
    assert settings.live_trading.risk_limits.max_position_size == 0.05
    assert settings.live_trading.risk_limits.max_daily_loss == 0.02
    assert settings.live_trading.risk_limits.max_drawdown == 0.1
    assert settings.metrics.reporting_currency == "USD"
    assert settings.metrics.risk_free_rate == 0.02
    assert settings.metrics.benchmark_symbol == "SPY"
    assert settings.reporting.frequency == "daily"
    assert settings.reporting.formats == ("pdf", "html", "csv")
    assert settings.reporting.storage_path == tmp_path / "reports"


def test_the_file_of_the_repository_loads_and_holds_the_promised_block() -> None:
    file = Path(__file__).resolve().parents[2] / "aegis.yaml"

    assert PROMISED_BLOCK in file.read_text(encoding="utf-8")
    assert load_config(file).run.account == "simulated"


def test_an_empty_file_gives_the_simulated_account_of_the_simulated_market(tmp_path: Path) -> None:
    config = load_config(_file(tmp_path, ""))

    assert (config.run.source, config.run.account, config.workspace) == (
        "simulated",
        "simulated",
        "simulated-simulated",
    )


def test_each_source_has_a_workspace_of_its_own(tmp_path: Path) -> None:
    names = {
        load_config(_file(tmp_path, f"run: {{source: {source}}}")).workspace
        for source in ("simulated", "files", "yahoo", "alpaca", "interactive_brokers", "crypto")
    }

    assert len(names) == 6


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ("portfolio: {max_position_wieght: 0.1}", "portfolio.max_position_wieght", "portfolio.max_position_weight"),
        (
            "eval: {execution: {participation: 0.1}}",
            "eval.execution.participation",
            "eval.execution.participation_rate",
        ),
        ("portfolo: {}", "portfolo", "portfolio"),
        ("risk_aversion: 3", "risk_aversion", "portfolio.risk_aversion"),
    ],
)
def test_an_unknown_key_is_refused_and_the_nearest_is_named(tmp_path: Path, text: str, key: str, nearest: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load_config(_file(tmp_path, text))

    assert f"unknown key {key};" in str(refusal.value)
    assert str(refusal.value).endswith(f"the nearest known key is {nearest}")
    assert "aegis.yaml" in str(refusal.value)


def test_an_unknown_environment_variable_is_refused_and_the_nearest_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEGIS_RUN__SORCE", "yahoo")

    with pytest.raises(ConfigurationError, match=r"AEGIS_RUN__SORCE.*nearest known key is run\.source$"):
        load_config(_file(tmp_path, ""))


@pytest.mark.parametrize("key", ["foo", "xyzzy", "home_dir"])
def test_a_name_that_is_near_to_nothing_is_refused_with_the_sections(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load_config(_file(tmp_path, f"{key}: 1"))

    assert f"unknown key {key}; sections are run, storage, " in str(refusal.value)


def test_a_variable_in_small_letters_is_refused_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("aegis_run__sorce", "yahoo")

    with pytest.raises(ConfigurationError, match=r"unknown variable aegis_run__sorce; .*run\.source$"):
        load_config(_file(tmp_path, ""))


def test_variables_that_dbt_reads_are_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = ("CATALOG", "DATA", "POSTGRES_URL", "POSTGRES_SCHEMA", "S3_REGION", "S3_ENDPOINT_URL", "S3_URL_STYLE")
    for place in places:
        monkeypatch.setenv(f"AEGIS_LAKE_{place}", "/somewhere/else")

    assert "/somewhere/else" not in load_config(_file(tmp_path, "")).model_dump_json()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AEGIS_SIGNALS__STRATEGIES", "momentum", "Expecting value at character 1 of 'momentum'"),
        (
            "AEGIS_MARKET_DATA__FAULTS",
            '[{"symbol": "TVZQ"]',
            "Expecting ',' delimiter at character 19 of '[{\"symbol\": \"TVZQ\"]'",
        ),
        ("AEGIS_MARKET_DATA__FILES__COLUMNS", "close=px", "Expecting value at character 1 of 'close=px'"),
    ],
)
def test_a_variable_that_is_not_json_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv("AEGIS_RUN__BOOK", "main")
    monkeypatch.setenv(variable, value)

    with pytest.raises(ConfigurationError) as refusal:
        load_config(_file(tmp_path, ""))

    assert f"{variable} must be JSON" in str(refusal.value)
    assert said in str(refusal.value)
    assert "correct the value" in str(refusal.value)


def test_a_variable_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _file(tmp_path, "run: {source: files, initial_cash_usd: 5000}")
    monkeypatch.setenv("AEGIS_RUN__SOURCE", "yahoo")

    config = load_config(file)

    assert config.run.source == "yahoo"
    assert config.run.initial_cash_usd == 5000.0, "a variable must not reset its neighbours in the section"


def test_variables_reach_nested_lists_dates_and_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_EVAL__REPORTING__FORMATS", '["csv"]')
    monkeypatch.setenv("AEGIS_RUN__FIRST_SESSION", "2014-06-09")
    monkeypatch.setenv("AEGIS_MARKET_DATA__FILES__FOLDER", "/prices of mine")

    config = load_config(_file(tmp_path, ""))

    assert config.eval.reporting.formats == ("csv",)
    assert config.run.first_session == date(2014, 6, 9)
    assert config.market_data.files.folder == Path("/prices of mine")


def test_the_file_is_named_by_the_environment_or_stands_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    _file(tmp_path, "run: {book: here}")
    elsewhere = _file(tmp_path / "elsewhere", "run: {book: there}")
    monkeypatch.chdir(tmp_path)

    assert load_config().run.book == "here"
    monkeypatch.setenv("AEGIS_CONFIG", str(elsewhere))
    assert load_config().run.book == "there"


def test_relative_paths_belong_to_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").mkdir()
    given = (
        "run: {home: data/aegis}\nmarket_data: {files: {folder: ../prices}, interactive_brokers: {actions_file: a.csv}}"
    )
    file = _file(tmp_path / "project", given)
    monkeypatch.chdir(tmp_path)

    config = load_config(file)

    assert config.run.home == tmp_path / "project" / "data" / "aegis"
    assert config.market_data.files.folder == tmp_path / "prices"
    assert config.market_data.interactive_brokers.actions_file == tmp_path / "project" / "a.csv"
    assert config.eval.reporting.storage_path == tmp_path / "project" / "reports"


def test_an_absolute_path_is_left_alone(tmp_path: Path) -> None:
    assert load_config(_file(tmp_path, "run: {home: /srv/aegis}")).run.home == Path("/srv/aegis")


@pytest.mark.parametrize(
    ("text", "location", "found"),
    [
        ("portfolio: {max_position_weight: 1.5}", "portfolio.max_position_weight", "1.5"),
        ("run: {initial_cash_usd: 0}", "run.initial_cash_usd", "0"),
        ("run: {source: bloomberg}", "run.source", "'bloomberg'"),
        ("run: {account: 'Two Words'}", "run.account", "'Two Words'"),
        ("run: {first_session: yesterday}", "run.first_session", "'yesterday'"),
        ("eval: {reporting: {formats: [docx]}}", "eval.reporting.formats.0", "'docx'"),
        ("eval: {metrics: {reporting_currency: EUR}}", "eval.metrics.reporting_currency", "'EUR'"),
        ("schedules: {data_fetch: '25:00'}", "schedules.data_fetch", "'25:00'"),
        ("quality: {stale_repeat_sessions: two}", "quality.stale_repeat_sessions", "'two'"),
        ("eval: {backtesting: {slippage_basis_points: 20000}}", "eval.backtesting.slippage_basis_points", "20000"),
        ("eval: {backtesting: {transaction_cost_bps: 1001}}", "eval.backtesting.transaction_cost_bps", "1001"),
        ("market_data: {vendor_delay_minutes: 100000000000}", "market_data.vendor_delay_minutes", "100000000000"),
        ("portfolio: {neutral_exposure: 5}", "portfolio.neutral_exposure", "5"),
        ("portfolio: {risk_aversion: .inf}", "portfolio.risk_aversion", "inf"),
        ("risk: {max_value_at_risk_95: .nan}", "risk.max_value_at_risk_95", "nan"),
        ("run: {initial_cash_usd: .inf}", "run.initial_cash_usd", "inf"),
        ("quality: {unexplained_jump: .inf}", "quality.unexplained_jump", "inf"),
        ("quality: {unexplained_jump: 2.5}", "quality.unexplained_jump", "2.5"),
        ("signals: {strategies: []}", "signals.strategies", "[]"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_its_place_and_what_was_found(
    tmp_path: Path, text: str, location: str, found: str
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load_config(_file(tmp_path, text))

    assert f"{location}: " in str(refusal.value)
    assert f"(found {found})" in str(refusal.value)
    assert "correct the value" in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "portfolio: {max_position_weight: 0.10}",
            "portfolio.max_position_weight 0.1 exceeds risk.max_position_weight 0.055, so every decision would be cut",
        ),
        ("risk: {max_position_weight: 0.049}", "portfolio.max_position_weight 0.05 exceeds risk.max_position_weight"),
        ("risk: {max_gross_exposure: 0.9}", "portfolio.max_gross_exposure 1 exceeds risk.max_gross_exposure 0.9, so"),
        (
            "{portfolio: {max_gross_exposure: 1.5}, risk: {max_gross_exposure: 2}}",
            "portfolio.max_gross_exposure 1.5 exceeds 1, and the simulated account is a cash account",
        ),
    ],
)
def test_settings_that_would_silently_end_all_buying_are_refused_by_both_names(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load_config(_file(tmp_path, text))

    assert str(refusal.value).startswith(f"aegis.yaml or the environment: {complaint}")
    assert re.search(r"; (lower|set) portfolio\.max_\w+ (or raise risk|to 1)", str(refusal.value))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("run: {account: paper, source: yahoo}", "set run.account_since to the session after whose close it decides"),
        ("run: {account_since: 2024-01-02}", "run.account_since 2024-01-02 is for an account that is traded"),
        (
            "run: {account: paper, account_since: 2024-01-02}",
            "would trade symbols of the invented market (run.source: simulated) at 'alpaca'",
        ),
    ],
)
def test_an_account_that_is_traded_has_a_beginning_and_a_real_market(tmp_path: Path, text: str, told: str) -> None:
    config = load_config(_file(tmp_path, text))  # a stop must be possible whatever the account is
    with pytest.raises(ConfigurationError, match=re.escape(told)):
        config.require_account()


def test_any_account_but_the_simulated_one_is_traded(tmp_path: Path) -> None:
    simulated = load_config(_file(tmp_path, ""))
    simulated.require_account()
    assert not simulated.is_traded
    for text in (
        "run: {account: paper, account_since: 2024-01-02, source: yahoo}",
        "{run: {account: paper, account_since: 2024-01-02}, eval: {live_trading: {broker: simulated}}}",
    ):
        traded = load_config(_file(tmp_path, text))
        traded.require_account()
        assert traded.is_traded


def test_a_cap_at_its_limit_is_no_contradiction(tmp_path: Path) -> None:
    text = "{portfolio: {max_position_weight: 0.1, max_gross_exposure: 1}, risk: {max_position_weight: 0.1}}"
    assert load_config(_file(tmp_path, text)).portfolio.max_position_weight == 0.1


@pytest.mark.parametrize(
    ("text", "reason"),
    [("run: [unclosed", "not valid YAML"), ("- a\n- list\n", "must be a mapping of sections, found list")],
)
def test_a_file_that_is_not_a_mapping_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        load_config(_file(tmp_path, text))


def test_a_section_that_is_not_a_mapping_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="risk"):
        load_config(_file(tmp_path, "risk: high"))


def test_a_folder_in_place_of_the_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"{tmp_path} cannot be read: .*set AEGIS_CONFIG to a readable"):
        load_config(tmp_path)


def test_a_file_that_is_not_utf_8_is_refused_with_the_remedy(tmp_path: Path) -> None:
    file = tmp_path / "aegis.yaml"
    file.write_bytes(b"run: {account: na\xefve}\n")

    with pytest.raises(ConfigurationError, match=r"aegis\.yaml cannot be read: .*0xef.*text file in UTF-8"):
        load_config(file)


def test_a_missing_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist; run from the repository or set AEGIS_CONFIG"):
        load_config(tmp_path / "aegis.yaml")


def test_settings_cannot_be_changed_after_loading(tmp_path: Path) -> None:
    config = load_config(_file(tmp_path, ""))

    with pytest.raises(ValueError, match="frozen"):
        config.run.initial_cash_usd = 1.0  # type: ignore[misc]
