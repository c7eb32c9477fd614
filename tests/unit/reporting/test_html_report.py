from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from aegis.reporting import theme
from aegis.reporting.html_report import html_page
from aegis.reporting.report import SIMULATED_LABEL, PerformanceReport
from aegis.reporting.sections import headline, sections


class Page(HTMLParser):
    """Collect what a browser would load and where a link would go."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "data")]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture
def text(report: PerformanceReport) -> str:
    return html_page(report)


def test_page_loads_nothing_and_runs_nothing(text: str) -> None:
    page = Page(text)
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "object"})
    assert page.addresses
    assert all(address.startswith("#") for address in page.addresses)
    assert "url(http" not in text
    assert "@import" not in text


def test_table_of_contents_leads_to_every_chapter(text: str, report: PerformanceReport) -> None:
    page = Page(text)
    for section in sections(report):
        assert f"#{section.anchor}" in page.addresses
        assert page.ids.count(section.anchor) == 1


def test_identifiers_inside_the_pictures_do_not_clash(text: str) -> None:
    ids = Page(text).ids
    assert len(ids) == len(set(ids))


def test_names_are_escaped(text: str) -> None:
    assert "Alpha &lt;Holdings&gt; &amp; Co" in text
    assert "<Holdings>" not in text


def test_simulated_prices_are_labelled_on_screen_and_on_each_printed_page(text: str) -> None:
    assert f'<p class="label" role="note">{SIMULATED_LABEL}</p>' in text
    assert f'@top-center {{ content: "{SIMULATED_LABEL}"' in text


def test_real_prices_carry_no_such_label(real_report: PerformanceReport) -> None:
    text = html_page(real_report)
    assert "SIMULATED" not in text
    assert "Prices: files" in text


def test_every_headline_figure_is_on_the_page(text: str, report: PerformanceReport) -> None:
    words = Page(text).words
    for figure in headline(report):
        assert figure.value in words


def test_pictures_follow_the_colour_scheme_of_the_page(text: str) -> None:
    pictures = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(pictures) == 9
    assert not any(theme.ACCOUNT in picture or theme.INK in picture for picture in pictures)
    assert "var(--account)" in pictures[0]


def test_the_same_report_makes_the_same_page(text: str, report: PerformanceReport) -> None:
    assert html_page(report) == text
