"""One page of the Data Docs as HTML: tables, cells and how they look.

Belongs here: markup. Every text is escaped here, and nowhere else: what a vendor sent reaches a page as text only. What
is said on which page is :mod:`aegis.reporting.data_docs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NewType

Cell = NewType("Cell", str)
"""A cell of a table as markup."""

_STYLE = (
    ":root{--paper:#fff;--ink:#1c2733;--muted:#697684;--rule:#d9dee4;--link:#1d4f7c;"
    "--block:#a4161a;--quarantine:#9c5b00;--repair:#1f5f99;--warn:#7a6300;--pass:#2f6b3a}"
    "@media(prefers-color-scheme:dark){:root{--paper:#14191f;--ink:#dfe5eb;--muted:#93a0ad;--rule:#323b45;"
    "--link:#7fb2e2;--block:#f08a80;--quarantine:#e8bd6a;--repair:#7fb2e2;--warn:#d8c36a;--pass:#7cc28f}}"
    "body{font:15px/1.5 system-ui,'Liberation Sans',sans-serif;margin:2rem auto 4rem;max-width:72rem;padding:0 1.5rem;"
    "background:var(--paper);color:var(--ink);font-variant-numeric:tabular-nums}"
    "h1{font-size:1.8rem;margin:0 0 .3rem}h2{font-size:1.2rem;margin:2.2rem 0 .4rem}"
    "p{margin:.3rem 0 1rem;color:var(--muted)}a{color:var(--link)}"
    "table{border-collapse:collapse;margin:.4rem 0 1rem}"
    "th,td{text-align:left;padding:.35rem 1rem .35rem 0;border-bottom:1px solid var(--rule);vertical-align:top}"
    "th{color:var(--muted);font-size:.85rem;font-weight:600;border-bottom-width:2px}"
    "td{overflow-wrap:anywhere;min-width:3.5rem}td.name{white-space:nowrap}"
    "td.n,th.n{text-align:right;white-space:nowrap}td.zero{color:var(--muted)}"
    "td ul{margin:0;padding-left:1.1rem}"
    "summary{cursor:pointer;margin:2.2rem 0 .4rem;font-size:1.2rem;font-weight:600}"
    ".block{color:var(--block);font-weight:600}.quarantine{color:var(--quarantine);font-weight:600}"
    ".repair{color:var(--repair)}.warn{color:var(--warn)}.pass{color:var(--pass)}"
)
_TO_THE_RIGHT = ' class="n"'


def page(title: str, *parts: str) -> str:
    """Return a whole page."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{''.join(parts)}</main></body></html>"
    )


def heading(words: str) -> str:
    """Return a heading of a part."""
    return f"<h2>{escape(words)}</h2>"


def paragraph(words: str) -> str:
    """Return one paragraph."""
    return f"<p>{escape(words)}</p>"


def folded(words: str, content: str) -> str:
    """Return content that opens when its words are clicked."""
    return f"<details><summary>{escape(words)}</summary>{content}</details>"


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]], *, numbers: Sequence[str] = ()) -> str:
    """Return a table, or the word that there is nothing; heads of `numbers` stand above their digits, to the right."""
    if not rows:
        return "<p>None.</p>"
    names = "".join(f"<th{_TO_THE_RIGHT if each in numbers else ''}>{escape(each)}</th>" for each in head)
    body = "".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"


def name(value: object) -> Cell:
    """Return a cell that is never broken over two lines: a session, a symbol of an index, a check."""
    return Cell(f'<td class="name">{escape(str(value))}</td>')


def text(value: object) -> Cell:
    """Return a cell of words."""
    return Cell(f"<td>{escape(str(value))}</td>")


def lines(values: Sequence[str]) -> Cell:
    """Return a cell of one line, or of a list when there are several."""
    if len(values) <= 1:
        return text("".join(values))
    return Cell(f"<td><ul>{''.join(f'<li>{escape(value)}</li>' for value in values)}</ul></td>")


def link(words: str, address: str) -> Cell:
    """Return a cell that leads to another page."""
    return Cell(f'<td class="name"><a href="{escape(address)}">{escape(words)}</a></td>')


def reference(words: str, address: str) -> str:
    """Return a paragraph that leads to another page."""
    return f'<p><a href="{escape(address)}">{escape(words)}</a></p>'


def outcome(value: str) -> Cell:
    """Return a cell in the colour of an outcome."""
    return Cell(f'<td class="name {escape(value)}">{escape(value)}</td>')


def count(value: float, colour: str = "") -> Cell:
    """Return a cell of a number, in the colour of an outcome; a 0 is pale."""
    look = "n zero" if value == 0 else f"n {colour}".strip()
    return Cell(f'<td class="{escape(look)}">{value:,g}</td>')
