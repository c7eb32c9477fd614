"""Make the virtual environment of a clone, or bring it up to date with the locks.

Belongs here: creating the folder, installing what a lock pins and then the clone itself, editable, and compiling what
every first run would wait for. It runs before the environment exists, on the Python that will be in it, so it uses the
standard library alone. ``make env`` calls it only
when no stamp says that the work is done; the Makefile names the stamp, because reading it must cost nothing.

Notes
-----
uv installs a lock in seconds. Where it cannot be had, or cannot reach the index that pip is configured for, pip does
the same.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

import check_machine

UV = "uv==0.13.8"
OWNER_FILE = "made_for.txt"
COMPILED = "aegis.backtesting.kernel.simulation, aegis.features.compiled_windows, aegis.signals.compiled_cross_section"
# Dependencies come from the lock alone, setuptools too. "compat" puts the clone's folder on the path, so that a package
# added later is found without installing again.
_EDITABLE = ("--no-deps", "--no-build-isolation", "--config-settings", "editable_mode=compat", "--editable")


def is_made_elsewhere(folder: Path, clone: Path) -> bool:
    """Whether `folder` is an environment that this script made for a clone in another place.

    Notes
    -----
    Its scripts name the Python of that other place, so it is made anew. An environment that somebody else made is never
    cleared: packages are only installed into it.
    """
    owner = folder / OWNER_FILE
    return owner.is_file() and owner.read_text(encoding="utf-8").strip() != str(clone)


def has_python(folder: Path) -> bool:
    """Whether the environment's Python still starts; it does not once the Python it was made from is gone."""
    python = folder / "bin" / "python"
    return (
        python.exists()
        and subprocess.run([python, "-c", "import pip"], check=False, capture_output=True).returncode == 0
    )


def create(folder: Path, clone: Path) -> None:
    """Create the environment in `folder` unless a usable one is there."""
    if has_python(folder) and not is_made_elsewhere(folder, clone):
        return
    print(f"creating {folder} with Python {sys.version.split()[0]}", flush=True)
    venv.create(folder, clear=(folder / OWNER_FILE).is_file(), symlinks=True, with_pip=True)
    (folder / OWNER_FILE).write_text(f"{clone}\n", encoding="utf-8")


def install(folder: Path, clone: Path, lock: Path) -> None:
    """Install what `lock` pins, and the clone in editable form, into the environment in `folder`.

    Raises
    ------
    SystemExit
        Neither uv nor pip could; their own messages stand above.
    """
    python = folder / "bin" / "python"
    print(f"installing {lock.name}", flush=True)
    installers = (
        [python, "-m", "uv", "pip", "install", "--quiet", "--python", python],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"],
    )
    for installer in installers:
        if "uv" in installer and not _add_uv(python):
            continue
        if _run([*installer, "-r", lock]) and _run([*installer, *_EDITABLE, clone]):
            return
        print(f"{installer[2]} could not install {lock.name}", file=sys.stderr, flush=True)
    sys.exit(
        f"the packages of {lock.name} could not be installed; check that pip reaches a package index "
        f"(`{python} -m pip download --no-deps rich`), then run the same command again: it goes on where it stopped"
    )


def compile_kernel(folder: Path) -> None:
    """Compile the matching kernel and the loops of features, which their import does, and leave the code on disk.

    An environment is complete without: whoever imports them next compiles them.
    """
    print("compiling the matching kernel and the loops of features", flush=True)
    if not _run([folder / "bin" / "python", "-c", f"import {COMPILED}"]):
        print(f"{COMPILED} could not be imported; the reason stands above", file=sys.stderr, flush=True)


def stamp(folder: Path, name: str) -> None:
    """Record that the work called `name` is done, and forget what was recorded for other locks of the same kind."""
    kind = name.rpartition("-")[0]
    for old in folder.glob(f"{kind}-*"):
        old.unlink()
    (folder / name).touch()


def _add_uv(python: Path) -> bool:
    present = subprocess.run([python, "-m", "uv", "--version"], check=False, capture_output=True, text=True)
    if present.returncode == 0 and present.stdout.split()[1:2] == [UV.partition("==")[2]]:
        return True
    return _run([python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", UV])


def _run(command: Sequence[str | Path]) -> bool:
    return subprocess.run(command, check=False, env=_environment(os.environ)).returncode == 0


def _environment(inherited: Mapping[str, str]) -> dict[str, str]:
    # Without the first, uv would try to download an interpreter where it dislikes ours.
    return {**inherited, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Check the machine, create the environment and install the lock."""
    parser = argparse.ArgumentParser(description="Make the virtual environment of a clone.")
    parser.add_argument("folder", type=Path, help="folder of the environment")
    parser.add_argument("lock", type=Path, help="requirements file to install")
    parser.add_argument("stamp", help="name of the file that says that the work is done: <kind>-<hash>")
    options = parser.parse_args(arguments)
    clone = Path(__file__).resolve().parents[1]
    if check_machine.main(["--folder", str(clone)]) != 0:
        sys.exit("mend the above, then run the same command again")
    folder = options.folder.absolute()
    create(folder, clone)
    install(folder, clone, options.lock.resolve())
    compile_kernel(folder)
    stamp(folder, options.stamp)


if __name__ == "__main__":
    main()
