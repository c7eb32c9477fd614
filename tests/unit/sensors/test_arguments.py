"""Words on the command line that are refused."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

import pytest

from aegis_sensors.arguments import instant


@pytest.mark.parametrize(
    "text", ["2024-05-31T15:30:00", "2024-05-31", "noon", "0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-12:00"]
)
def test_what_is_no_instant_in_utc_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"write it as 2024-05-31T15:30:00-04:00"):
        instant(text)


def test_an_instant_of_another_zone_is_the_same_instant_in_utc() -> None:
    assert instant("2024-05-31T15:30:00-04:00") == datetime(2024, 5, 31, 19, 30, tzinfo=UTC)
