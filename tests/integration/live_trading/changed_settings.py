"""Every setting that there is, each changed by itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr

from aegis.config import AegisConfig


def each_changed(config: AegisConfig) -> Iterator[tuple[str, AegisConfig]]:
    """Yield the name of every setting, and the settings with another value of it; others than it are as they were."""
    for path, value in _leaves(config, ()):
        yield ".".join(path), _with(config, path, _other(value))


def _leaves(settings: BaseModel, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if value is None and SecretStr in get_args(type(settings).model_fields[name].annotation):
            value = SecretStr("")
        if isinstance(value, BaseModel):
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name), value


def _with(settings: Any, path: tuple[str, ...], value: Any) -> Any:
    name, *rest = path
    inner = value if not rest else _with(getattr(settings, name), tuple(rest), value)
    return settings.model_copy(update={name: inner})


def _other(value: Any) -> Any:  # noqa: PLR0911 - one line a kind
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value * 1.0001 + 1e-9
    if isinstance(value, date):
        return value + timedelta(days=1)
    if isinstance(value, Path):
        return value / "other"
    if isinstance(value, SecretStr):
        return SecretStr(f"{value.get_secret_value()}x")
    if isinstance(value, tuple):
        return (*value, "other")
    if isinstance(value, dict):
        return {**value, "other": "other"}
    return f"{value or ''}x"
