"""What every block of settings is.

Belongs here: the one base of them, so that none is open to unknown keys or to numbers that are none.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A block of settings; frozen, closed to unknown keys, and every number in it is finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
