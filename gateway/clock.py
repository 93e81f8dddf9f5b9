"""The time as rows, claims and clients have it."""

from __future__ import annotations

import time


def now_ms() -> int:
    """The time in ms since 1970."""
    return int(time.time() * 1_000)
