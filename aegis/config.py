"""The one configuration file, ``aegis.yaml``, as typed values.

Belongs here: names, types, defaults and bounds of settings, and how they are loaded. What a setting does is said where
it is used. Environment variables override the file: ``AEGIS_RUN__SOURCE=yahoo`` sets ``run.source``. An unknown key is
an error that names the nearest known one.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from aegis.config_account import SIMULATED_ACCOUNT, require_account_of
from aegis.config_brokers import BrokersSettings
from aegis.config_compliance import ComplianceSettings
from aegis.config_drift import DriftSettings
from aegis.config_eval import EvalSettings
from aegis.config_file import CONFIG_FILE_VARIABLE, read_settings_file, settings_file
from aegis.config_monitoring import SMTP_VARIABLES, MonitoringSettings
from aegis.config_quality import QualitySettings
from aegis.config_refusals import (
    malformed_variable,
    refuse_unknown_keys,
    refuse_unknown_variables,
    values_out_of_bounds,
)
from aegis.config_secrets import (
    SECRETS_FILE_VARIABLE,
    URLS_WITHOUT_PASSWORD,
    refuse_secrets_in,
    require_taken,
    secret_settings,
    secrets_in_file,
    variable_of,
    with_secrets,
)
from aegis.config_section import Section
from aegis.config_storage import StorageSettings, password_in
from aegis.config_vendors import AlpacaSettings, CryptoSettings, InteractiveBrokersSettings, YahooSettings
from aegis.errors import ConfigurationError

LIVE_TRADING_VARIABLE = "AEGIS_LIVE_TRADING"
"""Names the account that may trade real money; read where brokers are made, :mod:`aegis.live_trading.live_safety`."""
NOT_SETTINGS = (
    CONFIG_FILE_VARIABLE,
    SECRETS_FILE_VARIABLE,
    "AEGIS_REQUIRE_SERVICES",
    *(f"AEGIS_LAKE_{of}" for of in ("CATALOG", "DATA", "POSTGRES_URL", "POSTGRES_SCHEMA")),
    *(f"AEGIS_LAKE_S3_{of}" for of in ("REGION", "ENDPOINT_URL", "URL_STYLE")),
    LIVE_TRADING_VARIABLE,
    *SMTP_VARIABLES,
)
"""Variables with our prefix that are no settings: which files are read, and what the tests, dbt, the trader and alerts
look at."""


LONGEST_VENDOR_DELAY_MINUTES = 7 * 24 * 60


class RunSettings(Section):
    """Which market, which account and which sessions a run is about."""

    source: Literal["simulated", "files", "yahoo", "alpaca", "interactive_brokers", "crypto", "multi"] = "simulated"
    account: str = Field(
        SIMULATED_ACCOUNT,
        pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$",
        description="`simulated`, or an account that `aegis trade` trades at `eval.live_trading.broker`.",
    )
    account_since: date | None = Field(
        None, description="Session after whose close an account that is traded decides first; nothing is booked before."
    )
    book: str = Field("main", pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")
    workspace: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,80}$")
    home: Path = Path(".aegis")
    first_session: date | None = None
    last_session: date | None = None
    initial_cash_usd: float = Field(1_000_000.0, gt=0)


class SimulatedMarketSettings(Section):
    """The embedded market."""

    seed: int = Field(20140102, ge=0)
    first_session: date = date(2014, 1, 2)
    benchmark_symbol: str = "SIMX"


class FilesSettings(Section):
    """The user's own CSV or Parquet files."""

    folder: Path | None = None
    layout: Literal["auto", "lean", "columns"] = "auto"
    columns: dict[str, str] = Field(default_factory=dict)
    actions_columns: dict[str, str] = Field(default_factory=dict)


class FaultSettings(Section):
    """One fault to plant in what the source delivers, to see the gate refuse it."""

    symbol: str
    session: date
    kind: Literal["negative_price", "duplicate_row", "high_below_low", "missing_bar"]


