"""The pipeline: Faust agents that decide commands, and the rules they decide by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streams.pipeline import app

__all__ = ["app"]


def __getattr__(name: str) -> Any:
    # Lazy, so that importing a schema from this package doesn't start Faust.
    if name == "app":
        from streams.pipeline import app

        return app
    raise AttributeError(f"module 'streams' has no attribute {name!r}")
