"""Brokers that can reach real money are made in one module, as the syntax trees of all packages say."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MADE_HERE = REPOSITORY / "aegis" / "live_trading" / "live_safety.py"
NETWORKED = {"AlpacaBroker", "InteractiveBrokersBroker"}
ADDRESS_TO_CLASS = {"aegis.execution.brokers.alpaca", "aegis.execution.brokers.interactive_brokers"}
CLIENTS = {"alpaca.trading", "ib_async", "ib_insync"}
MAY_USE_CLIENTS = {
    REPOSITORY / "aegis" / "execution" / "brokers" / "alpaca_requests.py",
    REPOSITORY / "aegis" / "execution" / "brokers" / "alpaca_stream.py",
    REPOSITORY / "aegis" / "tws_library.py",
}


def _offences(tree: ast.AST) -> list[str]:
    """Return what makes, names or confirms a broker of real money in a module."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and any(word.arg == "confirmation" for word in node.keywords):
            found.append("gives a confirmation")
        if isinstance(node, ast.Call) and _name(node.func) == "LiveTradingConfirmation":
            found.append("makes a confirmation of its own")
        if isinstance(node, ast.ImportFrom) and node.module in ADDRESS_TO_CLASS:
            found.append(f"imports {node.module}")
        if isinstance(node, ast.Import) and ADDRESS_TO_CLASS & {alias.name for alias in node.names}:
            found.append("imports a broker")
        if isinstance(node, (ast.Name, ast.Attribute)) and _name(node) in NETWORKED:
            found.append(f"names {_name(node)}")
        if isinstance(node, ast.Constant) and node.value in ADDRESS_TO_CLASS:
            found.append("names a broker's module for an import by name")
    return found


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _modules() -> list[Path]:
    packages = [path for path in REPOSITORY.glob("aegis*") if (path / "__init__.py").is_file()]
    return [*(file for package in packages for file in package.rglob("*.py")), *(REPOSITORY / "deploy").rglob("*.py")]


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def test_no_other_module_makes_a_broker_that_can_reach_real_money() -> None:
    own = {
        REPOSITORY / "aegis" / "execution" / "brokers" / f"{name.rpartition('.')[2]}.py" for name in ADDRESS_TO_CLASS
    }
    guilty = {
        str(file.relative_to(REPOSITORY)): offences
        for file in _modules()
        if file != MADE_HERE and file not in own and (offences := _offences(_tree(file)))
    }

    assert guilty == {}
    assert {"gives a confirmation", "names AlpacaBroker", "names InteractiveBrokersBroker"} <= set(
        _offences(_tree(MADE_HERE))
    )


def test_no_other_module_uses_the_clients_that_send_orders() -> None:
    guilty = set()
    for file in _modules():
        for node in ast.walk(_tree(file)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name == client or name.startswith(f"{client}.") for name in names for client in CLIENTS):
                guilty.add(file)

    assert guilty <= MAY_USE_CLIENTS


@pytest.mark.parametrize(
    "statement",
    [
        "AlpacaBroker(settings, account='fund', confirmation=word)",
        "from aegis.execution.brokers.alpaca import AlpacaBroker as Paper",
        "import aegis.execution.brokers.interactive_brokers",
        "brokers.alpaca.AlpacaBroker",
        "importlib.import_module('aegis.execution.brokers.alpaca')",
        "LiveTradingConfirmation(account='fund', confirmed_by='x', expires_at_utc=end)",
    ],
)
def test_each_way_round_it_would_be_noticed(statement: str) -> None:
    assert _offences(ast.parse(statement))