class CacheSettings(Section):
    """What vendors behind a network answered for final sessions, kept in the workspace."""

    mode: Literal["use", "refresh", "off"] = Field(
        "use", description="`refresh` asks the vendor again and keeps what it says now; `off` neither reads nor keeps."
    )
    max_megabytes: int = Field(2048, ge=1, description="Least recently used answers are dropped beyond it.")


class MinuteBarsSettings(Section):
    """Bars of one minute, which are kept where symbols are named."""

    symbols: tuple[str, ...] = Field((), description="Permanent symbols; none of them, and there are no minute bars.")
    folder: Path | None = Field(None, description="CSV or Parquet files of minute bars, for `run.source: files`.")
    columns: dict[str, str] = Field(default_factory=dict, description="Our names to those of the files.")
    time_is: Literal["opening", "closing"] = Field("opening", description="Which end of its minute a file's time is.")
    outside_hours: Literal["refuse", "leave_out"] = Field(
        "refuse", description="What is done with a file's rows before the opening and after the close."
    )
    price_tolerance: float = Field(0.002, ge=0, le=0.1, description="Of a session's minutes beside its daily bar.")
    volume_tolerance: float = Field(0.1, ge=0, le=1, description="Of their summed volume beside the daily one.")


class MarketDataSettings(Section):
    """Where prices come from and when they are final."""

    calendar: str = "XNYS"
    vendor_delay_minutes: int = Field(15, ge=0, le=LONGEST_VENDOR_DELAY_MINUTES)
    simulated: SimulatedMarketSettings = SimulatedMarketSettings()
    files: FilesSettings = FilesSettings()
    yahoo: YahooSettings = YahooSettings()
    alpaca: AlpacaSettings = AlpacaSettings()
    interactive_brokers: InteractiveBrokersSettings = InteractiveBrokersSettings()
    crypto: CryptoSettings = CryptoSettings()
    sources: tuple[Literal["simulated", "files", "yahoo", "alpaca", "interactive_brokers", "crypto"], ...] = Field(
        (), description="Order of belief for `run.source: multi`."
    )
    cache: CacheSettings = CacheSettings()
    compared_share: float = Field(
        1.0, ge=0, le=1, description="Share of sessions whose bars are compared with a second source, if there is one."
    )
    faults: tuple[FaultSettings, ...] = ()
    minute_bars: MinuteBarsSettings = MinuteBarsSettings()

    @property
    def vendor_delay(self) -> timedelta:
        """Time from the close of a session until its final bars exist."""
        return timedelta(minutes=self.vendor_delay_minutes)


class UniverseSettings(Section):
    """Who may be held."""

    min_history_sessions: int = Field(252, ge=1)
    dollar_volume_window_sessions: int = Field(21, ge=1)
    min_median_dollar_volume_usd: float = Field(100_000.0, ge=0)
    membership_file: Path | None = Field(
        None, description="Index members by date (symbol, from, to, known_at), CSV or Parquet; nobody else may be held."
    )


class SignalSettings(Section):
    """The strategies whose signals are combined, and how strongly they are believed."""

    strategies: tuple[str, ...] = Field(("momentum", "short_term_reversal", "low_volatility_trend"), min_length=1)
    information_coefficient: float = Field(0.03, gt=0, lt=1)


class PortfolioSettings(Section):
    """How signals become weights."""

    max_position_weight: float = Field(0.05, gt=0, le=1)
    max_gross_exposure: float = Field(1.0, gt=0)
    risk_aversion: float = Field(5.0, gt=0)
    turnover_cost_bps: float = Field(10.0, ge=0)
    holding_period_sessions: int = Field(21, ge=1, description="Sessions over which a trade's cost is spread.")
    neutral_exposure: float = Field(
        0.95, ge=0, le=1, description="Gross exposure of the equal-weighted book held when no strategy has an opinion."
    )
    covariance_lookback_sessions: int = Field(252, ge=20)
    min_trade_weight: float = Field(0.0025, ge=0, description="Smaller changes of weight are not traded.")


