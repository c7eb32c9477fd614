"""The end of a traded account's journal on another volume: a cut is refused, and nothing leaves that could be cut."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from aegis.backtesting.costs import CostModel
from aegis.backtesting.rules import TradingRules
from aegis.clock import SimulatedClock
from aegis.config import AegisConfig
from aegis.errors import AnchorUnavailable, ConfigurationError, JournalError
from aegis.execution.account_state import AccountState
from aegis.execution.anchor_places import FolderPlace, configured_place
from aegis.execution.brokers.simulated import SimulatedBroker
from aegis.execution.journal import Journal
from aegis.execution.journal_anchor import JournalAnchor
from aegis.execution.journal_chain import JournalHead
from aegis.execution.order_states import OrderState, OrderStatus
from aegis.execution.orders import Order
from aegis.live_trading.execution_config import ExecutionConfig
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.held_positions import AccountEventKind
from aegis.live_trading.kill_switch import KillSwitch
from aegis.workspace import Workspace
from tests.integration.live_trading.trading_process import ACCOUNT, IN_SESSION, broker_at, config_in
from tests.integration.venues.alpaca.server import AlpacaVenue

EVENING = datetime(2014, 6, 5, 20, 15, tzinfo=UTC)
SUBMITTED = "submitted"


class Venue(SimulatedBroker):
    """The simulated broker, which keeps with each order what was anchored when it arrived."""

    def __init__(self, clock: SimulatedClock, place: FolderPlace) -> None:
        super().__init__(
            AccountState.opening(ACCOUNT, cash_usd=1e6), costs=CostModel(), rules=TradingRules(), clock=clock
        )
        self._place = place
        self.arrived: list[tuple[str, JournalHead | None]] = []

    def submit(self, order: Order) -> OrderStatus:
        self.arrived.append((order.client_order_id, self._place.read()))
        return super().submit(order)


class Trading:
    """An account whose journal is anchored in a folder that can be taken away."""

    def __init__(self, folder: Path) -> None:
        self.volume = folder / "volume"
        self.volume.mkdir()
        self.place = FolderPlace(self.volume, "a-workspace", ACCOUNT)
        self._away = folder / "away"
        self.clock = SimulatedClock(EVENING)
        self.venue = Venue(self.clock, self.place)
        self.config: ExecutionConfig = config_in(folder / "home", self.clock, anchor=self.place)

    def system(self) -> closing[ExecutionSystem]:
        return closing(ExecutionSystem(self.venue, self.config))

    @contextmanager
    def taken_away(self) -> Iterator[None]:
        self.volume.rename(self._away)
        yield
        self._away.rename(self.volume)

    def journal(self) -> closing[Journal]:
        return closing(Journal.open(self.config.journal, account=ACCOUNT))

    def cut_to(self, sequence: int) -> None:
        """Cut the journal's end off so that what is left verifies by itself."""
        with closing(sqlite3.connect(str(self.config.journal))) as file, file:
            for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                file.execute(f"DROP TRIGGER {name}")
            file.execute("DELETE FROM journal_events WHERE sequence > ?", (sequence,))
            file.execute(
                "UPDATE journal_heads SET sequence = ?1, hash = (SELECT hash FROM journal_events WHERE sequence = ?1)",
                (sequence,),
            )
        with self.journal() as journal:
            assert journal.verify() == sequence


@pytest.fixture
def trading(tmp_path: Path) -> Trading:
    return Trading(tmp_path)


def buy(system: ExecutionSystem, name: str, shares: float = 10) -> Order:
    return system.order("ABC", shares, name=name, arrival_price_usd=10.0)


def test_an_order_leaves_only_when_the_row_that_says_so_is_anchored(trading: Trading) -> None:
    with trading.system() as system:
        for name in ("one", "two"):
            system.submit_order(buy(system, name))
    with trading.journal() as journal:
        written = {row.client_order_id: row for row in journal.events(kinds=[SUBMITTED])}
        end = journal.head()
    assert len(trading.venue.arrived) == 2
    for name, anchored in trading.venue.arrived:
        assert anchored is not None
        assert anchored >= (written[name].sequence, ""), "what was anchored may end later, never earlier"
    assert trading.place.read() == end, "and what happened after is anchored when the process ends"


def test_what_is_told_later_is_anchored_at_the_next_look(trading: Trading) -> None:
    with trading.system() as system:
        order = buy(system, "one")
        system.submit_order(order)
        before = trading.place.read()
        system.cancel_order(order.client_order_id)
        assert trading.place.read() == before
        system.step()
        with trading.journal() as journal:
            assert trading.place.read() == journal.head() != before


