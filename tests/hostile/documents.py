"""The files and answers that are ours to parse, and ways to make them wrong."""

from __future__ import annotations

import json
import random
import sqlite3
import traceback
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hostile.looking import IMAGE, VIDEO, Nobody
from wan_prep import api
from wan_prep.cache import entry
from wan_prep.errors import RowInvalid, WanPrepError
from wan_prep.learning.listing import read_listing
from wan_prep.pipelines.manifest import open_manifest
from wan_prep.pipelines.results import read_results
from wan_prep.pipelines.rows import PairResult, PairRow, echo
from wan_prep.planning.model import Plan
from wan_prep.profile import load_profile
from wan_prep.report.model import Report
from wan_prep.settings import find_settings
from wan_prep.submission import schema
from wan_prep.submission.journal import Journal

ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, 10**400, "", "x", "\ud800", "\0", "=1+1", "../../etc/passwd", [], {},
    [[]], {"a": {}}, "9" * 400, "nan", -0.0, 2**63, "1/0", ["x"] * 3,
)  # fmt: skip
TOKENS = (
    b"[" * 50_000, b'{"a":' * 50_000, b"x = " + b"[" * 5000, b"x = " + b"9" * 5000 + b"\n",
    b"NaN", b"Infinity", b"1e999", b"9" * 5000, b"\xff\xfe", b"\xef\xbb\xbf", b"\0", b"\r", b"\n\n",
    b'"', b"'", b",", b"=", b"[[", b"]", b"-", b"1/0", b"\\ud800", b"a." * 3000 + b"a=1\n",
    b"x" * 140_000,
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """Something of ours that is read: a whole example of it, and how it is read."""

    name: str
    example: bytes
    read: Callable[[bytes], object]


def targets(folder: Path) -> list[Target]:
    """Everything that is ours to parse; files are written into this folder."""
    image, clip = api.observe(IMAGE, estimator=Nobody()), api.observe(VIDEO, estimator=Nobody())
    report = api.check(image, clip, estimator=Nobody())
    plan = api.plan(report, estimator=Nobody())
    result = PairResult(row=1, id="1", image="a", status="checked", score=80.0, codes=("WP201",))
    key = {"version": 1, "kind": "image"}
    answer = {"code": 200, "message": "success", "data": {
        "id": "s1", "status": "completed", "outputs": ["https://a.example/1.mp4"], "error": "",
        "has_nsfw_contents": [False], "created_at": "2026-01-01T00:00:00Z",
        "urls": {"get": "https://a.example"}, "items": [{"id": "s1", "inputs": {"image": "x"}}],
        "download_url": "https://a.example/u", "upload": {"url": "https://a.example"}}}  # fmt: skip
    csv = b"id,image,video,mode,resolution,seed\n1,a.png,b.mp4,animate,480p,4\n2,c.png,d.mp4,,,\n"
    lines = b'{"id": "1", "image": "a.png", "video": "b.mp4", "seed": 4, "tags": ["x"]}\n'
    return [
        Target("table.csv", csv, partial(_file, folder / "t.csv", _manifest)),
        Target("table.jsonl", lines * 3, partial(_file, folder / "t.jsonl", _manifest)),
        Target("outcomes.csv", b"image,video,outcome\n%b,%b,good\n" % (_b(IMAGE), _b(VIDEO)),
               partial(_file, folder / "o.csv", read_listing)),
        Target("wan-prep.toml", b'mode = "animate"\nprofile = "p.toml"\nperson = "left"\n',
               partial(_file, folder / "wan-prep.toml", lambda path: find_settings(path.parent))),
        Target("profile.toml", b'[tolerances.pose]\nfine = 20.0\n[limits.clip_max]\nvalue = 100\n'
               b"[family_weights.animate]\npose = 2.0\n[severity]\npass_from = 0.9\n",
               partial(_file, folder / "p.toml", load_profile)),
        Target("plan.json", plan.model_dump_json().encode(),
               partial(_file, folder / "plan.json", Plan.load)),
        Target("report.json", report.model_dump_json().encode(),
               partial(_file, folder / "report.json", Report.load)),
        Target("journal row", _job(), partial(_journal, folder / "journal.sqlite")),
        Target("service answer", json.dumps(answer).encode(), _answer),
        Target("cache entry", entry.packed(key, image), partial(_entry, folder, key)),
        Target("results.jsonl", result.model_dump_json().encode() + b"\n",
               partial(_file, folder / "r.jsonl", _results)),
    ]  # fmt: skip


def outcome(target: Target, content: bytes) -> str:
    """Empty where it is accepted, "refused" where an error of ours says so, else "traceback …"."""
    try:
        target.read(content)
    except WanPrepError as exc:
        return "refused" if str(exc) else "traceback: an error without a word"
    except Exception:
        return "traceback: " + " ".join(traceback.format_exc(limit=-2).split())
    return ""


def case(target: Target, seed: int, number: int) -> bytes:
    """The example, made wrong; the same for one seed and number."""
    rng = random.Random(f"{seed}/{target.name}/{number}")
    content = target.example
    if content.lstrip().startswith(b"{") and rng.random() < 0.5:
        return _odd_value(rng, content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        content = rng.choice((_byte, _token, _cut, _twice))(rng, content)
    return content


def _odd_value(rng: random.Random, content: bytes) -> bytes:
    """One value of a JSON document, or of one of its lines, becomes an odd one."""
    lines = content.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    document = json.loads(lines[at])
    for _ in range(rng.choice((1, 1, 3))):
        places = list(_places(document))
        holder, name = rng.choice(places)
        if rng.random() < 0.15:
            if isinstance(holder, dict):
                del holder[name]
            else:
                holder.pop(name)
        else:
            holder[name] = rng.choice(ODD)
        if not list(_places(document)):
            break
    lines[at] = json.dumps(document).encode() + b"\n"
    return b"".join(lines)


def _places(document: Any) -> Any:
    inside = document.items() if isinstance(document, dict) else enumerate(document)
    for name, value in list(inside):
        yield document, name
        if isinstance(value, dict | list):
            yield from _places(value)


def _byte(rng: random.Random, content: bytes) -> bytes:
    if not content:
        return b"\0"
    at = rng.randrange(len(content))
    return content[:at] + bytes((rng.randrange(256),)) + content[at + 1 :]


def _token(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.choice(TOKENS) + content[at:]


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _twice(rng: random.Random, content: bytes) -> bytes:
    start = rng.randrange(len(content) + 1)
    end = min(len(content), start + rng.choice((1, 4, 30, 200)))
    return content[:end] + content[start:]


# ---- how each is read


def _b(path: Path) -> bytes:
    return str(path).encode()


def _file(path: Path, read: Callable[[Path], object], content: bytes) -> object:
    path.write_bytes(content)
    return read(path)


def _manifest(path: Path) -> object:
    manifest = open_manifest(path)
    found: list[object] = []
    for cells in manifest.rows():
        try:
            found.append(cells if isinstance(cells, RowInvalid) else PairRow.of(cells))
            if not isinstance(cells, RowInvalid):
                found.append(echo(cells, "animate", "480p"))
        except WanPrepError as exc:
            found.append(exc)
    return found


def _results(path: Path) -> object:
    return list(read_results(path))


def _job() -> bytes:
    job = {
        "id": "1", "batch": "1", "state": "submitted", "service_id": "s1",
        "base_url": "https://a.example", "model": "m", "mode": "animate", "resolution": "480p",
        "image": {"source": "a.png", "url": "https://a.example/a.png"}, "seed": 4,
        "video": {"source": "b.mp4", "url": "https://a.example/b.mp4"},
        "cost": {"seconds": 5.0, "usd_low": 0.2, "usd_high": 0.2},
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        "outputs": [{"url": "https://a.example/o.mp4"}],
    }  # fmt: skip
    return json.dumps(job).encode()


def _journal(path: Path, content: bytes) -> object:
    path.unlink(missing_ok=True)
    journal = Journal(path)
    journal.outcomes()
    journal.keep_upload("0" * 64, "https://a.example", "https://a.example/u", reused_s=9)
    text = content.decode("utf-8", "replace")
    with closing(sqlite3.connect(path, isolation_level=None)) as base:
        base.execute(
            "INSERT INTO jobs (id, state, service_id, job) VALUES ('1', 'submitted', 's1', ?)",
            (text,),
        )
    return journal.jobs(), journal.job("1").summary()


def _answer(content: bytes) -> object:
    schema.message_of(content)
    schema.named_task(content)
    envelope = schema.opened(content)
    for kind in (schema.Receipt, schema.TaskResult, schema.UploadTicket, schema.UploadDone,
                 schema.HistoryPage):  # fmt: skip
        try:
            data = schema.data_of(envelope, kind)
        except WanPrepError:
            continue
        if isinstance(data, schema.HistoryPage):
            data.readable()
    return envelope


def _entry(folder: Path, key: dict[str, Any], content: bytes) -> object:
    path = folder / "entry.json.gz"
    path.write_bytes(content)
    return entry.unpacked(content, key), entry.state_of(path)
