"""Rules of this repository that no linter knows: names, sizes, imports, locks, and what must not stand in a file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = [path for path in REPOSITORY.glob("aegis*") if (path / "__init__.py").is_file()]
LOCKS = ["requirements.lock", "requirements-dev.lock"]
BANNED_NAMES = {"utils", "helpers", "common", "misc", "lib", "base", "core", "manager", "constants", "types"}
LONGEST_FILE_LINES = 400
# Importing one of these takes seconds (Great Expectations 5.5, MLflow 3.4, vectorbt 2.9, dagster-dbt 2.4) or opens a
# display, so whoever needs it imports it inside a function.
SLOW_IMPORTS = ("great_expectations", "mlflow", "vectorbt", "dagster_dbt", "dagster_mlflow", "skfolio", "yfinance",
                "optuna", "cvxpy", "nicegui", "matplotlib.pyplot")  # fmt: skip
SCRIPTS = {file.stem for file in (REPOSITORY / "deploy").glob("*.py")}
# Any option at all, and any address: a lock is names, versions and markers.
NOT_A_VERSION = re.compile(r"://|(?:^|\s)-|file:|git\+|@", re.MULTILINE)
# `pip` names of what is imported under a name that no installed package declares.
UNDECLARED_IMPORTS = {"duckdb_extensions": "duckdb-extensions"}
PEERS = (
    REPOSITORY / "benchmarks" / "backtesting" / "peers",
    REPOSITORY / "benchmarks" / "data_layer" / "stores",
    REPOSITORY / "benchmarks" / "live_trading" / "peers",
)
"""What benchmarks compare with; each has an environment of its own, listed in benchmarks/environments."""


def _tracked_files() -> list[Path]:
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    files = (REPOSITORY / name for name in listing.stdout.split("\0") if name)
    return [file for file in files if file.is_file()]


@pytest.fixture(scope="module")
def tracked_files() -> list[Path]:
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a git clone, so there is no list of the repository's files")
    return _tracked_files()


@pytest.fixture(scope="module")
def python_files(tracked_files: list[Path]) -> list[Path]:
    return [file for file in tracked_files if file.suffix == ".py"]


def _pins(lock: str) -> dict[str, list[str]]:
    pins: dict[str, list[str]] = {}
    for line in (REPOSITORY / lock).read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"([a-z0-9.-]+)==(\S+)(?: ; .+)?", line)
        assert match, f"{lock}: {line!r} is not <name>==<version> with an optional marker"
        pins.setdefault(match[1], []).append(match[2])
    return pins


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_versions_and_no_index_host_or_hash(lock: str) -> None:
    assert len(_pins(lock)) > 100
    text = (REPOSITORY / lock).read_text(encoding="utf-8")
    assert not NOT_A_VERSION.search(text)


# In pieces, so that this file names no such option either.
@pytest.mark.parametrize("option", ["ind" + "ex-url", "extra-ind" + "ex-url", "find-" + "links", "ha" + "sh"])
def test_an_option_in_a_lock_would_be_noticed(option: str) -> None:
    assert NOT_A_VERSION.search(f"duckdb==1.5.5\n--{option} somewhere\n")
    assert NOT_A_VERSION.search(f"duckdb==1.5.5 --{option}=somewhere")
    assert not NOT_A_VERSION.search("duckdb==1.5.5\nipython-pygments-lexers==1.1.1 ; python_full_version >= '3.11'\n")


def test_both_locks_agree_and_the_larger_holds_the_smaller() -> None:
    runtime, development = _pins("requirements.lock"), _pins("requirements-dev.lock")

    assert runtime.items() <= development.items()


def test_the_lock_has_what_the_project_pins() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    runtime = _pins("requirements.lock")
    exact = [re.fullmatch(r"([A-Za-z0-9_.-]+)==(\S+)", requirement) for requirement in project["dependencies"]]
    wanted = {match[1].lower().replace("_", "-"): [match[2]] for match in exact if match}

    assert wanted
    assert {name: runtime.get(name) for name in wanted} == wanted


def _declared_packages() -> set[str]:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    requirements = [*settings["project"]["dependencies"], *settings["dependency-groups"]["dev"]]
    return {re.split(r"[^A-Za-z0-9_.-]", requirement)[0] for requirement in requirements}


def test_every_imported_package_is_declared(python_files: list[Path]) -> None:
    declared = {name.lower().replace("_", "-") for name in _declared_packages()}
    distributions = packages_distributions()
    undeclared = set()
    for file in python_files:
        if file.parent in PEERS:
            continue
        for module in _imported_modules(file):
            if module in sys.stdlib_module_names | SCRIPTS or (REPOSITORY / module).is_dir():
                continue
            offers = {name.lower().replace("_", "-") for name in distributions.get(module, [])}
            if UNDECLARED_IMPORTS.get(module) not in declared and not offers & declared:
                undeclared.add(f"{file.relative_to(REPOSITORY)}: {module}")

    assert not undeclared


def _imported_modules(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_no_file_names_a_folder_of_one_machine(tracked_files: list[Path]) -> None:
    # Written so that this file does not contain what it looks for.
    machine_path = re.compile(
        rb"(?<![\w./-])/(?:" + b"|".join([b"wo" + b"rk", b"ro" + b"ot", b"ho" + b"me/[a-z]"]) + rb")/"
    )
    guilty = [
        str(file.relative_to(REPOSITORY))
        for file in tracked_files
        if _is_text(file) and machine_path.search(file.read_bytes())
    ]

    assert not guilty


def _is_text(file: Path) -> bool:
    return b"\0" not in file.read_bytes()[:4096]


def test_no_module_has_a_name_that_says_nothing(python_files: list[Path]) -> None:
    guilty = [
        file
        for file in python_files
        if file.stem in BANNED_NAMES or BANNED_NAMES & set(file.relative_to(REPOSITORY).parts)
    ]

    assert not guilty


def test_no_python_file_is_too_long_for_one_idea(python_files: list[Path]) -> None:
    lengths = {
        str(file.relative_to(REPOSITORY)): len(file.read_text(encoding="utf-8").splitlines()) for file in python_files
    }

    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE_LINES} == {}


def test_every_package_and_module_says_what_belongs_in_it(python_files: list[Path]) -> None:
    silent = [
        str(file.relative_to(REPOSITORY))
        for file in python_files
        if "tests" not in file.relative_to(REPOSITORY).parts  # there, names say it
        and not ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    ]

    assert not silent


ON_DEMAND = {"aegis.backtesting.vectorbt_orders"}
"""Callbacks that are compiled into vectorbt's own loop. Left out here, so that any module that imports one is found."""


