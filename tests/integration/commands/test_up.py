"""``aegis up`` hands over to Dagster in a state in which it can be stopped."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from aegis.config import AegisConfig
from aegis.errors import ConfigurationError
from aegis_sensors.up_command import up_command


class Replaced(Exception):
    """The process would be another one now."""


@pytest.fixture
def ignored_interrupt() -> Iterator[None]:
    """Ignore SIGINT, as a script's ``make ui &`` does."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ignored_interrupt")
def test_dagster_can_be_stopped_although_it_is_started_in_the_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def replace(*_arguments: object) -> None:
        raise Replaced(signal.getsignal(signal.SIGINT))

    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setattr(os, "execve", replace)

    with pytest.raises(Replaced) as replaced:
        up_command(AegisConfig(run={"home": tmp_path}), port=3456)

    assert replaced.value.args == (signal.SIG_DFL,)
    assert capfd.readouterr().out == "starting; then http://localhost:3456\n"


def test_a_port_that_somebody_listens_on_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"port {port} .*Ctrl-C.*make ui PORT="):
            up_command(AegisConfig(run={"home": tmp_path}), port=port)

    assert list(tmp_path.iterdir()) == []
