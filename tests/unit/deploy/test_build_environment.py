"""When an environment is made, kept or made anew; installing itself is tested with `make`."""

from __future__ import annotations

from pathlib import Path

import build_environment
import pytest


def test_an_environment_of_this_clone_is_kept(tmp_path: Path) -> None:
    (tmp_path / "made_for.txt").write_text("/clones/here\n", encoding="utf-8")

    assert not build_environment.is_made_elsewhere(tmp_path, Path("/clones/here"))


def test_an_environment_that_moved_with_its_clone_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "made_for.txt").write_text("/clones/before\n", encoding="utf-8")

    assert build_environment.is_made_elsewhere(tmp_path, Path("/clones/here"))


def test_an_environment_that_somebody_else_made_is_never_cleared(tmp_path: Path) -> None:
    assert not build_environment.is_made_elsewhere(tmp_path, Path("/clones/here"))


def test_an_environment_whose_python_is_gone_is_not_usable(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(tmp_path / "no-such-python")

    assert not build_environment.has_python(tmp_path)
    assert not build_environment.has_python(tmp_path / "nothing")


def test_a_stamp_replaces_the_older_one_of_its_kind_only(tmp_path: Path) -> None:
    for name in ("runtime-1", "runtime-2", "dev-7"):
        (tmp_path / name).touch()

    build_environment.stamp(tmp_path, "runtime-3")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["dev-7", "runtime-3"]


def test_uv_may_not_download_a_python() -> None:
    assert build_environment._environment({"HOME": "/h"}) == {
        "HOME": "/h",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
    }


def test_a_kernel_that_cannot_be_imported_is_told_and_leaves_the_environment_usable(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text('#!/bin/sh\necho "no numba" >&2\nexit 1\n', encoding="utf-8")
    (tmp_path / "bin" / "python").chmod(0o755)

    build_environment.compile_kernel(tmp_path)

    told = capfd.readouterr().err
    assert told.index("no numba") < told.index("could not be imported")
