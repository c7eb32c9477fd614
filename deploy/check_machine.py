"""Say whether this machine can run Aegis, and name the fix for each thing that is missing.

Belongs here: what must be true before the environment exists. It runs on whatever Python is found first, so it uses the
standard library alone and only syntax that Python 3.6 reads; the bounds are those of ``requires-python``.

Run ``python3 deploy/check_machine.py``; it exits 1 and prints one line for each problem.
"""

import argparse
import importlib.util
import os
import platform
import shutil
import sys

OLDEST_PYTHON = (3, 11)
FIRST_UNTRIED_PYTHON = (3, 14)
FREE_DISK_BYTES = 4 * 1024**3
_MACHINES = ("x86_64", "amd64", "aarch64", "arm64")


def python_problem(version):
    """Return what is wrong with a Python version, or None.

    Parameters
    ----------
    version : tuple of int
        At least major and minor.
    """
    if OLDEST_PYTHON <= tuple(version[:2]) < FIRST_UNTRIED_PYTHON:
        return None
    wanted = "{}.{} to {}.{}".format(*OLDEST_PYTHON, FIRST_UNTRIED_PYTHON[0], FIRST_UNTRIED_PYTHON[1] - 1)
    found = ".".join(str(part) for part in version[:3])
    return (
        f"Python {found} is not supported; Aegis needs {wanted}. "
        "Install one (Debian, Ubuntu: apt install python3.11 python3.11-venv; macOS: brew install python@3.12) "
        "and name it: make PYTHON=python3.11"
    )


def venv_problem(version, has_module):
    """Return why no virtual environment can be made, or None.

    Parameters
    ----------
    version : tuple of int
        Version of this Python, for the name of the package to install.
    has_module : callable
        Takes a module's name and says whether it can be imported.
    """
    missing = [name for name in ("venv", "ensurepip") if not has_module(name)]
    if not missing:
        return None
    return (
        "Python's module {} is missing, so no virtual environment can be made. "
        "Debian and Ubuntu ship it apart: apt install python{}.{}-venv".format(" and ".join(missing), *version[:2])
    )


def platform_problem(system, machine):
    """Return what is wrong with the operating system or the processor, or None.

    Parameters
    ----------
    system, machine : str
        As :func:`platform.system` and :func:`platform.machine` give them.
    """
    if system == "Windows":
        return "Windows is not supported; run Aegis inside WSL 2 (in an administrator's terminal: wsl --install)"
    if system not in ("Linux", "Darwin"):
        return f"{system} is not supported; use Linux or macOS, or a Linux container"
    if machine.lower() not in _MACHINES:
        return f"processor {machine} is not supported; numba and DuckDB ship binaries for x86_64 and arm64 only"
    return None


def disk_problem(folder, free_bytes):
    """Return why the environment does not fit on the disk of `folder`, or None."""
    if free_bytes >= FREE_DISK_BYTES:
        return None
    return (
        f"{free_bytes / 1024**3:.1f} GiB are free at {folder}; the environment and ten years of history need "
        f"{FREE_DISK_BYTES / 1024**3:.0f} GiB. Free some, or clone the repository on another disk"
    )


def write_problem(folder, may_write):
    """Return why nothing can be written to `folder`, or None."""
    if may_write:
        return None
    return f"{folder} cannot be written by this user; clone the repository into a folder of your own"


def problems(folder):
    """Return every problem of this machine for a clone in `folder`, in the order in which they should be mended."""
    found = [
        platform_problem(platform.system(), platform.machine()),
        python_problem(sys.version_info),
        venv_problem(sys.version_info, lambda name: importlib.util.find_spec(name) is not None),
        write_problem(folder, os.access(folder, os.W_OK | os.X_OK)),
        disk_problem(folder, shutil.disk_usage(folder).free),
    ]
    return [problem for problem in found if problem is not None]


def main(arguments=None):
    """Print the problems of this machine and return the exit code: 0 when there are none."""
    parser = argparse.ArgumentParser(description="Say whether this machine can run Aegis.")
    parser.add_argument("--folder", default=".", help="folder of the clone; default: here")
    parser.add_argument("--python-only", action="store_true", help="only ask whether this Python's version will do")
    options = parser.parse_args(arguments)
    if options.python_only:
        return 0 if python_problem(sys.version_info) is None else 1
    found = problems(options.folder)
    for problem in found:
        sys.stderr.write(f"problem: {problem}\n")
    if found:
        return 1
    sys.stdout.write(
        f"This machine can run Aegis: Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{shutil.disk_usage(options.folder).free / 1024**3:.0f} GiB free.\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
