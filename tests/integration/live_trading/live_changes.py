"""Single changes of a configuration that may trade real money, and what each is refused with."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.integration.live_trading.live_world import ENDS, HOURS, LiveWorld

Change = Callable[[LiveWorld, pytest.MonkeyPatch], None]


def _set(*path: str, value: object) -> Change:
    def change(world: LiveWorld, _: pytest.MonkeyPatch) -> None:
        section = world.settings
        for name in path[:-1]:
            section = section.setdefault(name, {})
        section[path[-1]] = value

    return change


def _variable(name: str, value: str | None) -> Change:
    def change(_: LiveWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)

    return change


def _file(change: Callable[[LiveWorld, Path], None]) -> Change:
    return lambda world, _: change(world, world.kept().path)


def _edit(name: str, value: object) -> Change:
    def change(world: LiveWorld, _: pytest.MonkeyPatch) -> None:
        world.rewrite(lambda text: json.dumps({**json.loads(text), name: value}))

    return change


def _time(hours: float, uptime_hours: float) -> Change:
    return lambda world, _: world.later(hours, uptime_hours=uptime_hours)


def _machine(**terms: object) -> Change:
    def change(world: LiveWorld, _: pytest.MonkeyPatch) -> None:
        world.machine = replace(world.machine, **terms)

    return change


def _link(world: LiveWorld, path: Path) -> None:
    shutil.move(path, world.folder / "elsewhere.json")
    path.symlink_to(world.folder / "elsewhere.json")


def _linked_folder(world: LiveWorld, path: Path) -> None:
    shutil.move(path.parent, world.folder / "elsewhere")
    (world.folder / "elsewhere").chmod(0o777)
    path.parent.symlink_to(world.folder / "elsewhere")


def _copied_workspace(_: LiveWorld, path: Path) -> None:
    folder = path.parents[1]
    shutil.copytree(folder, folder.with_name("copy"))
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)


def _other_home(world: LiveWorld, path: Path) -> None:
    shutil.copytree(path.parents[2], world.folder / "other")
    world.settings["run"]["home"] = "other"


def _put_back_after_revoking(world: LiveWorld, path: Path) -> None:
    kept = path.read_bytes()
    world.kept().revoke(actor="ada", reason="lunch", now_utc=world.clock.now_utc())
    path.write_bytes(kept)
    path.chmod(0o600)


def _history(change: Callable[[Path], None]) -> Change:
    return lambda world, _: change(world.kept().history_path)


def _older(world: LiveWorld, path: Path) -> None:
    kept = path.read_bytes()
    world.confirm()
    path.write_bytes(kept)


def _another_key(world: LiveWorld, _: pytest.MonkeyPatch) -> None:
    world.key.write_bytes(bytes(32))


LIMIT = partial(_set, "eval", "live_trading", "risk_limits")
ALPACA = partial(_set, "brokers", "alpaca")
IB = {"account": "U1234567", "port": 4001}

MUTATIONS: dict[str, Change] = {
    "paper trading": _set("eval", "live_trading", "paper_trading", value=True),
    "paper trading by the environment": _variable("AEGIS_EVAL__LIVE_TRADING__PAPER_TRADING", "true"),
    "paper trading left out": lambda world, _: world.settings["eval"]["live_trading"].pop("paper_trading"),
    "another broker": _set("eval", "live_trading", "broker", value="interactive_brokers"),
    "several brokers without routes": _set("eval", "live_trading", "broker", value="multi"),
    "another account of ours": _set("run", "account", value="other"),
    "the simulated account": _set("run", "account", value="simulated"),
    "another book": _set("run", "book", value="other"),
    "another workspace": _set("run", "workspace", value="other"),
    "simulated prices": _set("run", "source", value="simulated"),
    "other prices": _set("run", "source", value="alpaca"),
    "planted faults": _set(
        "market_data", "faults", value=[{"symbol": "ABC", "session": "2014-06-05", "kind": "missing_bar"}]
    ),
    "a larger position": LIMIT("max_position_size", value=0.06),
    "a smaller position": LIMIT("max_position_size", value=0.04),
    "a larger daily loss": LIMIT("max_daily_loss", value=0.03),
    "a larger drawdown": LIMIT("max_drawdown", value=0.2),
    "larger orders": LIMIT("max_order_notional_usd", value=50_001.0),
    "more orders": LIMIT("max_day_orders", value=1_001),
    "older quotes": LIMIT("max_quote_age_seconds", value=11.0),
    "a wider collar": LIMIT("price_collar_fraction", value=0.06),
    "a limit by the environment": _variable("AEGIS_EVAL__LIVE_TRADING__RISK_LIMITS__MAX_DRAWDOWN", "0.5"),
    "another algorithm": _set("eval", "execution", "default_algorithm", value="twap"),
    "another participation": _set("eval", "execution", "participation_rate", value=0.2),
    "another strategy": _set("signals", "strategies", value=["momentum"]),
    "another weight": _set("portfolio", "max_position_weight", value=0.04),
    "checks that block less": _set("quality", "max_quarantined_share", value=0.5),
    "another alert log": _set("monitoring", "alert_log", value="other.jsonl"),
    "another host": ALPACA("url", value="https://api.alpaca.markets.example.org"),
    "another port": ALPACA("url", value="https://api.alpaca.markets:444"),
    "an upper-case host without a scheme": ALPACA("url", value="API.ALPACA.MARKETS"),
    "no encryption": ALPACA("url", value="http://api.alpaca.markets"),
    "a host with a dot": ALPACA("url", value="https://api.alpaca.markets."),
    "an address of numbers": ALPACA("url", value="https://203.0.113.7"),
    "a host that two libraries read in two ways": ALPACA(
        "url", value="https://api.alpaca.markets\\@paper-api.alpaca.markets"
    ),
    "a host behind a user": ALPACA("url", value="https://paper-api.alpaca.markets@api.alpaca.markets"),
    "a host before a fragment": ALPACA("url", value="https://api.alpaca.markets#@paper-api.alpaca.markets"),
    "another stream": ALPACA("stream_url", value="wss://stream.example.org/stream"),
    "a stream of its own on the same host": ALPACA("stream_url", value="wss://api.alpaca.markets/stream"),
    "another account at the broker": ALPACA("account", value="987654321"),
    "no account at the broker": ALPACA("account", value=None),
    "more attempts": ALPACA("attempts", value=2),
    "an unknown setting": ALPACA("acount", value="987654321"),
    "another broker's block": _set("brokers", "interactive_brokers", value=IB),
    "another key": _variable("AEGIS_BROKERS__ALPACA__KEY_ID", "PK-ANOTHER"),
    "another secret": _variable("AEGIS_BROKERS__ALPACA__SECRET_KEY", "another"),
    "no secret": _variable("AEGIS_BROKERS__ALPACA__SECRET_KEY", None),
    "a key for the data": _variable("AEGIS_MARKET_DATA__ALPACA__KEY_ID", "PK-ANOTHER"),
    "no variable": _variable("AEGIS_LIVE_TRADING", None),
    "an empty variable": _variable("AEGIS_LIVE_TRADING", ""),
    "a variable of another account": _variable("AEGIS_LIVE_TRADING", "other"),
    "a variable that says yes": _variable("AEGIS_LIVE_TRADING", "true"),
    "a variable in upper case": _variable("AEGIS_LIVE_TRADING", "FUND"),
    "a variable with a blank": _variable("AEGIS_LIVE_TRADING", "fund "),
    "its end": _time(HOURS, HOURS),
    "its end by the clock alone": _time(HOURS, 0.0),
    "its end by the time since the start alone": _time(0.0, HOURS),
    "the clock set back after its end": _time(-1.0, HOURS + 1.0),
    "the clock set back before its beginning": _time(-0.001, 0.0),
    "a restart of the machine": _machine(boot_id="another", uptime_seconds=1.0),
    "a restart that left the name": _machine(uptime_seconds=0.0),
    "another user": _machine(user_id=os.geteuid() + 1),
    "an edited end": _edit("expires_at_utc", (ENDS + timedelta(hours=1)).isoformat()),
    "an edited limit": _edit("limits", {}),
    "an edited person": _edit("actor", "bob"),
    "an edited host": _edit("targets", []),
    "an edited seal": _edit("seal", "0" * 64),
    "a seal of another kind": _edit("seal", None),
    "an added field": _edit("note", "x"),
    "one blank more": lambda world, _: world.rewrite(lambda text: text.replace("ada", "ada ")),
    "half of the file": lambda world, _: world.rewrite(lambda text: text[: len(text) // 2]),
    "an empty file": lambda world, _: world.rewrite(lambda _: ""),
    "a list": lambda world, _: world.rewrite(lambda _: "[]"),
    "no file": _file(lambda _, path: path.unlink()),
    "a folder in its place": _file(lambda _, path: (path.unlink(), path.mkdir())),
    "a link in its place": _file(_link),
    "a second name of it": _file(lambda world, path: (world.folder / "second.json").hardlink_to(path)),
    "open to its group": _file(lambda _, path: path.chmod(0o640)),
    "open to all": _file(lambda _, path: path.chmod(0o604)),
    "a folder that all may write": _file(lambda _, path: path.parent.chmod(0o777)),
    "a folder that is a link to one": _file(_linked_folder),
    "a copied workspace in the place of it": _file(_copied_workspace),
    "a copied workspace elsewhere": _file(_other_home),
    "an older confirmation": _file(_older),
    "revoked": _file(lambda world, _: world.kept().revoke(actor="ada", reason="x", now_utc=world.clock.now_utc())),
    "put back after it was revoked": _file(_put_back_after_revoking),
    "no history": _history(Path.unlink),
    "an empty history": _history(lambda path: path.write_bytes(b"")),
    "a history that goes on": _history(lambda path: path.write_text(path.read_text() + "{}\n")),
    "a history that others read": _history(lambda path: path.chmod(0o644)),
    "no sealing key": lambda world, _: world.key.unlink(),
    "another sealing key": _another_key,
    "a sealing key that others read": lambda world, _: world.key.chmod(0o644),
}


REASONS = {
    "paper trading": "paper_trading is true, and brokers.alpaca reaches",
    "paper trading by the environment": "paper_trading is true, and brokers.alpaca reaches",
    "paper trading left out": "paper_trading is true, and brokers.alpaca reaches",
    "another broker": "'interactive_brokers' reaches paper trading only",
    "several brokers without routes": "brokers.multi.routes is empty",
    "another account of ours": "holds its name, found 'fund'",
    "the simulated account": "run.account is simulated",
    "another workspace": "workspace other does not exist",
    "simulated prices": "whose prices are simulated",
    "planted faults": "faults plants faults",
    "a larger position": "config_hash, limits changed",
    "a smaller position": "config_hash, limits changed",
    "a larger daily loss": "config_hash, limits changed",
    "a larger drawdown": "config_hash, limits changed",
    "larger orders": "config_hash, limits changed",
    "more orders": "config_hash, limits changed",
    "older quotes": "config_hash, limits changed",
    "a wider collar": "config_hash, limits changed",
    "a limit by the environment": "config_hash, limits changed",
    "another host": "config_hash, targets changed",
    "another port": "config_hash, targets changed",
    "an upper-case host without a scheme": "should match pattern",
    "no encryption": "unencrypted",
    "a host with a dot": "config_hash, targets changed",
    "an address of numbers": "config_hash, targets changed",
    "a host that two libraries read in two ways": "one with other parts",
    "a host behind a user": "one with other parts",
    "a host before a fragment": "one with other parts",
    "another stream": "config_hash, targets changed",
    "another account at the broker": "config_hash, targets changed",
    "no account at the broker": "account is not set",
    "an unknown setting": "unknown key",
    "another key": "its seal, or the keys",
    "another secret": "its seal, or the keys",
    "no secret": "config_hash changed",
    "a key for the data": "config_hash changed",
    "no variable": "it is not set",
    "an empty variable": "found ''",
    "a variable of another account": "found 'other'",
    "a variable that says yes": "found 'true'",
    "a variable in upper case": "found 'FUND'",
    "a variable with a blank": "found 'fund '",
    "its end": "ended at 2014-06-05T22:15",
    "its end by the clock alone": "ended at 2014-06-05T22:15",
    "its end by the time since the start alone": "time since the machine was started",
    "the clock set back after its end": "clock was set back",
    "the clock set back before its beginning": "clock was set back",
    "a restart of the machine": "boot_id changed",
    "a restart that left the name": "clock was set back",
    "another user": "user_id changed",
    "an edited end": "its seal, or the keys",
    "an edited limit": ": limits changed",
    "an edited person": "its seal, or the keys",
    "an edited host": ": targets changed",
    "an edited seal": "its seal, or the keys",
    "a seal of another kind": "its seal, or the keys",
    "an added field": "its seal, or the keys",
    "one blank more": "its seal, or the keys",
    "half of the file": "is no confirmation",
    "an empty file": "is no confirmation",
    "a list": "is no confirmation",
    "no file": "fund.json does not exist",
    "a folder in its place": "no plain file",
    "a link in its place": "no link",
    "a second name of it": "2 names on the disk",
    "open to its group": "mode 0640",
    "open to all": "mode 0604",
    "a folder that all may write": "can be changed by others",
    "a folder that is a link to one": "can be changed by others",
    "a copied workspace in the place of it": ": folder changed",
    "a copied workspace elsewhere": "config_hash, folder changed",
    "an older confirmation": "was revoked, or put back",
    "revoked": "fund.json does not exist",
    "put back after it was revoked": "was revoked, or put back",
    "no history": "was revoked, or put back",
    "an empty history": "was revoked, or put back",
    "a history that goes on": "was revoked, or put back",
    "a history that others read": "history.jsonl has mode 0644",
    "no sealing key": "confirmation.key does not exist",
    "another sealing key": "its seal, or the keys",
    "a sealing key that others read": "confirmation.key has mode 0644",
}
"""What the refusal says; of all others, that the settings changed."""

LONGER = frozenset(
    {
        "paper trading left out", "another book", "a smaller position", "a larger daily loss", "a larger drawdown",
        "larger orders", "more orders", "older quotes", "a wider collar", "another algorithm", "another participation",
        "another strategy", "another weight", "checks that block less", "another alert log", "other prices",
        "an upper-case host without a scheme", "a host with a dot", "a host before a fragment", "more attempts",
        "a stream of its own on the same host", "another broker's block", "a key for the data", "no secret",
    }
)  # fmt: skip
"""Changes of settings that are left to the longer tests: each setting is changed in the shorter ones as well."""
