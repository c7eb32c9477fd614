"""Which machine this is, since when it is up, and which user we are: what a copied file cannot bring along.

Belongs here: asking the operating system.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from aegis.errors import ConfigurationError

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class MachineNow:
    """The machine at an instant.

    Parameters
    ----------
    boot_id : str
        Names this start of this machine: another machine, and this one after a restart, has another.
    uptime_seconds : float
        Since that start, sleep included. Unlike the clock it cannot be set.
    user_id : int
        Whom the process acts for.
    """

    boot_id: str
    uptime_seconds: float
    user_id: int


def this_machine() -> MachineNow:
    """Return this machine now.

    Raises
    ------
    ConfigurationError
        The operating system does not say; Linux does.
    """
    try:
        boot_id = _BOOT_ID.read_text(encoding="ascii").strip()
        uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    except (OSError, AttributeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"real money is traded only where the machine tells since when it is up, and {_BOOT_ID} cannot be read "
            f"({error}); trade on Linux"
        ) from error
    return MachineNow(boot_id, uptime, os.geteuid())
