"""``aegis up``: the Dagster UI and its daemon on the configured workspace.

Belongs here: everything that must be right before they start, and starting them in the place of this process.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import NoReturn

from aegis.clock import SystemClock
from aegis.config import AegisConfig
from aegis.config_file import CONFIG_FILE_VARIABLE, settings_file
from aegis.errors import ConfigurationError
from aegis.workspace import Workspace
from aegis_resources.market_data import Market
from aegis_sensors.arguments import LARGEST_PORT
from aegis_sensors.dead_runs import mark_dead_runs
from aegis_sensors.definitions import build_definitions
from aegis_sensors.instance import open_instance
from aegis_sensors.opening import open_workspace
from aegis_sensors.whole_chain import CODE_LOCATION
from aegis_sensors.workspace_identity import require_identity


def up_command(config: AegisConfig, *, port: int) -> NoReturn:
    """Replace this process by ``dagster dev``.

    Raises
    ------
    AegisError
        The source, the settings or the workspace cannot be used, which the UI would show as a code location that does
        not load; or the port is taken. Nothing has been changed.

    Notes
    -----
    The process is replaced, not a child waited for: Ctrl-C reaches Dagster alone, which then ends its own processes in
    the time that they need.
    """
    require_identity(config, Workspace.of(config))  # before the source is asked for anything
    _refuse_taken(port)
    market = Market(config, SystemClock())
    build_definitions(config, source=market.source)
    with open_instance(open_workspace(config, market)) as instance:
        mark_dead_runs(instance)
    file = settings_file()
    command = [sys.executable, "-m", "dagster", "dev", "-m", CODE_LOCATION, "-p", str(port)]
    print(f"starting; then http://localhost:{port}", flush=True)
    # A script's `make ui &` starts with SIGINT ignored. Dagster ends on SIGTERM as it does on SIGINT: not at all, then.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execve(sys.executable, command, os.environ | {CONFIG_FILE_VARIABLE: str(file)})  # noqa: S606 - our own module


def _refuse_taken(port: int) -> None:
    """Refuse a port that somebody listens on: Dagster finds out after a minute, in the middle of its log."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a UI that ended a moment ago holds nothing
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            other = port + 1 if port < LARGEST_PORT else port - 1
            raise ConfigurationError(
                f"port {port} cannot be listened on ({error.strerror}): is another `make ui` running? End that one "
                f"with Ctrl-C in its terminal, or take another port: make ui PORT={other}"
            ) from error
