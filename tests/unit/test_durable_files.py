"""Files are replaced whole or not at all, and nothing in the source tree writes one any other way."""

from __future__ import annotations

import ast
import json
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from aegis.durable_files import append_json_line, replace_file, replace_json, replacing

REPOSITORY = Path(__file__).resolve().parents[2]
WRITING_MODES = set("wax+")
WRITING_CALLS = {"write_text", "write_bytes", "touch", "to_csv", "to_parquet", "to_feather", "savefig",
                 "write_table", "copyfile", "copy2", "copytree", "savetxt", "save"}  # fmt: skip
ALLOWED = {
    ("aegis/durable_files.py", "open"): "the one place that writes",
    ("aegis/durable_files.py", "fdopen"): "the one place that writes",
    ("aegis/lake/attachment.py", "open"): "an empty file that is only locked",
    ("aegis/backup/making.py", "write_bytes"): "into a temporary folder, before it is stored",
    ("aegis/lake/exports.py", "to_csv"): "into a file that is being replaced",
    ("aegis/lake/exports.py", "write_table"): "into a file that is being replaced",
    ("aegis/compliance/export_files.py", "write_table"): "into memory",
    ("aegis/live_trading/lease.py", "open"): "the lock on it counts; what it says is for people",
    ("aegis/market_data/sources/content_store.py", "open"): "an empty file that is only locked",
    ("aegis/market_data/sources/cached_answers.py", "to_parquet"): "into memory",
    ("aegis/backtesting/results_storage.py", "to_parquet"): "into a folder that is flushed and renamed as a whole",
    ("aegis/backtesting/results_storage.py", "write_table"): "into a folder that is flushed and renamed as a whole",
    ("aegis/reporting/backtest_report.py", "to_csv"): "into memory",
    ("aegis/reporting/csv_files.py", "to_csv"): "into memory",
    ("aegis/reporting/pdf_pages.py", "savefig"): "into memory",
    ("aegis/reporting/theme.py", "savefig"): "into memory",
    ("aegis_sensors/version_commands.py", "to_csv"): "into memory",
}


def plain_writes(source: str) -> Iterator[str]:
    """Yield the name of each call that writes a file in place; a rule over the syntax, for files of any package."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in WRITING_CALLS or (called in ("open", "fdopen") and _writes(node)):
            yield called


def _writes(call: ast.Call) -> bool:
    given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg in ("mode", "flags"))]
    texts = [a.value for a in given if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    modes = [text for text in texts if text and set(text) <= set("rwaxbt+") and len(text) <= 3]
    return any(WRITING_MODES & set(mode) for mode in modes)


def test_nothing_writes_a_file_in_place() -> None:
    found = {
        (str(file.relative_to(REPOSITORY)), call)
        for package in REPOSITORY.glob("aegis*")
        for file in package.rglob("*.py")
        for call in plain_writes(file.read_text(encoding="utf-8"))
    }

    assert found - set(ALLOWED) == set(), "write through aegis.durable_files, or say here why not"


@pytest.mark.parametrize(
    "statement",
    [
        "Path('notes.txt').write_text('x')",
        "Path('notes.txt').write_bytes(b'x')",
        "open('notes.txt', 'w')",
        "Path('notes.txt').open('ab')",
        "open('notes.txt', mode='x')",
        "frame.to_csv('notes.txt')",
        "os.fdopen(handle, 'r+b')",
    ],
)
def test_a_plain_write_would_be_noticed(statement: str) -> None:
    assert list(plain_writes(statement))


@pytest.mark.parametrize(
    "statement", ["open('notes.txt')", "Path('notes.txt').open('rb')", "lake.open()", "market.is_open('w')"]
)
def test_a_read_is_not_taken_for_a_write(statement: str) -> None:
    assert not list(plain_writes(statement))


def test_a_file_whose_writer_fails_is_the_old_one_and_nothing_else_is_left(tmp_path: Path) -> None:
    target = replace_file(tmp_path / "state.json", b"old")

    def fail_half_way() -> None:
        with replacing(target) as file:
            file.write(b"ne")
            raise RuntimeError("the writer died")

    with pytest.raises(RuntimeError, match="the writer died"):
        fail_half_way()

    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "state.json"
    replace_json(target, {"is": "old"})

    child = os.fork()
    if child == 0:  # a limit that can be lowered and never raised again, so in a process of its own
        status = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
            replace_json(target, {"is": "n" * 5000})
        except OSError:
            status = 0
        finally:
            os._exit(status)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert json.loads(target.read_text(encoding="utf-8")) == {"is": "old"}
    assert list(tmp_path.iterdir()) == [target]


def test_a_line_after_a_torn_one_begins_on_its_own(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    append_json_line(log, {"n": 1})
    log.write_bytes(log.read_bytes() + b'{"n": 2, "te')

    append_json_line(log, {"n": 3})

    lines = log.read_text(encoding="utf-8").splitlines()
    assert [lines[0], lines[1], lines[2]] == ['{"n": 1}', '{"n": 2, "te', '{"n": 3}']