@pytest.mark.parametrize("lost", [1, *(pytest.param(rows, marks=pytest.mark.long) for rows in (3, 6))])
def test_a_journal_whose_end_was_cut_off_starts_nothing(trading: Trading, lost: int) -> None:
    with trading.system() as system:
        system.submit_order(buy(system, "one"))
    anchored = trading.place.read()
    assert anchored is not None
    trading.cut_to(anchored.sequence - lost)
    message = (
        rf"published up to sequence {anchored.sequence} and now ends with {anchored.sequence - lost}; .*{ACCOUNT}\.json"
    )
    for _ in range(2):  # the refusal itself leaves the anchor as it is
        with pytest.raises(JournalError, match=message):
            trading.system()
        assert trading.place.read() == anchored


@pytest.mark.long
def test_a_journal_that_was_cut_and_went_on_elsewhere_is_refused(trading: Trading) -> None:
    with trading.system() as system:
        system.submit_order(buy(system, "one"))
    anchored = trading.place.read()
    assert anchored is not None
    trading.cut_to(anchored.sequence - 3)
    elsewhere = config_in(Path(str(trading.config.journal)).parent, trading.clock)
    with closing(ExecutionSystem(Venue(trading.clock, trading.place), elsewhere)) as system:
        for name in ("two", "three"):
            system.submit_order(buy(system, name))
    with pytest.raises(
        JournalError, match=rf"sequence {anchored.sequence} has hash .*rewritten, or is another journal"
    ):
        trading.system()


def test_no_order_leaves_while_the_volume_is_away_and_each_leaves_once_when_it_is_back(trading: Trading) -> None:
    with trading.system() as system:
        open_one = buy(system, "one")
        system.submit_order(open_one)
        second, third = buy(system, "two"), buy(system, "three")
        with trading.taken_away():
            with pytest.raises(AnchorUnavailable, match=r"journal of paper: its anchor .* there is no folder"):
                system.submit_order(second)
            with pytest.raises(AnchorUnavailable, match=r"Order .* \(ABC 10\) was not sent"):
                system.submit_order(third)
            assert system.breaks[0].startswith("journal of paper: its anchor")
            system.cancel_order(open_one.client_order_id)  # a cancel waits for nothing
            system.step()
            with trading.journal() as journal:
                events = journal.verify()
            for _ in range(3):
                system.step()
            with trading.journal() as journal:
                assert journal.verify() == events, "waiting writes nothing"
                known = {row.client_order_id for row in journal.events()}
            assert third.client_order_id not in known
            assert [name for name, _ in trading.venue.arrived] == [open_one.client_order_id]
            assert trading.venue.find_order(open_one.client_order_id).state is OrderState.CANCELLED
        system.step()
        assert system.breaks == ()
        for _ in range(2):
            system.submit_order(second)
            system.submit_order(third)
    arrived = [name for name, _ in trading.venue.arrived]
    assert arrived == [order.client_order_id for order in (open_one, second, third)]


def test_an_account_does_not_start_while_the_volume_is_away_or_another_is_in_its_place(trading: Trading) -> None:
    with trading.system():
        pass
    with trading.taken_away():
        with pytest.raises(AnchorUnavailable, match="mount the volume"):
            trading.system()
        trading.volume.mkdir()
        with pytest.raises(AnchorUnavailable, match=r"was kept at .* and is not there any more"):
            trading.system()
        assert list(trading.volume.iterdir()) == [], "it is not begun again"
        trading.volume.rmdir()
    with trading.system():
        pass


def test_another_place_begins_anew_and_the_journal_says_where(trading: Trading, tmp_path: Path) -> None:
    with trading.system():
        pass
    shutil.rmtree(trading.volume)
    second = tmp_path / "second"
    second.mkdir()
    place = FolderPlace(second, "a-workspace", ACCOUNT)
    trading.config = config_in(tmp_path / "home", trading.clock, anchor=place)
    with trading.system():
        pass
    with trading.journal() as journal:
        rows = journal.events(kinds=[AccountEventKind.ANCHOR_BEGUN])
        assert [row.payload["place"] for row in rows] == [str(trading.place), str(place)]
        assert place.read() == journal.head()


def test_a_head_is_not_replaced_by_an_earlier_one(trading: Trading) -> None:
    later, earlier = JournalHead(7, "a" * 64), JournalHead(3, "b" * 64)
    assert trading.place.keep(later) == later
    assert trading.place.keep(earlier) == later
    assert trading.place.read() == later


def test_a_file_that_is_no_head_is_refused(trading: Trading) -> None:
    for content in ("", "{}", '{"sequence": 3, "hash": "short"}', "[]", '{"sequence": null, "hash": "x"}'):
        file = Path(str(trading.place))
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
        with pytest.raises(JournalError, match="something else than the head of a journal"):
            trading.system()


@pytest.fixture
def venue(venue: AlpacaVenue) -> AlpacaVenue:
    venue.book.book("DEF", Decimal(40), Decimal(10))
    return venue


@contextmanager
def at_venue(venue: AlpacaVenue, folder: Path, place: FolderPlace) -> Iterator[ExecutionSystem]:
    """One life of a process that trades over a network."""
    clock = SimulatedClock(IN_SESSION)
    with (
        broker_at(venue.rest.url, venue.stream.url, clock) as broker,
        closing(ExecutionSystem(broker, config_in(folder / "home", clock, anchor=place))) as system,
    ):
        yield system
        broker.catch_up()
        system.step()


