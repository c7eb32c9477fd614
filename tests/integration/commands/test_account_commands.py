"""``aegis cash`` and ``aegis positions``: what a person says of an account is written once, with name and reason."""

from __future__ import annotations

import getpass
import io
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from aegis.clock import FixedClock
from aegis.config import AegisConfig, load_config
from aegis.errors import ExecutionError
from aegis.execution.account_state import Position
from aegis.execution.decisions import Decision
from aegis.execution.journal import Journal
from aegis.execution.orders import Order, OrderEvent, OrderEventKind
from aegis.execution.worked_ledger import WorkedLedger
from aegis.lake.attachment import connect
from aegis.live_trading.held_positions import adoption_entry, journalled_positions
from aegis.workspace import Workspace
from aegis_sensors.account_commands import book_command, end_order_command, take_over_command
from aegis_sensors.cli import main
from aegis_sensors.workspace_identity import claim
from tests.integration.conftest import CALENDAR, THE_DAY, settings

FRIDAY = date(2014, 6, 6)
NOON = datetime(2014, 6, 6, 16, tzinfo=UTC)
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AegisConfig:
    """Return the settings of an account that was taken over with 1,000 USD; no evening has been yet."""
    run = {"home": "home", "account": "paper", "account_since": FRIDAY}
    sections = {"run": run, "eval": {"live_trading": {"broker": "simulated"}}}
    (tmp_path / "aegis.yaml").write_text(yaml.safe_dump(sections), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = load_config()
    workspace = Workspace.of(found)
    workspace.folder.mkdir(parents=True)
    claim(found, workspace)
    with Journal.open(workspace.journal("paper"), account="paper") as journal, journal.batch() as batch:
        batch.append(adoption_entry([], reason="start", actor="aegis", session=FRIDAY, at_utc=NOON, cash_usd=1_000.0))
    return found


@pytest.fixture
def aegis(config: AegisConfig, capsys: pytest.CaptureFixture[str]) -> Run:  # noqa: ARG001 - in its folder
    def run(*words: str) -> tuple[int, str]:
        status = main(words)
        said = capsys.readouterr()
        return status, said.out + said.err

    return run


def test_cash_is_booked_once_under_a_key_and_listed_with_who_and_why(aegis: Run) -> None:
    words = ("cash", "book", "-12.34", "--kind", "fee", "--reason", "data plan", "--session", "2014-06-06")
    status, said = aegis(*words, "--key", "statement 17")
    assert (status, "booked -12.34 USD (fee) of session 2014-06-06" in said) == (0, True)
    status, said = aegis(*words, "--key", "statement 17")
    assert (status, "nothing new, it is booked already" in said) == (0, True)
    status, said = aegis(*words[:2], "-12.35", *words[3:], "--key", "statement 17")
    assert status == 2
    assert "key 'statement 17' is that of -12.34 USD (fee) in session 2014-06-06, found -12.35 USD (fee)" in said
    assert aegis(*words, "--key", "statement 18")[0] == 0
    status, said = aegis("cash", "list")
    assert status == 0
    assert "cash by the journal 975.32 USD, 2 bookings, 0 payments due" in said
    assert said.count(f"2014-06-06          -12.34 USD  fee: data plan ({getpass.getuser()})") == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("book", "nothing", "--kind", "fee", "--reason", "x"), "'nothing' is not an amount"),
        (("book", "0", "--kind", "fee", "--reason", "x"), "'0' is not an amount"),
        (("book", "1", "--kind", "gift", "--reason", "x"), "invalid choice: 'gift'"),
        (("book", "1", "--kind", "fee"), "the following arguments are required: --reason"),
    ],
)
def test_words_that_say_nothing_are_refused(
    aegis: Run, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    with pytest.raises(SystemExit):
        aegis("cash", *words)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--reason", " ", "--session", "2014-06-06"), "with a reason and an actor"),
        (("--reason", "x", "--session", "2014-06-07"), "2014-06-07"),
    ],
)
def test_what_cannot_be_booked_is_refused_and_nothing_is_written(aegis: Run, words: tuple[str, ...], said: str) -> None:
    status, told = aegis("cash", "book", "-1", "--kind", "fee", *words)
    assert (status, said in told) == (2, True)
    assert "0 bookings" in aegis("cash", "list")[1]


