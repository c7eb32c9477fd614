"""Machine code on disk: kept for the next process, and made anew where it cannot be read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from aegis.backtesting.compilation import compiled

@compiled
def doubled(x):
    return 2 * x

print(doubled(21), len(doubled.stats.cache_hits))
"""


def _run(file: Path) -> list[str]:
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


CUT = ("nbi", lambda content: content[: len(content) // 2])
GARBAGE = ("nbc", lambda _: b"no machine code")


@pytest.mark.parametrize(("kind", "damage"), [CUT, GARBAGE], ids=["index cut", "code garbled"])
def test_damaged_code_is_compiled_anew(tmp_path: Path, kind: str, damage) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    assert _run(program) == ["42", "0"]
    (file,) = (tmp_path / "__pycache__").glob(f"*.{kind}")
    file.write_bytes(damage(file.read_bytes()))

    assert _run(program) == ["42", "0"]
    assert _run(program) == ["42", "1"], "the next process loads it"
