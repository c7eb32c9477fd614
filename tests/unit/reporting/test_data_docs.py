"""Pages of the data checks: what is found on them, and that what a vendor sent stays text."""

from __future__ import annotations

import re
from datetime import date

import pandas as pd

from aegis.lake.tables import CHECK_RESULTS, QUARANTINED_BARS, REPAIRED_VALUES
from aegis.reporting.data_docs import JudgedRows, write_data_docs

CLEAN, GUILTY, NEWEST = date(2014, 6, 5), date(2014, 6, 6), date(2014, 6, 9)
HOSTILE = "<script>alert(1)</script>"


def judged() -> JudgedRows:
    rows = [
        {
            "session": session,
            "table": "market_data/raw_bars",
            "check": "opens_stay_near_closes",
            "check_version": "1",
            "outcome": "quarantine" if session == GUILTY else "pass",
            "is_blocking": True,
            "observed": float(session == GUILTY),
            "threshold": 0.0,
            "detail": f"KO {GUILTY}: {HOSTILE}" if session == GUILTY else None,
            "content_hash": "c",
            "snapshot_id": 41,
        }
        for session in (CLEAN, GUILTY, NEWEST)
    ]
    aside = dict.fromkeys(QUARANTINED_BARS.column_names) | {
        "session": GUILTY,
        "symbol": "KO",
        "check": "opens_stay_near_closes",
        "reason": HOSTILE,
    }
    mended = {
        "session": GUILTY,
        "symbol": "PEP",
        "column": "ticker",
        "check": "texts_have_no_blanks_around_them",
        "original": "PEP\u00a0",
        "repaired": "PEP",
    }
    return JudgedRows(
        CHECK_RESULTS.conform(pd.DataFrame(rows)),
        QUARANTINED_BARS.conform(pd.DataFrame([aside])),
        REPAIRED_VALUES.conform(pd.DataFrame([mended])),
    )


def test_the_overview_lists_every_session_and_links_those_with_a_page(tmp_path):
    page = write_data_docs(judged(), tmp_path)
    text = page.read_text(encoding="utf-8")
    assert page.name == "2014-06-05_2014-06-09.html"
    assert (tmp_path / "index.html").read_text(encoding="utf-8") == text
    assert re.findall(r'href="sessions/([-0-9]+).html"', text) == ["2014-06-06", "2014-06-09"]
    assert "<td>2014-06-05</td>" in text
    assert sorted(path.name for path in (tmp_path / "sessions").iterdir()) == ["2014-06-06.html", "2014-06-09.html"]


def test_a_session_page_shows_checks_rows_set_aside_and_repairs(tmp_path):
    write_data_docs(judged(), tmp_path)
    text = (tmp_path / "sessions" / "2014-06-06.html").read_text(encoding="utf-8")
    assert '<td class="quarantine">quarantine</td><td>opens_stay_near_closes</td><td class="n">1</td>' in text
    assert "Lake snapshot 41" in text
    assert "<td>KO</td>" in text
    assert "PEP\\xa0" in text


def test_what_a_vendor_sent_is_text_on_every_page(tmp_path):
    write_data_docs(judged(), tmp_path)
    pages = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")]
    assert len(pages) == 4
    assert not any("<script" in page for page in pages)
    assert any("&lt;script&gt;" in page for page in pages)