def test_a_fee_that_came_is_refused_with_what_to_type(aegis: Run) -> None:
    status, told = aegis("cash", "book", "5", "--kind", "fee", "--reason", "data plan", "--session", "2014-06-06")
    assert status == 2
    assert "for a fee of 5.00 USD type `aegis cash book -5.00 --kind fee`" in told
    assert "0 bookings" in aegis("cash", "list")[1]
    back = ("--kind", "other", "--reason", "fee given back", "--session", "2014-06-06")
    assert aegis("cash", "book", "5", *back)[0] == 0


def test_a_shortfall_of_nothing_names_its_sessions(aegis: Run, config: AegisConfig) -> None:
    first, last = ("--from", "2014-06-02"), ("--to", "2014-06-06")
    with connect(Workspace.of(config).lake):
        pass
    for words, said in (
        ((*first, *last), "no order ended in sessions 2014-06-02 to 2014-06-06, as far"),
        (last, "no order ended in the sessions up to 2014-06-06, as far"),
        ((), "no order ended in any session, as far"),
        (("--from", "2014-06-09", *last), "--from 2014-06-09 --to 2014-06-06: the range ends before it begins"),
    ):
        status, told = aegis("shortfall", *words)
        assert (status, said in told) == (2, True), told


def test_the_simulated_account_has_no_cash_to_book(aegis: Run, tmp_path: Path) -> None:
    (tmp_path / "aegis.yaml").write_text(yaml.safe_dump({"run": {"home": "home"}}), encoding="utf-8")
    found = load_config()
    Workspace.of(found).folder.mkdir(parents=True)
    claim(found, Workspace.of(found))
    status, said = aegis("cash", "list")
    assert (status, "'simulated' is no account at a broker" in said) == (2, True)


@pytest.mark.long
def test_an_evening_that_was_booked_takes_no_more_and_the_next_session_does(eve: Path, tmp_path: Path) -> None:
    config = _of_the_eve(eve, tmp_path)
    evening = FixedClock(CALENDAR.close_utc(THE_DAY))
    said = Console(file=io.StringIO(), width=200)
    about = {"amount_usd": 5.0, "kind": "interest", "reason": "June", "console": said, "clock": evening}
    assert book_command(config, **about)
    assert f"of session {THE_DAY}" in said.file.getvalue()


@pytest.mark.long
def test_the_brokers_word_is_taken_over_with_a_reason(eve: Path, tmp_path: Path) -> None:
    config = _of_the_eve(eve, tmp_path)
    clock = FixedClock(CALENDAR.open_utc(CALENDAR.previous(THE_DAY)))
    path = Workspace.of(config).journal("paper")
    with Journal.open(path, account="paper") as journal, journal.batch() as batch:
        held = [Position("SPY", "SPY", 5.0, 1.0, 1.0, CALENDAR.previous(THE_DAY))]
        entry = adoption_entry(
            held,
            reason="start",
            actor="aegis",
            session=CALENDAR.previous(THE_DAY),
            at_utc=clock.now_utc(),
            cash_usd=7.0,
        )
        batch.append(entry)
    said = Console(file=io.StringIO(), width=200)
    assert take_over_command(config, reason="typed wrong", console=said, clock=clock)
    told = said.file.getvalue()
    assert "it differed: paper" in told
    assert "SPY: our books say 5 shares, the broker 0" in told
    assert "took over nothing, " in told
    with Journal.open(path, account="paper") as journal:
        assert journalled_positions(journal) == {}
        rows = journal.events(kinds=["positions adopted"])
        assert [row.payload["reason"] for row in rows] == ["start", "typed wrong"]
        (cash,) = journal.events(kinds=["cash booked"])
        assert cash.payload["amount_usd"] == config.run.initial_cash_usd - 7.0


