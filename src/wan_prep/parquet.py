"""Parquet, by the package of an extra: the only importer of pyarrow."""

from __future__ import annotations

from typing import Any

from wan_prep.errors import DependencyMissing


def load_pyarrow() -> tuple[Any, Any]:
    """`pyarrow` and `pyarrow.parquet`. Raises DependencyMissing: it is not installed."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as exc:
        raise DependencyMissing(
            "Parquet files need pyarrow: pip install 'wan-prep[parquet]'"
        ) from exc
    return pyarrow, parquet
