"""The README's way into the lake is run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


def test_the_lake_is_queried_as_the_readme_says(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chapter = README.partition("## Query the lake")[2].partition("\n## ")[0]
    (snippet,) = re.findall(r"```python\n(.*?)```", chapter, flags=re.DOTALL)
    monkeypatch.chdir(finished.parent)
    monkeypatch.delenv("AEGIS_CONFIG", raising=False)

    exec(compile(snippet, "README.md", "exec"), {})  # noqa: S102 - our own page

    printed = capsys.readouterr().out
    assert "client_order_id" in printed
    assert "2014-06-13" in printed
    assert "1000000.0" in printed
