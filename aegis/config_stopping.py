"""Which account is meant by a configuration that is wrong elsewhere, so that it can be stopped all the same.

Belongs here: reading, of the file and the environment, what chooses a workspace and an account, and nothing else. What
is made of all of it, and what is refused, is :func:`aegis.config.load_config`; nothing but a stop may be asked for with
less.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from aegis.config import (
    NOT_SETTINGS,
    AegisConfig,
    FilesSettings,
    MarketDataSettings,
    RunSettings,
    with_anchored_paths,
)
from aegis.config_file import read_settings_file, settings_file
from aegis.config_refusals import malformed_variable, unknown_names, values_out_of_bounds
from aegis.config_secrets import variable_of
from aegis.errors import ConfigurationError

_CHOOSING_IN_RUN = ("home", "workspace", "account", "source")
_CHOOSING = (
    "run",
    *(f"run.{name}" for name in _CHOOSING_IN_RUN),
    "market_data",
    "market_data.files",
    "market_data.files.folder",
    "market_data.sources",
)
_MISSPELT = 0.65
"""Likeness from which an unknown name may be one of these, as `difflib` counts it: ``rum`` is ``run`` with 0.67."""


def _only(values: Any, names: tuple[str, ...]) -> Any:
    """Return the values with these names; what is no mapping is left for its type to refuse."""
    if values is None:
        return {}
    return {name: values[name] for name in names if name in values} if isinstance(values, Mapping) else values


class _Run(RunSettings):
    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _that_chooses(cls, values: Any) -> Any:
        found = _only(values, _CHOOSING_IN_RUN)
        if isinstance(found, dict) and found.get("workspace"):
            found.pop("source", None)  # it names the workspace where nothing else does
        return found


class _Files(FilesSettings):
    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _that_chooses(cls, values: Any) -> Any:
        return _only(values, ("folder",))


class _MarketData(MarketDataSettings):
    model_config = ConfigDict(extra="ignore")

    files: _Files = _Files()

    @model_validator(mode="before")
    @classmethod
    def _that_chooses(cls, values: Any) -> Any:
        return _only(values, ("files", "sources"))


class _Chosen(BaseSettings):
    model_config = SettingsConfigDict(**{**AegisConfig.model_config, "extra": "ignore"})

    run: _Run = _Run()
    market_data: _MarketData = _MarketData()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win, as it does for all settings."""
        return AegisConfig.settings_customise_sources(
            settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
        )

    @model_validator(mode="before")
    @classmethod
    def _without_a_market_that_names_nothing(cls, values: Any) -> Any:
        run = values.get("run") or {}
        names_the_workspace = isinstance(run, Mapping) and not run.get("workspace") and run.get("source")
        return values if names_the_workspace in ("files", "multi") else _only(values, ("run",))


def config_to_stop(path: Path | None = None) -> AegisConfig:
    """Return settings of which only what leads to the account's kill switch was read; all others are the defaults.

    Parameters
    ----------
    path : Path, optional
        The file, as of :func:`aegis.config.load_config`.

    Raises
    ------
    ConfigurationError
        The file cannot be read or is not YAML, or what chooses the account cannot be understood.

    Notes
    -----
    Where `load_config` succeeds, home, workspace and account are the same.
    """
    file = settings_file(path)
    values = read_settings_file(file)
    try:
        chosen = _Chosen(**{name: values[name] for name in ("run", "market_data") if name in values})
    except SettingsError as error:
        raise ConfigurationError(malformed_variable(error)) from error
    except ValidationError as error:
        raise ConfigurationError(values_out_of_bounds(error, file)) from error
    found = AegisConfig.model_construct(run=chosen.run, market_data=chosen.market_data)
    return with_anchored_paths(found, file.parent)


def doubtful_names(path: Path | None = None) -> tuple[str, ...]:
    """Return unknown keys that may be meant to choose the account, and do not: ``run.acount``, a section ``rum``.

    Raises
    ------
    ConfigurationError
        The file cannot be read or is not YAML.
    """
    values = read_settings_file(settings_file(path))
    unknown = unknown_names(values, AegisConfig, other=NOT_SETTINGS)
    return tuple(sorted({name for name in unknown if _may_choose(name)}))


def likely_home(path: Path | None = None) -> Path:
    """Return where workspaces are if the file, which cannot be read, does not say otherwise."""
    home = os.environ.get(variable_of("run.home")) or RunSettings().home
    return (settings_file(path).parent / Path(home).expanduser()).resolve()


def _may_choose(name: str) -> bool:
    in_run = name.replace("_", ".").startswith("run.")
    return in_run or bool(difflib.get_close_matches(name, _CHOOSING, n=1, cutoff=_MISSPELT))
