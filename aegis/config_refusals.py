"""What is said to a configuration that cannot be used: which key or variable, what was found, what to do.

Belongs here: unknown names with the nearest known one, and the words for malformed values. The settings themselves, and
where they are read from, are :mod:`aegis.config`.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError

from aegis.errors import ConfigurationError

_PREFIX = "AEGIS_"
_NEAR = 0.7
"""Ratio of :mod:`difflib` above which a name counts as near: one letter of four may be wrong."""
_SECRET = re.compile(r"key_id|secret|password|token|postgres_url|webhook_url", re.IGNORECASE)
"""Names of settings whose values are never shown, not even when they are malformed."""


def refuse_unknown_keys(values: Mapping[str, Any], model: type[BaseModel], *, origin: str) -> None:
    """Refuse a key of `values`, at any depth, that `model` does not have.

    Raises
    ------
    ConfigurationError
        Names `origin`, the key and the nearest known one.
    """
    for key in _unknown_keys(values, model):
        raise ConfigurationError(f"{origin}: unknown key {key}{_suggest(key, model)}")


def refuse_unknown_variables(model: type[BaseModel], *, other: Collection[str]) -> None:
    """Refuse a variable of the environment that begins like ours, sets nothing in `model` and is not one of `other`.

    Raises
    ------
    ConfigurationError
        Names the variable and the nearest known key.
    """
    for variable in _unknown_variables(model, other):
        raise ConfigurationError(f"environment: unknown variable {variable}{_suggest(_key_of(variable), model)}")


def unknown_names(values: Mapping[str, Any], model: type[BaseModel], *, other: Collection[str]) -> Iterator[str]:
    """Return, as keys, what both of the above refuse."""
    yield from _unknown_keys(values, model)
    yield from (_key_of(variable) for variable in _unknown_variables(model, other))


def malformed_variable(error: SettingsError) -> str:
    """Return which variable is not the JSON that its setting needs; pydantic-settings names its section only."""
    cause = error.__cause__
    if isinstance(cause, json.JSONDecodeError):
        for variable, value in os.environ.items():
            if _is_ours(variable) and value == cause.doc:
                return (
                    f"environment: {variable} must be JSON, a list such as '[\"momentum\"]' for example: {cause.msg} "
                    f"at character {cause.pos + 1} of {_shown(value, [])}; correct the value and run again"
                )
    return f"environment: {error}; correct the value and run again"


def values_out_of_bounds(error: ValidationError, file: Path) -> str:
    """Return each value that its setting does not allow, with its place, or the values that contradict each other."""
    lines = [
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']} "
        f"(found {_shown(problem['input'], problem['loc'])})"
        if problem["loc"]
        else str(problem["ctx"]["error"])
        for problem in error.errors()
    ]
    return f"{file.name} or the environment: " + "; ".join(lines) + "; correct the value and run again"


def _shown(found: object, place: Iterable[object]) -> str:
    """Return the value found as text, unless it is, or holds, what a setting such as ``secret_key`` keeps."""
    named = f"{'.'.join(str(part) for part in place)} {found}"
    return "a value that is not shown" if _SECRET.search(named) else repr(found)


def _is_ours(variable: str) -> bool:
    return variable.upper().startswith(_PREFIX)  # pydantic-settings reads variables whatever their case


def _key_of(variable: str) -> str:
    return variable[len(_PREFIX) :].lower().replace("__", ".")


def _unknown_variables(model: type[BaseModel], other: Collection[str]) -> Iterator[str]:
    known = set(_known_keys(model))
    ours = (variable for variable in os.environ if _is_ours(variable) and variable not in other)
    return (variable for variable in ours if _key_of(variable) not in known)


def _known_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, info in model.model_fields.items():
        yield f"{prefix}{name}"
        if section := _section(info.annotation):
            yield from _known_keys(section, f"{prefix}{name}.")


def _unknown_keys(values: Mapping[str, Any], model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        info = model.model_fields.get(str(key))
        if info is None:
            yield f"{prefix}{key}"
        elif (section := _section(info.annotation)) and isinstance(value, Mapping):
            yield from _unknown_keys(value, section, f"{prefix}{key}.")


def _section(annotation: object) -> type[BaseModel] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _near_by_name(key: str, known: Sequence[str]) -> list[str]:
    """Return the known key whose last part is the nearest to that of `key`, or none: its section is left out."""
    last = {name.rsplit(".", 1)[-1]: name for name in reversed(known)}
    return [last[name] for name in difflib.get_close_matches(key.rsplit(".", 1)[-1], last, n=1, cutoff=_NEAR)]


def _suggest(key: str, model: type[BaseModel]) -> str:
    known = list(_known_keys(model))
    near = difflib.get_close_matches(key, known, n=1, cutoff=_NEAR) or _near_by_name(key, known)
    return f"; the nearest known key is {near[0]}" if near else f"; sections are {', '.join(model.model_fields)}"
