"""How the channel is through which a venue tells of itself.

Belongs here: the value, the same for every broker, for whoever watches them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamHealth:
    """How a stream is.

    Parameters
    ----------
    is_connected : bool
        Whether it listens now.
    connections : int
        Times that it began to listen.
    silent_seconds : float, optional
        Since the venue's last message, its greeting included; None before the first.
    """

    is_connected: bool
    connections: int
    silent_seconds: float | None
