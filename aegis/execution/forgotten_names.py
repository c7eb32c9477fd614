"""Names that a process has forgotten, in memory that does not grow with their number.

Belongs here: whether a name may be one of them. What was forgotten is in the journal, which is asked where it may be.

References
----------
Bloom, B. (1970), Space/time trade-offs in hash coding with allowable errors, Communications of the ACM 13(7), 422-426.
"""

from __future__ import annotations

from collections.abc import Iterator

_BITS = 2**20
_SHIFTS = (0, 20, 40)


class ForgottenNames:
    """Names of orders or decisions; safe to share between threads where one at a time adds.

    Notes
    -----
    With n names, a stranger is taken for one of them with a probability of about ``(1 - exp(-3 n / 2**20)) ** 3``: 6 in
    100,000 after 14,000 names, 1.5 % after 100,000. It costs a question to the journal, and never an answer.
    """

    def __init__(self) -> None:
        self._bits = bytearray(_BITS // 8)

    def add(self, name: str) -> None:
        """Take note that a name is forgotten."""
        for place in _places(name):
            self._bits[place >> 3] |= 1 << (place & 7)

    def may_have(self, name: str) -> bool:
        """Whether a name may have been added; False is certain."""
        return all(self._bits[place >> 3] >> (place & 7) & 1 for place in _places(name))


def _places(name: str) -> Iterator[int]:
    value = hash(name)
    return ((value >> shift) % _BITS for shift in _SHIFTS)
