"""Environments of the peers: one for each requirements file in ``benchmarks/environments``, made on first use.

Belongs here: finding a Python that a peer supports, and installing its requirements with uv or pip, whichever is there.

Notes
-----
The cache folder is ``.benchmarks`` in the clone, or what the environment variable ``AEGIS_BENCHMARK_CACHE`` names. It
also holds the generated markets and what the reference says about them, and can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

CLONE = Path(__file__).resolve().parents[2]
REQUIREMENTS = CLONE / "benchmarks" / "environments"
_PYTHONS_LINE = "# python: "


class EnvironmentUnavailableError(Exception):
    """No Python of the versions that a peer needs was found, or its requirements could not be installed."""


def cache_folder() -> Path:
    """Return the folder of everything that the benchmark makes, created if it is not there."""
    folder = Path(os.environ.get("AEGIS_BENCHMARK_CACHE", CLONE / ".benchmarks")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def python_of(name: str) -> Path:
    """Return the Python of environment `name`, which is made or brought up to date first.

    Raises
    ------
    EnvironmentUnavailableError
        With what to do about it.
    """
    requirements = REQUIREMENTS / f"{name}.txt"
    folder = cache_folder() / "environments" / name
    stamp, python = folder / "made_from.txt", folder / "bin" / "python"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(f"making the environment of {name} in {folder}", file=sys.stderr, flush=True)
    _run([_interpreter(requirements), "-m", "venv", "--clear", str(folder)], f"no environment in {folder}")
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    installer = (
        [uv, "pip", "install", "--quiet", "--python", python] if uv else [python, "-m", "pip", "install", "--quiet"]
    )
    _run(
        [*installer, "-r", requirements], f"{requirements.name} could not be installed; does pip reach a package index?"
    )
    stamp.write_text(wanted, encoding="utf-8")
    return python


def _interpreter(requirements: Path) -> str:
    line = next(
        line for line in requirements.read_text(encoding="utf-8").splitlines() if line.startswith(_PYTHONS_LINE)
    )
    versions = line.removeprefix(_PYTHONS_LINE).split()
    for version in versions:
        for candidate in _candidates(version):
            asked = [candidate, "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"]
            answer = subprocess.run(asked, capture_output=True, text=True, check=False)
            if answer.stdout.strip() == version:
                return candidate
    raise EnvironmentUnavailableError(
        f"needs Python {' or '.join(versions)} and none was found; install one and put it on PATH"
    )


def _candidates(version: str) -> list[str]:
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    on_path = shutil.which(f"python{version}")
    kept = sorted(map(str, pyenv.glob(f"versions/{version}.*/bin/python")))
    return [sys.executable, *([on_path] if on_path else []), *kept]


def _run(command: list[str | Path], complaint: str) -> None:
    # Without the variable, uv would try to download an interpreter.
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    )
    if ended.returncode:
        raise EnvironmentUnavailableError(f"{complaint}: {ended.stderr.strip()[-300:]}")
