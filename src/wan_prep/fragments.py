"""Small pieces of HTML for notebooks, and text made inert: for a terminal, for HTML, for a table.

Colours suit light and dark notebooks: text keeps the notebook's own, only badges are filled.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from html import escape

_BADGES = {
    "ready": "#1a7f4b",
    "risky": "#8f5600",
    "not_ready": "#b3261e",
    "error": "#b3261e",
    "warning": "#8f5600",
    "info": "#4d5a68",
}
# Full-width signs begin a formula in East Asian versions.
_FORMULA_SIGNS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_CONTROLS = ("Cc", "Cs", "Zl", "Zp")
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """The text with every control character shown as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def inert(text: object) -> str:
    """Text escaped for HTML: without markup, control characters and marks of writing direction."""
    return escape(printable(str(text)))


def csv_cell(value: object) -> object:
    """A cell of a CSV file that is text in every spreadsheet; what is no text stays as it is.

    What a spreadsheet would take for a formula begins with an apostrophe. What controls a terminal
    becomes an escape, while letters, blanks and joiners of all scripts stay.
    """
    if not isinstance(value, str):
        return value
    shown = "".join(printable(c) if _is_control(c) else c for c in value)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA_SIGNS) else shown


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in _CONTROLS or character in _DIRECTIONS


def badge(kind: str, text: str | None = None) -> str:
    """A filled word: a verdict or a severity."""
    words = inert((text or kind).replace("_", " "))
    fill = _BADGES.get(kind, _BADGES["info"])
    return (
        f'<span style="background:{fill};color:#fff;border-radius:4px;padding:1px 7px;'
        f'font-weight:600;white-space:nowrap">{words}</span>'
    )


def table(rows: Iterable[tuple[object, str]]) -> str:
    """A table of two columns: names, which are escaped here, and cells, which are HTML already."""
    body = "".join(
        '<tr><th scope="row" style="text-align:left;vertical-align:top;font-weight:500;'
        f'padding-right:1em;white-space:nowrap">{inert(name)}</th>'
        f'<td style="text-align:left;vertical-align:top">{cell}</td></tr>'
        for name, cell in rows
    )
    return f'<table style="margin:0.4em 0">{body}</table>'


def card(head: str, *parts: str) -> str:
    """A head line with parts below it, all of them HTML already."""
    return (
        '<div style="border-left:3px solid #8886;padding:0.2em 0 0.2em 0.9em;max-width:60em">'
        f'<div style="margin:0.1em 0">{head}</div>{"".join(parts)}</div>'
    )
