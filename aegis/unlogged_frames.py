"""A log for websockets that carry keys: the library writes every frame to its own at the level DEBUG.

Belongs here: keeping frames out of logs. A stream authenticates by a frame that holds the key and the secret.
"""

from __future__ import annotations

import logging


class UnloggedFrames(logging.LoggerAdapter[logging.Logger]):
    """A logger that is never enabled for DEBUG, whatever the program's logging is set to.

    Parameters
    ----------
    name : str
        Of the logger that everything else goes to.
    """

    def __init__(self, name: str) -> None:
        super().__init__(logging.getLogger(name), {})

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the name is logging's
        """Whether something of a level is written down: never a frame."""
        return level > logging.DEBUG and super().isEnabledFor(level)
