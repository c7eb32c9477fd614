"""How a history is split into windows to fit on and windows to test on.

Belongs here: positions of sessions. What is fitted is :mod:`aegis.backtesting.fits`; how test windows are traded is
:mod:`aegis.backtesting.walk_forward`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aegis.errors import BacktestError, ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Positions of sessions, counted from the first of the bars; ends are excluded.

    Parameters
    ----------
    number : int
        From 0.
    train_first, train_end : int
        What a fit may see.
    test_first, test_end : int
        What it is measured on. The sessions between the two are seen by nobody.
    """

    number: int
    train_first: int
    train_end: int
    test_first: int
    test_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """How sessions are split into windows.

    Parameters
    ----------
    train_sessions, test_sessions : int
        Length of each window; the last test window ends with the bars and may be shorter.
    embargo_sessions : int
        Sessions left out between training and test.
    label_horizon_sessions : int
        How many sessions after a decision its outcome, on which the fit trains, is known.
    kind : {"rolling", "expanding"}
        Whether training windows move along or all begin with the first session.

    Raises
    ------
    ConfigurationError
        A length is not positive, or the embargo is shorter than the horizon: the last outcomes of the training window
        would be prices of the test window.

    References
    ----------
    López de Prado (2018), Advances in Financial Machine Learning, sections 7.4 and 12.2: purging, walk-forward.
    """

    train_sessions: int
    test_sessions: int
    embargo_sessions: int = 0
    label_horizon_sessions: int = 0
    kind: Literal["rolling", "expanding"] = "rolling"

    def __post_init__(self) -> None:
        least = {"train_sessions": 1, "test_sessions": 1, "embargo_sessions": 0, "label_horizon_sessions": 0}
        for name, bound in least.items():
            found = getattr(self, name)
            if found < bound:
                raise ConfigurationError(f"walk-forward: {name} is {found} and must be at least {bound}; correct it")
        if self.embargo_sessions < self.label_horizon_sessions:
            raise ConfigurationError(
                f"walk-forward: embargo_sessions is {self.embargo_sessions}, shorter than label_horizon_sessions, "
                f"{self.label_horizon_sessions}: outcomes of the training window would lie in the test window; raise it"
            )
        if self.kind not in ("rolling", "expanding"):
            raise ConfigurationError(f"walk-forward: kind is {self.kind!r} and must be 'rolling' or 'expanding'")

    def windows(self, n_sessions: int) -> list[Window]:
        """Return the windows of so many sessions; test windows follow each other without a gap.

        Raises
        ------
        BacktestError
            There is no session to test on.
        """
        first = self.train_sessions + self.embargo_sessions
        if first >= n_sessions:
            raise BacktestError(
                f"walk-forward: {self.train_sessions} sessions of training and {self.embargo_sessions} of embargo "
                f"leave none of {n_sessions} to test on; give more bars or shorter windows"
            )
        return [
            Window(
                number=number,
                train_first=0 if self.kind == "expanding" else test - first,
                train_end=test - self.embargo_sessions,
                test_first=test,
                test_end=min(test + self.test_sessions, n_sessions),
            )
            for number, test in enumerate(range(first, n_sessions, self.test_sessions))
        ]
