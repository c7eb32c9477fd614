"""Pages of the data checks: what is found on them, and that what a vendor sent stays text."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import pandas as pd

from aegis.lake.tables import CHECK_RESULTS, QUARANTINED_BARS, REPAIRED_VALUES
from aegis.reporting.data_docs import LISTED_FINDINGS, JudgedRows, write_data_docs, write_run_page

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
    assert page == tmp_path / "index.html"
    assert "<h1>Data checks 2014-06-05 to 2014-06-09</h1>" in text
    assert "3 sessions: 1 quarantine, 2 pass; read at lake snapshot 41." in text
    assert re.findall(r'href="sessions/([-0-9]+).html"', text) == ["2014-06-06", "2014-06-09"]
    assert "1 session in which every check passed" in text
    assert '<td class="name">2014-06-05</td>' in text
    assert sorted(path.name for path in (tmp_path / "sessions").iterdir()) == ["2014-06-06.html", "2014-06-09.html"]


def test_a_session_page_shows_checks_rows_set_aside_and_repairs(tmp_path):
    write_data_docs(judged(), tmp_path)
    text = (tmp_path / "sessions" / "2014-06-06.html").read_text(encoding="utf-8")
    assert '<td class="name quarantine">quarantine</td><td class="name">opens_stay_near_closes</td>' in text
    assert "read at lake snapshot 41" in text
    assert "<td>KO</td>" in text
    assert "PEP\\xa0" in text


def test_several_offenders_stand_below_each_other(tmp_path):
    rows = judged()
    rows.check_results.loc[rows.check_results["outcome"] == "quarantine", "detail"] = "KO 1 | PEP 2 | and 4 more row(s)"
    text = write_run_page(rows, tmp_path).read_text(encoding="utf-8")
    assert "<ul><li>KO 1</li><li>PEP 2</li><li>and 4 more row(s)</li></ul>" in text


def test_a_run_writes_one_page_of_its_sessions_the_worst_finding_first(tmp_path):
    rows = judged()
    blocked = rows.check_results.iloc[[2]].assign(check="prices_are_positive", outcome="block", detail="PEP: -1")
    both = replace(rows, check_results=pd.concat([rows.check_results, blocked], ignore_index=True))
    page = write_run_page(both, tmp_path)
    text = page.read_text(encoding="utf-8")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [page]
    assert page == tmp_path / "runs" / "2014-06-05_2014-06-09.html"
    assert text.index("prices_are_positive") < text.index("opens_stay_near_closes")
    assert "3 sessions: 1 block, 1 quarantine, 2 pass" in text


def test_a_page_of_a_run_says_how_many_findings_it_leaves_out(tmp_path):
    rows = judged()
    guilty = rows.check_results[rows.check_results["outcome"] == "quarantine"]
    many = pd.concat([guilty.assign(check=f"check_{n:04d}") for n in range(LISTED_FINDINGS + 7)], ignore_index=True)
    text = write_run_page(replace(rows, check_results=many), tmp_path).read_text(encoding="utf-8")
    assert "7 more findings are in quality/check_results." in text
    assert text.count('<td class="name quarantine">') == LISTED_FINDINGS


def test_what_a_vendor_sent_is_text_on_every_page(tmp_path):
    write_data_docs(judged(), tmp_path)
    write_run_page(judged(), tmp_path)
    pages = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")]
    assert len(pages) == 4
    assert not any("<script" in page for page in pages)
    assert any("&lt;script&gt;" in page for page in pages)