def _of_the_eve(eve: Path, home: Path) -> AegisConfig:
    shutil.copytree(eve / "simulated-simulated", home / "simulated-paper")
    since = CALENDAR.offset(THE_DAY, -2)
    run = settings(home=home, account="paper", account_since=since)
    config = AegisConfig(eval={"live_trading": {"broker": "simulated"}}, **run)
    with Journal.open(Workspace.of(config).journal("paper"), account="paper"):
        pass
    return config


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--filled", "0"), "'0' is not a number of shares above 0"),
        (("--filled", "1", "--price", "5", "--at", "2014-06-06T10:00:00"), "is not an instant with its time zone"),
        ((), "the following arguments are required: --reason"),
    ],
)
def test_an_order_is_ended_with_words_that_say_something(
    aegis: Run, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    with pytest.raises(SystemExit):
        aegis("positions", "end-order", "order-ABC", *words)
    assert said in capsys.readouterr().err


def test_a_fill_without_its_price_or_instant_is_refused(aegis: Run) -> None:
    status, told = aegis("positions", "end-order", "order-ABC", "--reason", "x", "--filled", "10", "--price", "5")
    assert status == 2
    assert "said with --filled, --price and --at together" in told


@pytest.mark.long
def test_an_order_that_the_broker_tells_of_no_more_is_ended_with_its_fill(
    eve: Path, tmp_path: Path, order_of: Callable[..., Order]
) -> None:
    config = _of_the_eve(eve, tmp_path)
    session = CALENDAR.previous(THE_DAY)
    before, opened = CALENDAR.previous(session), CALENDAR.open_utc(session)
    order = order_of(
        account="paper", session=before, execution_session=session, symbol="SPY", ticker="SPY", quantity_shares=10.0
    )
    path, at = Workspace.of(config).journal("paper"), opened + timedelta(minutes=1)
    with Journal.open(path, account="paper") as journal:
        with journal.batch() as batch:
            about = {"reason": "start", "actor": "aegis", "session": before, "at_utc": CALENDAR.close_utc(before)}
            batch.append(adoption_entry([], cash_usd=config.run.initial_cash_usd, **about))
        ledger = WorkedLedger(journal, first=before)
        decision = Decision(
            decision_id=order.decision_id,
            account="paper",
            session=before,
            orders=(order,),
            gate_rows=(),
            input_snapshot_id=1,
            code_version="1",
            config_hash="c",
            refusals={},
        )
        ledger.commit(decision, at_utc=CALENDAR.close_utc(before))
        for kind in (OrderEventKind.SUBMITTED, OrderEventKind.ACCEPTED):
            ledger.record(
                [OrderEvent(kind=kind, client_order_id=order.client_order_id, session=session, at_utc=opened)]
            )
        ledger.flush()
    said = Console(file=io.StringIO(), width=200)
    about = {"reason": "statement, line 3", "console": said, "clock": FixedClock(opened + timedelta(hours=1))}
    stated = {"filled_shares": 4.0, "price_usd": 10.0, "commission_usd": 1.0, "filled_at_utc": at}
    early = stated | {"filled_at_utc": CALENDAR.open_utc(CALENDAR.previous(before))}
    with pytest.raises(ExecutionError, match=f"it was decided in session {before}; give the instant of the statement"):
        end_order_command(config, order.client_order_id, **about, **early)
    with pytest.raises(ExecutionError, match=r"Give the whole id, as the difference names it; nothing was written"):
        end_order_command(config, order.client_order_id[:8], **about)
    assert not end_order_command(config, order.client_order_id, **about, **stated)
    told = said.file.getvalue()
    assert f"order {order.client_order_id} is cancelled, 4 of 10 SPY filled" in told
    assert "SPY: our books say 4 shares, the broker 0" in told, "the account on paper never had it"
    with pytest.raises(ExecutionError, match="is 'cancelled' in the journal, and is none that the broker tells of no"):
        end_order_command(config, order.client_order_id, **about)