class RiskSettings(Section):
    """Limits and breakers of the simulated account; live limits stand in ``eval.live_trading.risk_limits``."""

    value_at_risk_lookback_sessions: int = Field(252, ge=20)
    max_value_at_risk_95: float = Field(0.04, gt=0)
    max_gross_exposure: float = Field(1.02, gt=0)
    max_position_weight: float = Field(0.055, gt=0, le=1)
    max_participation_of_volume: float = Field(0.1, gt=0, le=1)
    max_daily_loss: float = Field(0.04, gt=0, lt=1)
    max_drawdown: float = Field(0.15, gt=0, lt=1)
    tripped_exposure: float = Field(0.5, ge=0, lt=1)
    rearm_after_sessions: int = Field(21, ge=1)
    rearm_recovery: float = Field(0.25, ge=0, le=1, description="Share of the drawdown limit that must be regained.")


Weekday = Literal["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]


class ScheduleSettings(Section):
    """Local times of the exchange at which schedules fire, ``HH:MM``; see ``aegis_sensors``."""

    data_fetch: str = Field("16:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    trade_execution: str = Field("09:30", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    monitoring_end_of_day: str = Field("17:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    maintenance_weekday: Weekday = "SUN"
    maintenance: str = Field("06:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    backup: str = Field("18:30", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    backtests_weekday: Weekday = "SAT"
    backtests: str = Field("08:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")


class RetentionSettings(Section):
    """How long snapshots of the lake stay that nothing refers to; without a number, for ever."""

    expire_snapshots_after_days: int | None = Field(None, ge=7)


class AegisConfig(BaseSettings):
    """All settings of one workspace.

    Notes
    -----
    Precedence, highest first: keyword arguments, environment variables (``AEGIS_`` prefix, ``__`` between levels),
    the file. Use :func:`load_config`; the constructor alone does not read the file.
    """

    # Inputs are hidden because pydantic would print a whole section, its keys included, with one wrong number in it.
    model_config = SettingsConfigDict(
        env_prefix="AEGIS_", env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    run: RunSettings = RunSettings()
    storage: StorageSettings = StorageSettings()
    market_data: MarketDataSettings = MarketDataSettings()
    retention: RetentionSettings = RetentionSettings()
    quality: QualitySettings = QualitySettings()
    universe: UniverseSettings = UniverseSettings()
    signals: SignalSettings = SignalSettings()
    portfolio: PortfolioSettings = PortfolioSettings()
    risk: RiskSettings = RiskSettings()
    compliance: ComplianceSettings = ComplianceSettings()
    drift: DriftSettings = DriftSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    schedules: ScheduleSettings = ScheduleSettings()
    brokers: BrokersSettings = BrokersSettings()
    eval: EvalSettings = EvalSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the values read from the file, which arrive as keyword arguments."""
        return env_settings, init_settings

    @model_validator(mode="after")
    def _limits_leave_room_for_the_book(self) -> Self:
        """Refuse a book that its own limits would only ever let shrink."""
        for name in ("max_position_weight", "max_gross_exposure"):
            wanted, limit = getattr(self.portfolio, name), getattr(self.risk, name)
            if wanted > limit:
                raise ValueError(
                    f"portfolio.{name} {wanted:g} exceeds risk.{name} {limit:g}, so every decision would be cut to "
                    f"reducing orders; lower portfolio.{name} or raise risk.{name}"
                )
        if self.portfolio.max_gross_exposure > 1:
            raise ValueError(
                f"portfolio.max_gross_exposure {self.portfolio.max_gross_exposure:g} exceeds 1, and the simulated "
                "account is a cash account that cannot borrow; set portfolio.max_gross_exposure to 1 or less"
            )
        return self

    @property
    def is_traded(self) -> bool:
        """Whether the account is traded, paper or live, and not simulated by the book."""
        return self.run.account != SIMULATED_ACCOUNT

    def require_account(self) -> None:
        """Refuse an account that cannot be simulated or traded as asked; see :func:`require_account_of`."""
        require_account_of(self.run, broker=self.eval.live_trading.broker)

    @property
    def workspace(self) -> str:
        """Folder name of the history this configuration reads and writes; sources never share one."""
        folder = self.market_data.files.folder
        market = "files"
        if self.run.source == "multi":
            market = "-".join(("multi", *self.market_data.sources))
        elif self.run.source != "files" or folder is None:
            market = self.run.source
        elif name := re.sub(r"[^A-Za-z0-9]+", "-", folder.name).strip("-"):
            market = f"files-{name}"
        return self.run.workspace or f"{market}-{self.run.account}"


def load_config(path: Path | None = None) -> AegisConfig:
    """Read ``aegis.yaml`` and the environment.

    Parameters
    ----------
    path : Path, optional
        The file. Default: ``$AEGIS_CONFIG``, else ``aegis.yaml`` in the working directory. Relative paths inside the
        file (``run.home``, report and data folders) are resolved against the file's folder.

    Raises
    ------
    ConfigurationError
        The file cannot be read or is not YAML, a key is unknown, a variable is not the JSON that its setting needs, a
        value is out of bounds, a secret stands in the file, or the secrets file cannot be used. Nothing has been
        changed.
    """
    file = settings_file(path)
    values = read_settings_file(file)
    refuse_unknown_keys(values, AegisConfig, origin=file.name)
    _refuse_password(values, file)
    refuse_secrets_in(values, AegisConfig, origin=file.name)
    refuse_unknown_variables(AegisConfig, other=NOT_SETTINGS)
    secrets = secrets_in_file([variable_of(setting) for setting in secret_settings(AegisConfig)])
    values = with_secrets(values, secrets, AegisConfig)
    try:
        config = AegisConfig(**values)
    except SettingsError as error:
        raise ConfigurationError(malformed_variable(error)) from error
    except ValidationError as error:
        raise ConfigurationError(values_out_of_bounds(error, file)) from error
    require_taken(secrets, config)
    return with_anchored_paths(config, file.parent)


def _refuse_password(values: dict[str, Any], file: Path) -> None:
    storage = values.get("storage")
    if not isinstance(storage, dict):
        return
    for setting in URLS_WITHOUT_PASSWORD:
        if password_in(storage.get(setting.removeprefix("storage."))):
            raise ConfigurationError(
                f"{file.name}: {setting} holds a password, and the file is no place for one; give the whole URL in the "
                f"environment variable {variable_of(setting)}, and change the password"
            )


def with_anchored_paths(config: AegisConfig, folder: Path) -> AegisConfig:
    """Return the settings with relative paths resolved against `folder`."""

    def anchored(path: Path) -> Path:
        return (folder / path.expanduser()).resolve()

    run = config.run.model_copy(update={"home": anchored(config.run.home)})
    reporting = config.eval.reporting.model_copy(update={"storage_path": anchored(config.eval.reporting.storage_path)})
    updates: dict[str, Any] = {"run": run, "eval": config.eval.model_copy(update={"reporting": reporting})}
    data = config.market_data
    if data.files.folder is not None:
        files = data.files.model_copy(update={"folder": anchored(data.files.folder)})
        data = data.model_copy(update={"files": files})
    if data.interactive_brokers.actions_file is not None:
        file = anchored(data.interactive_brokers.actions_file)
        vendor = data.interactive_brokers.model_copy(update={"actions_file": file})
        data = data.model_copy(update={"interactive_brokers": vendor})
    updates["market_data"] = data
    if config.compliance.restricted_list is not None:
        listed = anchored(config.compliance.restricted_list)
        updates["compliance"] = config.compliance.model_copy(update={"restricted_list": listed})
    if config.universe.membership_file is not None:
        file = anchored(config.universe.membership_file)
        updates["universe"] = config.universe.model_copy(update={"membership_file": file})
    return config.model_copy(update=updates)