@pytest.mark.long
def test_an_order_that_was_never_anchored_is_sent_once_by_the_next_process(
    trading: Trading, venue: AlpacaVenue, tmp_path: Path
) -> None:
    with at_venue(venue, tmp_path, trading.place) as system:
        order = buy(system, "one")
        with trading.taken_away(), pytest.raises(AnchorUnavailable):
            system.submit_order(order)
        assert venue.book.orders == {}
        trading.volume.rename(tmp_path / "kept")
    assert venue.book.orders == {}
    (tmp_path / "kept").rename(trading.volume)
    with at_venue(venue, tmp_path, trading.place) as system:
        system.step()
        assert not system.submit_order(order).is_final
    assert venue.book.accepted == {order.client_order_id: 1}


class Died(BaseException):
    """The process ends here; nothing that handles errors may stop it."""


class DeadlyPlace(FolderPlace):
    """A volume beside which the process dies, before or after a head is kept for the n-th time."""

    def __init__(self, folder: Path, keeps: int, *, after: bool) -> None:
        super().__init__(folder, "a-workspace", ACCOUNT)
        self.keeps, self._after = keeps, after
        self.died = False

    def keep(self, head: JournalHead) -> JournalHead:
        if self.died:
            raise AnchorUnavailable("the dead keep nothing")
        self.keeps -= 1
        if self.keeps == 0 and not self._after:
            self._die()
        found = super().keep(head)
        if self.keeps == 0:
            self._die()
        return found

    def _die(self) -> None:
        self.died = True
        raise Died


@pytest.mark.long
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("keeps", [1, 2, 3, 4])
def test_a_process_that_dies_at_the_anchor_leaves_orders_that_the_next_one_sends_once(
    trading: Trading, venue: AlpacaVenue, tmp_path: Path, keeps: int, after: bool
) -> None:
    deadly = DeadlyPlace(trading.volume, keeps, after=after)
    with suppress(Died), at_venue(venue, tmp_path, deadly) as system:
        for name in ("one", "two", "three"):
            system.submit_order(buy(system, name))
    assert deadly.died
    with at_venue(venue, tmp_path, trading.place) as system:
        orders = [buy(system, name) for name in ("one", "two", "three")]
        for order in orders:
            system.submit_order(order)
    assert venue.book.accepted == {order.client_order_id: 1 for order in orders}


@pytest.mark.long
def test_a_stop_that_closes_every_position_waits_for_no_anchor(
    trading: Trading, venue: AlpacaVenue, tmp_path: Path
) -> None:
    with at_venue(venue, tmp_path, trading.place) as system, trading.taken_away():
        switch = KillSwitch(tmp_path / "home" / "kill.json")
        switch.engage("enough", actor="ada", at_utc=IN_SESSION, flatten=True)
        system.step()
        assert [(order["symbol"], order["side"], order["qty"]) for order in venue.book.orders.values()] == [
            ("DEF", "sell", "40")
        ]
        assert system.breaks[0].startswith("journal of paper: its anchor")
    with trading.journal() as journal:
        assert trading.place.read() == journal.head(), "what left unanchored is anchored as soon as it can be"


class HangingPlace(FolderPlace):
    """A volume that answers when it is let to."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "a-workspace", ACCOUNT)
        self.may_answer = threading.Event()
        self.asked = 0

    def keep(self, head: JournalHead) -> JournalHead:
        self.asked += 1
        self.may_answer.wait()
        return super().keep(head)


def test_a_place_that_hangs_is_waited_for_once_and_asked_again_when_it_is_back(
    trading: Trading, tmp_path: Path
) -> None:
    place = HangingPlace(trading.volume)
    anchor = JournalAnchor(place, account=ACCOUNT, longest_wait_seconds=0.05)
    with closing(Journal.open(tmp_path / "journal.sqlite", account=ACCOUNT)) as journal:
        for _ in range(3):
            with pytest.raises(AnchorUnavailable, match=r"gives no answer within 0\.05 s"):
                anchor.keep_head_of(journal)
        assert place.asked == 1
        place.may_answer.set()
        assert anchor._asking is not None
        anchor._asking.join()
        assert anchor.keep_head_of(journal) == journal.head() == place.read()


def test_a_folder_in_the_workspace_is_no_other_place(tmp_path: Path) -> None:
    def workspace(**storage: str) -> Workspace:
        return Workspace.of(AegisConfig(run={"home": tmp_path / "home"}, storage=storage))

    def place_at(location: Path) -> object:
        return configured_place(workspace(anchor_location=str(location)), ACCOUNT)

    assert configured_place(workspace(), ACCOUNT) is None
    inside = workspace().folder
    for location in (inside, inside / "anchors", tmp_path):
        with pytest.raises(ConfigurationError, match="lie in each other"):
            place_at(location)
    assert str(place_at(Path("/mnt/other"))).startswith("/mnt/other/")
