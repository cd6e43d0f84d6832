"""JSON documents as text: Unicode that any parser takes, whatever a file's name is made of.

A name on disk is bytes. Those that are no UTF-8 reach Python as lone surrogates, which JSON cannot
hold; they are written as the visible escapes that messages show, such as `\\udcff`, and become the
name again where a document is read.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo

_ESCAPED = r"u(?:d[89a-f][0-9a-f]{2}|005c)"
_IS_ESCAPED = re.compile(rf"\\({_ESCAPED})")
_LOOKS_ESCAPED = re.compile(rf"\\(?={_ESCAPED})")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_BEYOND_ASCII = re.compile(r"[^\n -~]")


def written_path(path: str) -> str:
    """A path as documents hold it; `read_path` gives it back."""
    literal = _LOOKS_ESCAPED.sub(r"\\u005c", path)  # a name that holds such an escape as text
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", literal)


def read_path(text: str) -> str:
    """The path that a document names."""
    return _IS_ESCAPED.sub(lambda found: chr(int(found[1][1:], 16)), text)


def _of_document(value: Any, info: ValidationInfo) -> Any:
    return read_path(value) if info.mode == "json" and isinstance(value, str) else value


DocumentPath = Annotated[
    str, BeforeValidator(_of_document), PlainSerializer(written_path, when_used="json")
]
"""A path in a model: itself in Python, `written_path` in JSON."""


def json_text(document: Any, *, indent: int | None = None) -> str:
    """Valid JSON of plain values. What moves a cursor, turns the writing direction or cannot be
    seen is escaped, so that a document does nothing to the terminal it is shown in.

    Raises ValueError: a number that is not finite.
    """
    text = json.dumps(document, indent=indent, allow_nan=False, ensure_ascii=False)
    return _BEYOND_ASCII.sub(lambda found: _harmless(found[0]), text)


def _harmless(character: str) -> str:
    if character.isprintable():
        return character
    if _SURROGATE.match(character):
        return f"\\\\u{ord(character):04x}"
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"
