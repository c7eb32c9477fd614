"""Trading on paper killed at every line of its file, every commit and random instants comes to the same account."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis.execution.brokers.paper_log import PaperLog
from tests.integration.live_trading import paper_process as paper
from tests.integration.live_trading.forked_runs import ForkedRuns, forked_runs
from tests.integration.live_trading.killed_runs import (
    INSTANTS,
    RESTARTED_WITHIN_SECONDS,
    kill_at_each,
    kill_at_random_instants,
    some_boundaries,
)

DEATHS_OF_A_RUN = 2
NEVER = -1

# A tenth of each minute's volume: 100 are bought in two minutes; of the 50 at 8.50 or better 30 fill at the open of
# 8.40 and 20 at that of 8.45; 10 of the 100 000 DEF; 30 are sold in two minutes. 120 ABC become 240, and 40 DEF are
# bought. 10 000 - 500 - 505 - 252 - 169 - 200 + 180 + 95 - 800 = 7 849; 240 ABC at 4.80 and 50 DEF at 20 are 2 152.
ACCOUNT = {
    "breaks": [],
    "cash_usd": 7_849.0,
    "equity_usd": 10_001.0,
    "held": [["ABC", 240.0], ["DEF", 50.0]],
    "fills": [
        ["2014-06-06T13:31:00+00:00", "ABC", 50.0, 10.0],
        ["2014-06-06T13:32:00+00:00", "ABC", 50.0, 10.1],
        ["2014-06-06T13:33:00+00:00", "ABC", 30.0, 8.4],
        ["2014-06-06T13:34:00+00:00", "ABC", 20.0, 8.45],
        ["2014-06-06T13:35:00+00:00", "DEF", 10.0, 20.0],
        ["2014-06-06T13:36:00+00:00", "ABC", -20.0, 9.0],
        ["2014-06-06T14:30:00+00:00", "ABC", -10.0, 9.5],
        ["2014-06-09T13:32:00+00:00", "DEF", 40.0, 20.0],
    ],
    "repeated_fills": 0,
    "replacements": ["replaced"],
}


class Died(BaseException):
    """The run ends here; nothing that handles errors may stop it."""


def die() -> None:
    raise Died


@pytest.fixture(scope="module")
def runs() -> Iterator[ForkedRuns]:
    with forked_runs(paper.__name__) as started:
        yield started


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Trade without dying, and return how many boundaries there are."""
    boundaries = paper.Boundaries(NEVER)
    folder = tmp_path_factory.mktemp("whole")
    require_same(paper.play(folder, boundaries), folder)
    return boundaries.passed


def require_same(account: dict[str, Any], folder: Path) -> None:
    """Compare an account with the one by hand, and its file with what came: each order and each minute once."""
    assert account == ACCOUNT
    records = PaperLog(folder / paper.PAPER_FILE).take()
    submitted = Counter(record["submit"]["client_order_id"] for record in records if "submit" in record)
    minutes = Counter(record["minute"]["closes_at_utc"] for record in records if "minute" in record)
    assert (len(submitted), set(submitted.values())) == (6, {1}), submitted
    assert (len(minutes), set(minutes.values())) == (len(paper.MINUTES) + 2, {1}), "and the two closes"


def finish(runs: ForkedRuns, folder: Path) -> None:
    began = time.monotonic()
    word = runs.run(NEVER, folder)
    assert word.startswith("{"), word or "killed"
    assert time.monotonic() - began < RESTARTED_WITHIN_SECONDS
    require_same(json.loads(word)["account"], folder)


def test_paper_trading_that_stops_at_a_line_or_commit_goes_on_to_the_same_account(whole: int, tmp_path: Path) -> None:
    for number in some_boundaries(whole, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(Died):
            paper.play(folder, paper.Boundaries(number, die))
        require_same(paper.play(folder, paper.Boundaries(NEVER)), folder)


@pytest.mark.long
def test_paper_trading_killed_at_each_line_and_commit_goes_on_to_the_same_account(
    runs: ForkedRuns, whole: int, tmp_path: Path
) -> None:
    assert whole > 100
    killed = kill_at_each(
        whole, tmp_path, lambda folder, number: runs.run(number, folder), lambda folder: finish(runs, folder)
    )
    assert killed == whole


@pytest.mark.long
def test_paper_trading_killed_at_a_hundred_random_instants_goes_on_to_the_same_account(
    runs: ForkedRuns, tmp_path: Path
) -> None:
    killed = kill_at_random_instants(
        tmp_path,
        lambda folder, seconds: runs.run(NEVER, folder, kill_after_seconds=seconds),
        lambda folder: finish(runs, folder),
        deaths=DEATHS_OF_A_RUN,
    )
    assert killed >= INSTANTS
