"""Keys and passwords: from the environment, or from a file that only its user can read, and from nowhere else.

Belongs here: the file that ``AEGIS_SECRETS_FILE`` names, which settings are secrets, and that none stands in
``aegis.yaml``. What a value is for is said where it is used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr

from aegis.errors import ConfigurationError
from aegis.private_files import read_private_file

SECRETS_FILE_VARIABLE = "AEGIS_SECRETS_FILE"
_PREFIX = "AEGIS_"
_LINE = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)")
URLS_WITHOUT_PASSWORD = ("storage.postgres_url", "storage.anchor_postgres_url")
"""May stand in the file: only their passwords are secrets, which :mod:`aegis.config` refuses by itself."""


def secret_settings(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Return the settings of a model whose values are secrets, as ``brokers.alpaca.key_id``."""
    for name, info in model.model_fields.items():
        kinds = (info.annotation, *get_args(info.annotation))
        if SecretStr in kinds:
            yield f"{prefix}{name}"
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from secret_settings(kind, f"{prefix}{name}.")


def refuse_secrets_in(values: Mapping[str, Any], model: type[BaseModel], *, origin: str) -> None:
    """Refuse a file of settings that holds a secret.

    Raises
    ------
    ConfigurationError
        Names the setting and the variable that it belongs in; the value is not shown.
    """
    for setting in secret_settings(model):
        found: Any = values
        for name in setting.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        if found is not None and setting not in URLS_WITHOUT_PASSWORD:
            raise ConfigurationError(
                f"{origin}: {setting} is a secret, and the file is no place for one, whoever may read it: such files "
                f"are copied and committed. Set {variable_of(setting)} in the environment or in the file that "
                f"{SECRETS_FILE_VARIABLE} names, take it out of {origin}, and change the key"
            )


def variable_of(setting: str) -> str:
    """Return the variable of a setting: ``AEGIS_BROKERS__ALPACA__KEY_ID``."""
    return _PREFIX + setting.upper().replace(".", "__")


def secrets_in_file(allowed: Collection[str], environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return what the secrets file says, by variable; nothing where no file is named.

    Parameters
    ----------
    allowed : collection of str
        Variables that it may hold.
    environment : mapping of str to str, optional
        Names the file.

    Raises
    ------
    ConfigurationError
        The file is not its user's alone, or no list of ``NAME=value``; a name is not allowed, or stands twice. No value
        is shown.
    """
    named = environment.get(SECRETS_FILE_VARIABLE)
    if not named:
        return {}
    path = Path(named).expanduser()
    try:
        text = read_private_file(path).decode()
    except FileNotFoundError as error:
        raise ConfigurationError(f"{SECRETS_FILE_VARIABLE}: {path} does not exist; make it, with mode 0600") from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"{SECRETS_FILE_VARIABLE}: {path} is no text in UTF-8") from None
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parts = _LINE.fullmatch(line.strip())
        place = f"{SECRETS_FILE_VARIABLE}: {path} line {number}"
        if parts is None:
            raise ConfigurationError(f"{place}: expected NAME=value, found something else, which is not shown")
        name, value = parts[1], parts[2].strip()
        if name not in allowed:
            raise ConfigurationError(
                f"{place}: {name} is no secret of ours; expected one of {', '.join(sorted(allowed))}"
            )
        if name in found or not value:
            raise ConfigurationError(
                f"{place}: {name} {'stands twice' if name in found else 'has no value'}; correct it"
            )
        found[name] = value
    return found


def with_secrets(values: Mapping[str, Any], secrets: Mapping[str, str], model: type[BaseModel]) -> dict[str, Any]:
    """Return settings with the secrets of a file in their places; others than settings are left out."""
    whole = dict(values)
    for setting in secret_settings(model):
        if (value := secrets.get(variable_of(setting))) is not None:
            *path, name = setting.split(".")
            section = whole
            for part in path:
                inner = section.get(part)
                section[part] = dict(inner) if isinstance(inner, Mapping) else {}
                section = section[part]
            section[name] = value
    return whole


def require_taken(secrets: Mapping[str, str], settings: BaseModel) -> None:
    """Refuse settings in which a secret of the file is not what the file says: the environment says something else.

    Raises
    ------
    ConfigurationError
        Names the variable. With a key of each, nobody could say which account is meant.
    """
    for setting in secret_settings(type(settings)):
        wanted = secrets.get(variable_of(setting))
        found: Any = settings
        for name in setting.split("."):
            found = getattr(found, name)
        if wanted is not None and (not isinstance(found, SecretStr) or found.get_secret_value() != wanted):
            raise ConfigurationError(
                f"{variable_of(setting)} stands in the file that {SECRETS_FILE_VARIABLE} names, and the environment "
                "says something else, so nobody can say which account is meant; leave out one of the two"
            )
