"""What may befall an answer of the gateway, and a connection to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.integration.vendors.tws.wire import Fields


@dataclass(frozen=True)
class Silence:
    """No answer, on a connection that stays open."""


@dataclass(frozen=True)
class Unreceived:
    """The connection ends before the request is read."""


@dataclass(frozen=True)
class Swallowed:
    """The request is not read, and nothing is said of it, on a connection that stays open."""


@dataclass(frozen=True)
class Cut:
    """This part of the answer's bytes, and then the end of the connection."""

    share: float = 0.5


@dataclass(frozen=True)
class Stalled:
    """This part of the answer's bytes, and then silence."""

    share: float = 0.5


@dataclass(frozen=True)
class Reset:
    """The connection is reset before any answer."""


@dataclass(frozen=True)
class Refusal:
    """An error in the place of the answer; it names the request."""

    code: int
    text: str


@dataclass(frozen=True)
class Notice:
    """A message about the gateway's own connection before the answer, which is kept back where `is_cut_off`."""

    code: int
    text: str
    is_cut_off: bool = False


@dataclass(frozen=True)
class RawBytes:
    """These bytes in the place of the answer."""

    data: bytes


@dataclass(frozen=True)
class Altered:
    """The right messages, changed."""

    change: Callable[[list[Fields]], list[Fields]]


Fault = Silence | Unreceived | Swallowed | Cut | Stalled | Reset | Refusal | Notice | RawBytes | Altered
