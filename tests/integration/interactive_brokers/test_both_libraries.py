"""The same tests with ib_async, the continuation of ib_insync."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[2]
WHERE = (
    HERE,
    REPOSITORY / "tests" / "integration" / "venues" / "interactive_brokers",
    REPOSITORY / "tests" / "integration" / "live_data" / "test_interactive_brokers_feed.py",
    REPOSITORY / "tests" / "contract" / "test_broker_contract.py",
)


@pytest.mark.long  # installs a package, and runs these folders once more
@pytest.mark.service
def test_source_and_broker_hold_with_ib_async(tmp_path: Path, require_service: Callable[[object, str], None]) -> None:
    """ib_async 2.1.0 asks for tzdata before 2026, so it cannot stand in the lock; it works beside the one that is."""
    wanted = ("ib_async==2.1.0", "aeventkit==2.1.0")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path / "packages")]
    installed = subprocess.run([*pip, *wanted], capture_output=True, text=True, check=False)
    require_service(installed.returncode == 0, f"{' '.join(wanted)} from the package index: {installed.stderr[-300:]}")
    again = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not long", *map(str, WHERE)],
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{tmp_path / 'packages'}"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stdout[-4000:]
    assert " passed" in again.stdout
