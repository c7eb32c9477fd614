"""Running ``dbt build`` on a workspace's lake, and what it said about each model and each test.

Belongs here: the command, its environment and its answer. What a mart holds is :mod:`aegis.reporting.marts`; the models
and tests themselves are in ``dbt/``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import duckdb

from aegis.errors import ReportingError
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.checksums import is_contention
from aegis.reporting.dbt_environment import environment_for

Outcome = Literal["pass", "warn", "fail", "error", "skipped"]

_SHOWN_ROWS = 3
_SHOWN_LINES = 15
_ATTEMPTS = 4
_FIRST_WAIT_SECONDS = 2.0


@dataclass(frozen=True)
class DbtTest:
    """One test of the project.

    Parameters
    ----------
    name : str
        ``pnl_leaves_no_residual``, or what dbt makes of a test in a YAML file (``not_null_costs_account``).
    outcome : {"pass", "warn", "fail", "error", "skipped"}
        ``warn`` and ``fail`` found rows, ``error`` could not run, ``skipped`` had a model missing.
    failing_rows : int
        Rows that offend.
    model : str or None
        The model whose rows it describes, in a YAML file; None for a test of its own, in ``dbt/tests``.
    detail : str or None
        The first offending rows, or why it could not run; None when it passes.
    """

    name: str
    outcome: Outcome
    failing_rows: int
    model: str | None
    detail: str | None


@dataclass(frozen=True)
class DbtBuild:
    """What one ``dbt build`` did.

    Parameters
    ----------
    unbuilt_models : dict of str to str
        Models that were not written, and why.
    tests : tuple of DbtTest
        All that the project has.
    upstream : dict of str to frozenset of str
        For each model those that it is made from, directly or through others.
    messages : tuple of str
        What was said of models and tests that could not be run to their end.
    queries : dict of str to str
        The SQL of each model that was built, as the lake ran it.
    """

    unbuilt_models: dict[str, str]
    tests: tuple[DbtTest, ...]
    upstream: dict[str, frozenset[str]]
    messages: tuple[str, ...] = ()
    queries: dict[str, str] = field(default_factory=dict)


def run_dbt_build(
    project: Path, location: LakeLocation, scratch: Path, *, sleep: Callable[[float], None] = time.sleep
) -> DbtBuild:
    """Build all models and run all tests on the lake, again if another process was writing to it.

    Parameters
    ----------
    project : Path
        Folder of ``dbt_project.yml``.
    location : LakeLocation
        The lake; it must exist.
    scratch : Path
        Folder for what dbt compiles and logs.
    sleep : callable
        Waits before another attempt; replaced in tests.

    Raises
    ------
    ReportingError
        dbt did not come as far as running anything; the message holds the end of what it printed.

    Notes
    -----
    A model that fails, or a test that does, is part of the answer and no exception: the others stand. dbt commits each
    model by itself and, unlike :meth:`aegis.lake.lake.Lake.write`, does not try again where another process holds the
    catalog; so the build is repeated, which replaces each model by the same rows.
    """
    for attempt in range(_ATTEMPTS - 1):
        try:
            built = _built_once(project, location, scratch)
        except ReportingError as error:
            if not is_contention(str(error)):
                raise
        else:
            if not any(map(is_contention, built.messages)):
                return built
        sleep(_FIRST_WAIT_SECONDS * 2**attempt)
    return _built_once(project, location, scratch)


def _built_once(project: Path, location: LakeLocation, scratch: Path) -> DbtBuild:
    target = scratch / "target"
    for answer in (target / "run_results.json", target / "manifest.json"):
        answer.unlink(missing_ok=True)  # an answer of before must not pass for this one's
    settings = {
        "DBT_PROFILES_DIR": str(project),
        "DBT_PROJECT_DIR": str(project),
        "DBT_TARGET_PATH": str(target),
        "DBT_LOG_PATH": str(scratch / "logs"),
    }
    done = subprocess.run(  # our own project, no user text in the command
        [sys.executable, "-m", "dbt.cli.main", "--quiet", "build"],
        env=environment_for(location, os.environ) | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"]
        nodes = json.loads((target / "manifest.json").read_text(encoding="utf-8"))["nodes"]
    except FileNotFoundError as error:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_SHOWN_LINES:])
        raise ReportingError(
            f"dbt build on {location.folder} ran nothing (exit {done.returncode}); correct what it names and run it "
            f"again:\n{said}"
        ) from error
    models = [unique_id for unique_id, node in nodes.items() if node["resource_type"] == "model"]
    upstream = {_name(model): frozenset(map(_name, _models_behind(model, nodes))) for model in models}
    errors = tuple(str(result["message"]) for result in results if result["status"] == "error")
    queries = {
        _name(model): str(nodes[model]["compiled_code"]) for model in models if nodes[model].get("compiled_code")
    }
    return DbtBuild(_unbuilt_models(results), _tests(results, nodes, location), upstream, errors, queries)


def _unbuilt_models(results: list[dict[str, Any]]) -> dict[str, str]:
    found = {}
    for result in results:
        kind, _, name = result["unique_id"].split(".", 2)
        if kind == "model" and result["status"] != "success":
            found[name] = result["message"] or "skipped: a test or a model that it depends on failed"
    return found


def _tests(
    results: list[dict[str, Any]], nodes: Mapping[str, Mapping[str, Any]], location: LakeLocation
) -> tuple[DbtTest, ...]:
    found = []
    for result in results:
        node = nodes[result["unique_id"]]
        if node["resource_type"] == "test":
            attached = node.get("attached_node")
            found.append(
                DbtTest(
                    name=node["name"],
                    outcome=result["status"],
                    failing_rows=int(result["failures"] or 0),
                    model=_name(attached) if attached else None,
                    detail=_detail(result, location),
                )
            )
    return tuple(found)


def _models_behind(unique_id: str, nodes: Mapping[str, Mapping[str, Any]]) -> set[str]:
    direct = {other for other in nodes[unique_id]["depends_on"]["nodes"] if other.startswith("model.")}
    return direct.union(*(_models_behind(model, nodes) for model in direct))


def _name(unique_id: str) -> str:
    return unique_id.split(".")[2]


def _detail(result: Mapping[str, Any], location: LakeLocation) -> str | None:
    if result["status"] == "pass":
        return None
    if result["status"] not in ("warn", "fail"):
        return str(result["message"] or "not run: a model that it reads was not built")
    with connect(location) as connection:
        try:
            rows = connection.execute(
                f"SELECT * FROM (\n{result['compiled_code']}\n) LIMIT {_SHOWN_ROWS}"  # noqa: S608 - dbt's own SQL
            ).df()
        except duckdb.Error as error:
            return f"{result['message']}; its rows cannot be read again: {error}"
    return "; ".join(
        ", ".join(f"{name} {value}" for name, value in row.items()) for row in rows.astype(str).to_dict("records")
    )
