"""The kill switch on a real disk."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aegis.errors import ExecutionError
from aegis.live_trading import kill_switch as module
from aegis.live_trading.kill_switch import HeldSwitch, KillSwitch

NOW = datetime(2014, 6, 9, 14, 30, tzinfo=UTC)
LATER = datetime(2014, 6, 9, 15, 0, tzinfo=UTC)


@pytest.fixture
def switch(tmp_path: Path) -> KillSwitch:
    return KillSwitch(tmp_path / "kill_switches" / "simulated.json")


def failing(*_args: Any, **_kwargs: Any) -> None:
    raise OSError("no space left")


def test_a_new_account_is_not_stopped(switch: KillSwitch) -> None:
    assert not switch.is_engaged()
    assert switch.history() == ()
    assert not switch.path.parent.exists(), "asking changes nothing"


def test_engaging_stops_and_releasing_lets_go_and_both_are_remembered(switch: KillSwitch) -> None:
    switch.engage("fat finger", actor="ada", at_utc=NOW)
    status = switch.status()
    assert (status.is_engaged, status.reason, status.actor, status.at_utc) == (True, "fat finger", "ada", NOW)
    assert status.told == "engaged since 2014-06-09 14:30 UTC by ada: fat finger"
    assert KillSwitch(switch.path).is_engaged(), "another process sees it"
    switch.release("order cancelled", actor="grace", at_utc=LATER)
    assert not KillSwitch(switch.path).is_engaged()
    assert switch.status().told == ""
    assert [(use.is_engaged, use.actor, use.at_utc) for use in switch.history()] == [
        (True, "ada", NOW),
        (False, "grace", LATER),
    ]


def test_engaging_is_never_refused_and_may_be_repeated(switch: KillSwitch) -> None:
    switch.engage("", actor="", at_utc=NOW)
    switch.engage("  ", actor=" ", at_utc=NOW)
    switch.engage(" again ", actor="ada", at_utc=LATER)
    assert [use.reason for use in switch.history()] == ["no reason given", "no reason given", "again"]
    assert [use.actor for use in switch.history()] == ["unknown", "unknown", "ada"]
    assert switch.is_engaged()


@pytest.mark.parametrize(("reason", "actor"), [("", "ada"), (" ", "ada"), ("found", "")])
def test_a_release_without_reason_or_name_is_refused(switch: KillSwitch, reason: str, actor: str) -> None:
    switch.engage("stop", actor="ada", at_utc=NOW)
    with pytest.raises(ExecutionError, match="needs a reason and an actor"):
        switch.release(reason, actor=actor, at_utc=LATER)
    assert switch.is_engaged()


def test_there_is_nothing_to_release_before_it_was_engaged(switch: KillSwitch) -> None:
    with pytest.raises(ExecutionError, match="not engaged"):
        switch.release("why not", actor="ada", at_utc=NOW)
    assert switch.history() == ()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"stop\n",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'{"is_engaged": "false", "reason": "", "actor": "", "at_utc": null}',
        b'{"is_engaged": 0, "reason": "", "actor": "", "at_utc": null}',
        b'{"is_engaged": false}',
        b'{"is_engaged": false, "reason": "", "actor": "", "at_utc": "yesterday"}',
    ],
)
def test_a_file_that_cannot_be_understood_means_engaged(switch: KillSwitch, content: bytes) -> None:
    switch.path.parent.mkdir()
    switch.path.write_bytes(content)
    assert switch.is_engaged()
    assert "inspect" in switch.status().reason


def test_a_folder_in_the_place_of_the_file_means_engaged(switch: KillSwitch) -> None:
    switch.path.mkdir(parents=True)
    assert switch.is_engaged()


def test_a_file_that_cannot_be_looked_for_means_engaged(switch: KillSwitch) -> None:
    assert not switch.is_engaged()
    switch.path.parent.write_text("no folder")
    assert "inspect" in switch.status().reason
    with pytest.raises(ExecutionError, match="cannot be read"):
        switch.history()
    switch.path.parent.unlink()
    switch.path.parent.mkdir()
    switch.path.symlink_to(switch.path)
    assert "inspect" in switch.status().reason


@pytest.mark.parametrize("used_before", [False, True])
def test_a_link_that_leads_nowhere_means_engaged(switch: KillSwitch, used_before: bool) -> None:
    switch.path.parent.mkdir()
    if used_before:
        switch.engage("stop", actor="ada", at_utc=NOW)
        switch.release("found", actor="ada", at_utc=NOW)
        switch.path.unlink()
    switch.path.symlink_to(switch.path.parent / "volume_that_is_away" / "simulated.json")
    assert "inspect" in switch.status().reason
    switch.engage("stop", actor="ada", at_utc=LATER)
    assert switch.status().reason == "stop"


def test_a_dangling_link_in_the_place_of_the_history_means_engaged(switch: KillSwitch) -> None:
    switch.path.parent.mkdir()
    switch.history_path.symlink_to(switch.path.parent / "nowhere")
    assert switch.is_engaged()


@pytest.mark.parametrize("place", ["path", "history_path"])
def test_a_pipe_or_a_device_in_the_place_of_a_file_is_not_waited_for(switch: KillSwitch, place: str) -> None:
    switch.path.parent.mkdir()
    file: Path = getattr(switch, place)
    os.mkfifo(file)
    held = len(list(Path("/proc/self/fd").iterdir()))
    found: list[str] = []
    readers = [threading.Thread(target=lambda: found.append(switch.status().reason), daemon=True) for _ in range(3)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(5.0)
    assert len(found) == 3
    assert all(f"{file} is no regular file" in reason for reason in found)
    file.unlink()
    file.symlink_to("/dev/zero")
    assert switch.is_engaged()
    assert len(list(Path("/proc/self/fd").iterdir())) == held


def test_json_that_is_nested_too_deeply_means_engaged_and_keeps_nobody_from_engaging(switch: KillSwitch) -> None:
    switch.path.parent.mkdir()
    switch.path.write_text("[" * 200_000)
    assert "inspect" in switch.status().reason
    switch.engage("stop", actor="ada", at_utc=NOW)
    assert switch.status().reason == "stop"
    switch.history_path.write_text("[" * 200_000)
    with pytest.raises(ExecutionError, match="cannot be read"):
        switch.history()


def test_a_release_that_cannot_be_written_is_in_no_history(switch: KillSwitch) -> None:
    switch.engage("stop", actor="ada", at_utc=NOW)
    switch.path.unlink()
    switch.path.mkdir()
    with pytest.raises(ExecutionError, match="stays engaged"):
        switch.release("found", actor="ada", at_utc=LATER)
    switch.path.rmdir()
    assert switch.is_engaged(), "the history says so"
    assert [use.is_engaged for use in switch.history()] == [True]


def test_a_release_that_fails_after_its_line_is_taken_back_in_the_history(
    switch: KillSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch.engage("stop", actor="ada", at_utc=NOW, flatten=True)
    before = switch.status()
    write, calls = module.replace_json, []

    def second_fails(path: Path, record: Any) -> None:
        calls.append(record)
        failing() if len(calls) > 1 else write(path, record)

    monkeypatch.setattr(module, "replace_json", second_fails)
    with pytest.raises(ExecutionError, match="stays engaged"):
        switch.release("found", actor="ada", at_utc=LATER)
    assert [use.is_engaged for use in switch.history()] == [True, False, True]
    switch.path.unlink()
    assert switch.status() == before, "the request to flatten stands too"


def test_a_person_can_release_a_damaged_switch(switch: KillSwitch) -> None:
    switch.path.parent.mkdir()
    switch.path.write_bytes(b"{")
    switch.release("file inspected", actor="ada", at_utc=NOW)
    assert not switch.is_engaged()


def test_a_deleted_file_means_what_the_history_says_last(switch: KillSwitch) -> None:
    switch.engage("stop", actor="ada", at_utc=NOW)
    switch.path.unlink()
    assert switch.is_engaged()
    switch.release("found", actor="ada", at_utc=LATER)
    switch.path.unlink()
    assert not switch.is_engaged()


@pytest.mark.parametrize("content", ["", "{\n", '{"is_engaged": tru'])
def test_a_deleted_file_with_a_damaged_history_means_engaged(switch: KillSwitch, content: str) -> None:
    switch.history_path.parent.mkdir()
    switch.history_path.write_text(content)
    assert switch.is_engaged()


def test_a_switch_that_could_not_be_written_says_so_and_how_to_stop(
    switch: KillSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "replace_json", failing)
    with pytest.raises(ExecutionError, match=r"could NOT be engaged .*stop the trader process by hand"):
        switch.engage("stop", actor="ada", at_utc=NOW)


def test_engaged_stays_engaged_when_the_history_cannot_be_written(
    switch: KillSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "append_json_line", failing)
    with pytest.raises(ExecutionError, match="the switch is engaged"):
        switch.engage("stop", actor="ada", at_utc=NOW)
    assert switch.is_engaged()


@pytest.mark.parametrize("broken", ["append_json_line", "replace_json"])
@pytest.mark.parametrize("state_file", ["kept", "deleted"])
def test_a_release_that_fails_half_way_leaves_it_engaged(
    switch: KillSwitch, monkeypatch: pytest.MonkeyPatch, broken: str, state_file: str
) -> None:
    switch.engage("stop", actor="ada", at_utc=NOW)
    if state_file == "deleted":
        switch.path.unlink()
    monkeypatch.setattr(module, broken, failing)
    with pytest.raises(ExecutionError, match="stays engaged"):
        switch.release("found", actor="ada", at_utc=LATER)
    assert switch.is_engaged()


def test_a_crash_before_the_rename_leaves_the_old_state_and_no_litter(
    switch: KillSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch.engage("stop", actor="ada", at_utc=NOW)
    before = switch.path.read_bytes()
    fsync: Callable[[int], None] = os.fsync
    calls: list[int] = []

    def crash_on_state(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 3:  # the standing state's file and folder and the history's line reach the disk, then nothing
            raise OSError("power lost")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", crash_on_state)
    with pytest.raises(ExecutionError, match="stays engaged"):
        switch.release("found", actor="ada", at_utc=LATER)
    assert switch.path.read_bytes() == before
    assert sorted(file.name for file in switch.path.parent.iterdir()) == [
        "simulated.history.jsonl",
        "simulated.json",
    ]
    assert switch.is_engaged()


def test_a_torn_last_line_of_the_history_does_not_swallow_the_next(switch: KillSwitch) -> None:
    switch.engage("stop", actor="ada", at_utc=NOW)
    with switch.history_path.open("a") as file:
        file.write('{"is_engaged": tr')
    switch.engage("again", actor="ada", at_utc=LATER)
    lines = switch.history_path.read_text().splitlines()
    assert json.loads(lines[-1])["reason"] == "again"
    with pytest.raises(ExecutionError, match="cannot be read"):
        switch.history()


def test_a_switch_that_cannot_be_read_says_so_and_counts_as_engaged(switch: KillSwitch) -> None:
    switch.path.parent.mkdir(parents=True)
    switch.path.write_text("{", encoding="utf-8")
    assert switch.is_engaged()
    assert switch.status().told.startswith(f"cannot be read, which counts as engaged: {switch.path} or its history")


def test_a_batch_goes_on_while_the_switch_stands_where_it_stood(switch: KillSwitch) -> None:
    HeldSwitch(switch).require_unmoved()
    switch.engage("fat finger", actor="ada", at_utc=NOW)
    held = HeldSwitch(switch)
    switch.engage("again", actor="ada", at_utc=LATER)
    held.require_unmoved()


def test_a_batch_ends_when_the_switch_is_engaged_or_released_meanwhile(switch: KillSwitch) -> None:
    held = HeldSwitch(switch)
    switch.engage("fat finger", actor="ada", at_utc=NOW)
    with pytest.raises(ExecutionError, match=r"engaged since 2014-06-09 14:30 UTC by ada: fat finger.*none of their"):
        held.require_unmoved()
    held = HeldSwitch(switch)
    switch.release("order cancelled", actor="grace", at_utc=LATER)
    with pytest.raises(ExecutionError, match=r"was released by grace: order cancelled"):
        held.require_unmoved()


def test_a_batch_ends_when_the_switch_cannot_be_read_any_more(switch: KillSwitch) -> None:
    held = HeldSwitch(switch)
    switch.path.parent.mkdir(parents=True)
    switch.path.write_text("{", encoding="utf-8")
    with pytest.raises(ExecutionError, match="cannot be read, which counts as engaged"):
        held.require_unmoved()
