"""The file of settings as it lies on the disk: which one it is, and its sections as plain values.

Belongs here: finding and parsing it. What the values mean, and which are allowed, is :mod:`aegis.config`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from aegis.errors import ConfigurationError

CONFIG_FILE = "aegis.yaml"
CONFIG_FILE_VARIABLE = "AEGIS_CONFIG"


def settings_file(path: Path | None = None) -> Path:
    """Return `path`, else ``$AEGIS_CONFIG``, else ``aegis.yaml`` in the working directory; absolute."""
    return Path(path or os.environ.get(CONFIG_FILE_VARIABLE, CONFIG_FILE)).resolve()


def read_settings_file(file: Path) -> dict[str, Any]:
    """Return the sections of a file of settings.

    Raises
    ------
    ConfigurationError
        It does not exist, cannot be read, is not YAML or no mapping.
    """
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{file} does not exist; run from the repository or set {CONFIG_FILE_VARIABLE} to the file"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{file} cannot be read: {error}; set {CONFIG_FILE_VARIABLE} to a readable text file in UTF-8"
        ) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError(f"{file} is not valid YAML: {error}; correct it there") from error
    if not isinstance(values, dict):
        raise ConfigurationError(f"{file} must be a mapping of sections, found {type(values).__name__}")
    return values
