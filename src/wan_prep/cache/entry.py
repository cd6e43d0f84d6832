"""One piece of evidence as a file: two lines of JSON, compressed.

The first line has the key and the hash of the second, which is the evidence without its path.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from pathlib import Path
from typing import Any, Literal

from wan_prep.cache.key import is_current, name_of
from wan_prep.evidence import Evidence

FORMAT = 1
SUFFIX = ".json.gz"


def packed(key: dict[str, Any], seen: Evidence) -> bytes:
    """The evidence without the path of its file, below a line that says what it is."""
    body = at_path(seen, "").model_dump_json().encode()
    head = {"format": FORMAT, "key": key, "sha256": hashlib.sha256(body).hexdigest()}
    text = json.dumps(head, sort_keys=True).encode() + b"\n" + body
    return gzip.compress(text, compresslevel=6, mtime=0)


def unpacked(content: bytes, key: dict[str, Any]) -> Evidence | None:
    """The evidence of an entry; None where it is damaged, or that of another key."""
    try:
        head, body = _parts(content)
        if head["key"] != key:
            return None
        return Evidence.model_validate_json(body)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, RecursionError):
        return None


def _parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Head and body of an entry whose body is whole; raises as gzip and JSON do, and ValueError."""
    head, _, body = gzip.decompress(content).partition(b"\n")
    said = json.loads(head)
    if said["format"] != FORMAT or said["sha256"] != hashlib.sha256(body).hexdigest():
        raise ValueError("damaged, or of another format")
    return said, body


def state_of(path: Path) -> Literal["good", "outdated", "damaged"] | None:
    """None where the file is gone."""
    try:
        head, body = _parts(path.read_bytes())
        key = head["key"]
        if path.name != f"{name_of(key)}{SUFFIX}":
            return "damaged"
        if not is_current(key):
            return "outdated"
        Evidence.model_validate_json(body)
    except FileNotFoundError:
        return None
    except (EOFError, zlib.error, ValueError, KeyError, TypeError, gzip.BadGzipFile):
        return "damaged"
    except RecursionError:
        return "damaged"
    return "good"


def at_path(seen: Evidence, path: str | Path) -> Evidence:
    """The same evidence of a file at this path."""
    info = seen.info and seen.info.model_copy(update={"path": str(Path(path)) if path else ""})
    return seen.model_copy(update={"path": str(path), "info": info})
