from __future__ import annotations

import re
import zlib

import pytest

from aegis.reporting.pdf_report import pdf_bytes
from aegis.reporting.report import PerformanceReport


def page_texts(pdf: bytes) -> list[str]:
    """Return the strings shown by each page's content stream."""
    texts = []
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, flags=re.DOTALL):
        try:
            content = zlib.decompress(stream)
        except zlib.error:
            continue
        strings = re.findall(rb"\((.*?)(?<!\\)\)\s+Tj", content)
        if strings:
            texts.append("\n".join(string.decode("cp1252") for string in strings))
    return texts


@pytest.fixture
def pdf(report: PerformanceReport) -> bytes:
    return pdf_bytes(report)


def test_each_page_is_labelled_when_prices_are_simulated(pdf: bytes) -> None:
    texts = page_texts(pdf)
    pages = len(re.findall(rb"/Type /Page\b", pdf))
    assert pages >= 3
    assert len(texts) == pages
    assert all("SIMULATED MARKET - not real prices" in text for text in texts)


def test_real_prices_carry_no_such_label(real_report: PerformanceReport) -> None:
    texts = page_texts(pdf_bytes(real_report))
    assert len(texts) >= 3
    assert all("Prices: files" in text and "SIMULATED" not in text for text in texts)


def test_headline_figures_stand_on_the_first_page(pdf: bytes) -> None:
    first = page_texts(pdf)[0].split("\n")
    assert "-6.2\u00a0%" in first  # total return
    assert "-50.0\u00a0%" in first  # maximum drawdown
    assert "$938" in first
    assert "145.0 bps" in first


def test_pages_are_numbered_from_one(pdf: bytes) -> None:
    texts = page_texts(pdf)
    assert all(str(number) in text.split("\n") for number, text in enumerate(texts, start=1))


def test_the_same_report_makes_the_same_bytes(pdf: bytes, report: PerformanceReport) -> None:
    assert pdf_bytes(report) == pdf


def test_ticks_are_printed_as_numbers_and_not_as_markup(pdf: bytes) -> None:
    texts = page_texts(pdf)
    assert not [line for text in texts for line in text.split("\n") if "math" in line or line.startswith("$\\")]
