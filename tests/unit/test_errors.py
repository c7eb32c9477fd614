"""The tree of errors is drawn once, in the docstring of `aegis.errors`, and the drawing is true."""

from __future__ import annotations

import re

from aegis import errors

BRANCH = re.compile(r"^    (?P<indent>(?:│   |    )*)(?:├── |└── )(?P<name>\w+)")


def _drawn_parents() -> dict[str, str]:
    assert errors.__doc__ is not None
    path = ["AegisError"]
    parents: dict[str, str] = {}
    for line in errors.__doc__.splitlines():
        if match := BRANCH.match(line):
            depth = len(match["indent"]) // 4 + 1
            path[depth:] = [match["name"]]
            parents[match["name"]] = path[depth - 1]
    return parents


def _real_parents() -> dict[str, str]:
    classes = [value for value in vars(errors).values() if isinstance(value, type) and value is not errors.AegisError]
    return {cls.__name__: cls.__bases__[0].__name__ for cls in classes}


def test_the_drawing_reads_as_a_tree_of_two_levels() -> None:
    drawn = _drawn_parents()

    assert drawn["LakeError"] == "AegisError"
    assert drawn["SchemaMismatch"] == "LakeError"
    assert drawn["DuplicateEvent"] == "JournalError"


def test_the_drawn_tree_is_the_tree_of_classes() -> None:
    assert _drawn_parents() == _real_parents()


def test_catching_the_root_catches_no_programming_error() -> None:
    assert errors.AegisError.__bases__ == (Exception,)
    assert all(
        len(cls.__bases__) == 1
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, errors.AegisError)
    )


def test_every_error_says_when_it_is_raised() -> None:
    undocumented = [name for name, cls in vars(errors).items() if isinstance(cls, type) and not cls.__doc__]

    assert not undocumented