def test_importing_the_code_location_loads_nothing_slow() -> None:
    modules = sorted(
        ".".join(file.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
        for package in PACKAGES
        for file in package.rglob("*.py")
        if not file.name.startswith("__main__")
    )
    modules = [name for name in modules if name not in ON_DEMAND]
    program = (
        "import importlib, sys\n"
        f"for name in {modules!r}:\n"
        "    before = set(sys.modules)\n"
        "    importlib.import_module(name)\n"
        f"    loaded = [slow for slow in {SLOW_IMPORTS!r} if slow in sys.modules and slow not in before]\n"
        "    if loaded: print(name, 'imports', *loaded)\n"
    )

    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stderr
    assert run.stdout == ""


def test_the_domain_does_not_load_dagster() -> None:
    modules = sorted(
        ".".join(file.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
        for file in (REPOSITORY / "aegis").rglob("*.py")
    )
    program = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules if name.startswith('dagster')}))\n"
    )

    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == ""


def test_every_module_of_the_domain_has_its_place_among_the_layers() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    domain = next(contract for contract in settings["contracts"] if contract["name"].startswith("Inside the domain"))
    placed = set(re.findall(r"[\w.]+", " ".join(domain["layers"])))
    modules = {
        ".".join(file.relative_to(REPOSITORY).with_suffix("").parts)
        for file in (REPOSITORY / "aegis").rglob("*.py")
        if file.name != "__init__.py"
    }

    assert not {m for m in modules if not any(m == place or m.startswith(f"{place}.") for place in placed)}


def test_the_licence_of_every_direct_dependency_is_named() -> None:
    text = (REPOSITORY / "LICENSES.md").read_text(encoding="utf-8").lower()
    listed = {name.strip() for row in re.findall(r"(?m)^\| ([^|]+) \|", text) for name in row.split(",")}

    assert not {name for name in _declared_packages() if name.lower() not in listed}
