"""Whatever is lost, doubled, shuffled or late: the minutes of a session are never wrong, and in the end all known."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from aegis.live_data.messages import MinuteOrigin
from aegis.live_data.session_minutes import SessionMinutes
from tests.unit.live_data.feeds import MINUTE, OPENS, minute_of

COUNT = 12
volumes = st.lists(st.sampled_from([0, 1, 7, 100, 12_345]), min_size=COUNT, max_size=COUNT)
"""Shares in each minute; 0 is a minute without a trade, of which no bar comes."""


@settings(max_examples=50)
@given(traded=volumes, data=st.data())
def test_the_known_volume_is_that_of_the_minutes_before_the_first_gap(traded: list[int], data: st.DataObject) -> None:
    minutes = SessionMinutes(OPENS, OPENS + COUNT * MINUTE)
    bars = [number for number, shares in enumerate(traded, 1) if shares]
    told = data.draw(st.lists(st.sampled_from(bars), max_size=30)) if bars else []
    listened = sorted(data.draw(st.lists(st.integers(0, COUNT), min_size=2, max_size=2)))
    for number in told:
        minutes.take(minute_of(number, float(traded[number - 1])))
    for number in bars:  # what was listened to was told
        if listened[0] < number <= listened[1]:
            minutes.take(minute_of(number, float(traded[number - 1])))
    minutes.settle(OPENS + listened[0] * MINUTE, OPENS + listened[1] * MINUTE)
    known = {*told, *range(listened[0] + 1, listened[1] + 1)}
    prefix = next(number for number in range(COUNT + 1) if number + 1 not in known)
    assert minutes.known() == (float(sum(traded[:prefix])), OPENS + prefix * MINUTE)
    missing = {
        number
        for begin, end in minutes.missing(OPENS + COUNT * MINUTE)
        for number in range((begin - OPENS) // MINUTE + 1, (end - OPENS) // MINUTE + 1)
    }
    assert missing == set(range(1, COUNT + 1)) - known


@settings(max_examples=50)
@given(traded=volumes, data=st.data())
def test_asking_for_what_is_missing_completes_the_session(traded: list[int], data: st.DataObject) -> None:
    minutes = SessionMinutes(OPENS, OPENS + COUNT * MINUTE)
    bars = [number for number, shares in enumerate(traded, 1) if shares]
    for number in data.draw(st.lists(st.sampled_from(bars), max_size=30)) if bars else []:
        # First versions lack late trades; a correction may come before the first version, which then is nothing new.
        is_whole = data.draw(st.booleans())
        shares = float(traded[number - 1]) if is_whole else 0.5
        origin = MinuteOrigin.UPDATE if is_whole else MinuteOrigin.STREAM
        minutes.take(minute_of(number, shares, origin=origin))
    until = OPENS - MINUTE
    for step in range(COUNT + 1):
        before = until
        until = minutes.known()[1]
        assert until >= before, "what is known is never forgotten"
        for begin, end in minutes.missing(OPENS + step * MINUTE):
            for number in bars:
                if begin < OPENS + number * MINUTE <= end:
                    minutes.take(minute_of(number, float(traded[number - 1]), origin=MinuteOrigin.UPDATE))
            minutes.settle(begin, end)
    for number in bars:
        minutes.take(minute_of(number, float(traded[number - 1]), origin=MinuteOrigin.UPDATE))
    assert minutes.known() == (float(sum(traded)), OPENS + COUNT * MINUTE)
    assert minutes.missing(OPENS + COUNT * MINUTE) == []
    assert [bar.closes_at_utc for bar in minutes.bars()] == [OPENS + number * MINUTE for number in bars]
