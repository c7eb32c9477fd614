"""Whether a process of this machine is alive, asked about real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from aegis_sensors import dead_runs
from aegis_sensors.dead_runs import process_start

UNTIL_KILLED = [sys.executable, "-S", "-c", "import signal; print('up', flush=True); signal.pause()"]


@pytest.fixture(params=["proc", "ps"])
def _way_of_asking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask /proc, or ps as on a machine without one."""
    if request.param == "ps":
        if not os.access("/bin/ps", os.X_OK):
            pytest.skip("this machine has no ps")
        monkeypatch.setattr(dead_runs, "_has_proc", lambda: False)
    elif not dead_runs._has_proc():
        pytest.skip("this machine has no /proc")


@pytest.mark.usefixtures("_way_of_asking")
def test_a_process_is_alive_until_it_is_killed_and_its_corpse_is_not() -> None:
    before = time.time()
    with subprocess.Popen(UNTIL_KILLED, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        started = process_start(child.pid)
        assert started is not None
        assert before - 2 <= started <= time.time() + 2
        os.kill(child.pid, signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet buried
        assert process_start(child.pid) is None
    assert process_start(child.pid) is None


@pytest.mark.parametrize(
    ("elapsed", "seconds"), [("00:07", 7), ("59:59", 3_599), ("01:00:00", 3_600), ("2-03:04:05", 183_845)]
)
def test_an_age_is_read_as_posix_writes_it(elapsed: str, seconds: int) -> None:
    assert dead_runs._seconds(elapsed) == seconds
