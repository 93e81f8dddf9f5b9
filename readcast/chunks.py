"""Frames that are too long for one go and come in chunks: docs/protocol.md, section 9."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

CHUNK_OVERHEAD = 256
"""Bytes of a chunk besides its data, at most."""


def cut(text: bytes, ref: int, frame_bytes: int) -> list[bytes]:
    """The chunks of a frame (UTF-8), each a frame of at most `frame_bytes`; `ref` is that of the frame."""
    pieces = list(_pieces(text, (frame_bytes - CHUNK_OVERHEAD) // 2))
    fields = {"op": "chunk", "id": ref, "ref": ref, "of": len(pieces)}
    return [
        orjson.dumps({**fields, "part": part, "data": piece.decode()})
        for part, piece in enumerate(pieces, 1)
    ]


def _pieces(text: bytes, most: int) -> Iterator[bytes]:
    start = 0
    while start < len(text):
        end = start + most
        while end < len(text) and text[end] & 0xC0 == 0x80:
            end -= 1
        yield text[start:end]
        start = end


class Unfinished:
    """Frames of the gateway of which chunks are missing."""

    def __init__(self) -> None:
        self._pieces: dict[int, list[str]] = {}

    def take(self, chunk: dict[str, Any]) -> str | None:
        """Take the next chunk; returns the frame that it completes."""
        pieces = self._pieces.setdefault(chunk["id"], [])
        pieces.append(chunk["data"])
        if chunk["part"] < chunk["of"]:
            return None
        del self._pieces[chunk["id"]]
        return "".join(pieces)
