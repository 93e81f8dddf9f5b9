"""Bodies: JSON that is handed on as it came."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import orjson

from streams.errors import Code, Malformed

_LINE_FEED, _CARRIAGE_RETURN = b"\n\r"


def readable(body: msgspec.Raw, limit: int) -> msgspec.Raw:
    """A body that every reader gets as it is: within `limit` bytes, on one line, and read by all parsers."""
    content = bytes(body)
    if len(content) > limit:
        raise Malformed(Code.TOO_LARGE, f"a body may have {limit} bytes, this has {len(content)}")
    try:
        orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Malformed(Code.BAD_REQUEST, f"body: {error}") from None
    if _LINE_FEED in content or _CARRIAGE_RETURN in content:
        return msgspec.Raw(msgspec.json.format(content, indent=-1))
    return body


def are_readable(bodies: Sequence[msgspec.Raw], limit: int) -> bool:
    """Whether each of them is handed on as it is, looked at all together; False may be due to any of them."""
    joined = b",".join(bodies)
    if max(map(len, bodies)) > limit or _LINE_FEED in joined or _CARRIAGE_RETURN in joined:
        return False
    try:
        return len(orjson.loads(b"[%b]" % joined)) == len(bodies)
    except orjson.JSONDecodeError:
        return False


def same(one: msgspec.Raw, other: msgspec.Raw) -> bool:
    """Whether two bodies say the same, whatever spaces and order of keys they have."""
    left, right = bytes(one), bytes(other)
    return left == right or bool(msgspec.json.decode(left) == msgspec.json.decode(right))
