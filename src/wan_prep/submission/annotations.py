"""What the journal keeps beside its jobs: how each pair was judged, and what became of it.

Both are texts to the journal. Their tables are made when something is first written to them, also
in a journal of an earlier version; that version goes on using the journal and does not see them,
since it asks for its own tables only. So the journal's version stays what it is, and money stays
protected whichever version is run.
"""

from __future__ import annotations

import sqlite3

_JUDGEMENTS = (
    "CREATE TABLE IF NOT EXISTS judgements (job TEXT PRIMARY KEY, judgement TEXT NOT NULL)"
)
_OUTCOMES = "CREATE TABLE IF NOT EXISTS outcomes (name TEXT PRIMARY KEY, outcome TEXT NOT NULL)"


def put_judgement(base: sqlite3.Connection, job_id: str, judgement: str) -> None:
    base.execute(_JUDGEMENTS)
    base.execute("INSERT OR REPLACE INTO judgements VALUES (?, ?)", (job_id, judgement))


def judgement_of(base: sqlite3.Connection, job_id: str) -> str | None:
    if not _has(base, "judgements"):
        return None
    query = "SELECT judgement FROM judgements WHERE job = ?"
    row = base.execute(query, (job_id,)).fetchone()
    return None if row is None else str(row[0])


def put_outcome(base: sqlite3.Connection, name: str, outcome: str) -> str | None:
    """Returns what it replaces; None where there was no outcome of this name."""
    base.execute(_OUTCOMES)
    query = "SELECT outcome FROM outcomes WHERE name = ?"
    earlier = base.execute(query, (name,)).fetchone()
    base.execute(
        "INSERT INTO outcomes VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET outcome = excluded.outcome",
        (name, outcome),
    )
    return None if earlier is None else str(earlier[0])


def all_outcomes(base: sqlite3.Connection) -> tuple[str, ...]:
    if not _has(base, "outcomes"):
        return ()
    return tuple(str(row[0]) for row in base.execute("SELECT outcome FROM outcomes ORDER BY rowid"))


def _has(base: sqlite3.Connection, table: str) -> bool:
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return base.execute(query, (table,)).fetchone() is not None
