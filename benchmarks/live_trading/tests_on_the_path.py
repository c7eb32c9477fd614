"""Makes ``tests`` importable, whose venue on this machine speaks Alpaca's protocol.

Belongs here: nothing else. Some distribution installs a package of the name "tests", which would hide the folder.
"""

from __future__ import annotations

import sys
import types

from benchmarks.backtesting.environments import CLONE

_package = types.ModuleType("tests")
_package.__path__ = [str(CLONE / "tests")]
sys.modules["tests"] = _package
