"""Run the tests of full size in pieces that an interruption does not lose.

Belongs here: which pieces there are, which of them this state of the source has passed, and their record. A piece is
one test file: its tests share what is dear to make. The tests themselves fix their seeds.

``make test-long`` runs ``python tests/long_runs.py --workers 2 tests``. Each piece leaves its log and pytest's own
record in ``.long_runs/<state>/``, where the state is the commit, with a hash of what was changed since. Started again
at the same state, only pieces that have not passed are run; at another state, all.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

FOLDER = Path(".long_runs")
_PYTEST = (sys.executable, "-m", "pytest", "-m", "long", "-n0", "-p", "no:cacheprovider")
# Exit codes of pytest: passed or failed; no test found.
_ALL_WERE_RUN = (0, 1)
_NOTHING_FOUND = 5


@dataclass(frozen=True)
class Piece:
    """What became of the long tests of one file.

    Parameters
    ----------
    file : str
        Path from the repository's top.
    tests, failed, skipped : int
        As pytest counted them; an error counts as failed.
    seconds : float
        Wall time, waiting included.
    """

    file: str
    tests: int
    failed: int
    skipped: int
    seconds: float

    @property
    def has_passed(self) -> bool:
        """Whether something ran and nothing failed."""
        return self.tests > 0 and self.failed == 0

    def __str__(self) -> str:
        verdict = "passed" if self.has_passed else "FAILED"
        counts = f"{self.tests - self.failed - self.skipped} passed, {self.failed} failed, {self.skipped} skipped"
        return f"{verdict}  {self.seconds:8.1f} s  {self.file}: {counts}"


def state_of_the_source() -> str:
    """Return the commit, followed by a hash of what differs from it where something does."""
    commit = _git("rev-parse", "HEAD").strip()
    changed = _git("diff", "HEAD", "--binary")
    for name in sorted(_git("ls-files", "--others", "--exclude-standard", "-z").split("\0")):
        changed += name + (hashlib.sha256(Path(name).read_bytes()).hexdigest() if name else "")
    return commit if not changed else f"{commit}-changed-{hashlib.sha256(changed.encode()).hexdigest()[:12]}"


def files_with_long_tests(paths: list[str]) -> list[str]:
    """Return the test files below the paths that hold a test marked long, in pytest's order.

    Raises
    ------
    SystemExit
        If pytest cannot collect them, with its output.
    """
    listed = subprocess.run([*_PYTEST, "--collect-only", "-qq", *paths], capture_output=True, text=True, check=False)
    if listed.returncode == _NOTHING_FOUND:
        return []
    if listed.returncode:
        raise SystemExit(f"the long tests could not be collected:\n{listed.stdout}{listed.stderr}")
    # "-qq" prints "<file>: <count>" for each file.
    return [line.rsplit(": ", 1)[0] for line in listed.stdout.splitlines() if line.rpartition(": ")[2].isdigit()]


def run_piece(file: str, folder: Path) -> Piece:
    """Run the long tests of one file, or read the record of a run that has passed."""
    name = file.replace("/", ".").removesuffix(".py")
    record, log = folder / f"{name}.xml", folder / f"{name}.log"
    if record.exists() and (done := _read(file, record)).has_passed:
        return done
    unfinished = folder / f"{name}.unfinished.xml"
    with log.open("w") as output:
        command = [*_PYTEST, f"--junitxml={unfinished}", file]
        ended_with = subprocess.run(command, stdout=output, stderr=output, check=False).returncode
    # An interrupted pytest writes a record too, of the tests that it came to.
    if ended_with in _ALL_WERE_RUN:
        unfinished.replace(record)
        piece = _read(file, record)
    else:
        piece = Piece(file, tests=0, failed=0, skipped=0, seconds=0.0)
    print(piece, flush=True)
    return piece


def main(arguments: list[str]) -> int:
    """Run what this state has not passed, print all pieces, and return 0 where each has passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workers", type=int, default=1, help="pieces at the same time")
    parser.add_argument("paths", nargs="+", help="files or folders of tests")
    given = parser.parse_args(arguments)
    state = state_of_the_source()
    folder = FOLDER / state
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    files = files_with_long_tests(given.paths)
    with ThreadPoolExecutor(given.workers) as workers:
        pieces = list(workers.map(lambda file: run_piece(file, folder), files))
    print(f"\nlong runs at {state}, logs in {folder}:")
    print("\n".join(str(piece) for piece in sorted(pieces, key=lambda piece: piece.file)))
    bad = [piece.file for piece in pieces if not piece.has_passed]
    passed = sum(piece.tests - piece.failed - piece.skipped for piece in pieces)
    print(f"{passed} passed, {len(bad)} of {len(pieces)} files did not; {time.monotonic() - began:.0f} s this time")
    return 1 if bad or not pieces else 0


def _read(file: str, record: Path) -> Piece:
    suites = ET.parse(record).getroot().iter("testsuite")  # noqa: S314 (pytest wrote it)
    counted = [0, 0, 0]
    seconds = 0.0
    for suite in suites:
        counted[0] += int(suite.get("tests", 0))
        counted[1] += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        counted[2] += int(suite.get("skipped", 0))
        seconds += float(suite.get("time", 0))
    return Piece(file, tests=counted[0], failed=counted[1], skipped=counted[2], seconds=seconds)


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
