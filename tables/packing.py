"""The requests and responses on every message's way, packed and unpacked at once.

aiokafka goes through them field by field, in Python: for a short batch that takes as long as deciding it. Brokers that
don't know these versions are spoken to in aiokafka's way.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from struct import Struct
from typing import Any

from aiokafka.protocol.fetch import FetchRequest_v11, FetchResponse_v11
from aiokafka.protocol.produce import ProduceRequest_v7, ProduceResponse_v7

NO_REPLICA = -1
"""Who fetches is a consumer."""

_UNKNOWN = -1
_NULL = -1

_int16 = Struct(">h")
_int32 = Struct(">i")
_int64_pair = Struct(">qq")
_header = Struct(">hhih")
_fetch = Struct(">iiiibii")
_fetch_partition = Struct(">iiqqi")
_fetched = Struct(">ihii")
_fetched_partition = Struct(">ihqqq")
_produce = Struct(">hhi")
_produce_partition = Struct(">ii")
_produced_partition = Struct(">ihqqq")


class _Encoded(bytes):
    """What is packed already."""

    def encode(self) -> bytes:
        return self


class _ResponseHeader:
    __slots__ = ("correlation_id",)

    def __init__(self, correlation_id: int) -> None:
        self.correlation_id = correlation_id


class _Packed:
    """The headers of a request and of its response, before flexible versions."""

    API_KEY: int
    API_VERSION: int

    def build_request_header(self, correlation_id: int, client_id: str) -> _Encoded:
        name = client_id.encode()
        head = _header.pack(self.API_KEY, self.API_VERSION, correlation_id, len(name))
        return _Encoded(head + name)

    def parse_response_header(self, buffer: BytesIO) -> _ResponseHeader:
        return _ResponseHeader(*_int32.unpack(buffer.read(_int32.size)))


def _string(text: str) -> bytes:
    encoded = text.encode()
    return _int16.pack(len(encoded)) + encoded


class _Reader:
    """Goes through a response."""

    def __init__(self, buffer: BytesIO) -> None:
        self._at = buffer.tell()
        self._bytes = buffer.getvalue()

    def fields(self, layout: Struct) -> tuple[Any, ...]:
        at = self._at
        self._at = at + layout.size
        return layout.unpack_from(self._bytes, at)

    def count(self) -> int:
        """How many there are of what follows; null is -1."""
        (number,) = self.fields(_int32)
        return int(number)

    def string(self) -> str:
        (size,) = self.fields(_int16)
        return self._take(size).decode()

    def blob(self) -> bytes | None:
        size = self.count()
        return None if size == _NULL else self._take(size)

    def _take(self, size: int) -> bytes:
        at = self._at
        self._at = at + size
        return self._bytes[at : self._at]


class _FetchResponse(FetchResponse_v11):  # type: ignore[misc]
    @classmethod
    def decode(cls, buffer: BytesIO) -> _FetchResponse:
        read = _Reader(buffer)
        throttle_ms, error, session, number = read.fields(_fetched)
        topics = [
            (read.string(), [_partition(read) for _ in range(read.count())]) for _ in range(number)
        ]
        return cls(throttle_ms, error, session, topics)


def _partition(read: _Reader) -> tuple[Any, ...]:
    head = read.fields(_fetched_partition)
    number = read.count()
    aborted = None if number == _NULL else [read.fields(_int64_pair) for _ in range(number)]
    (replica,) = read.fields(_int32)
    return (*head, aborted, replica, read.blob())


class PackedFetch(_Packed, FetchRequest_v11):  # type: ignore[misc]
    """A fetch in a session. topics: of each partition the number, the offset, and the most bytes."""

    RESPONSE_TYPE = _FetchResponse

    def encode(self) -> bytes:
        parts = [
            _fetch.pack(
                self.replica_id,
                self.max_wait_time,
                self.min_bytes,
                self.max_bytes,
                self.isolation_level,
                self.session_id,
                self.session_epoch,
            ),
            _int32.pack(len(self.topics)),
        ]
        for topic, partitions in self.topics:
            parts += (_string(topic), _int32.pack(len(partitions)))
            parts += [
                _fetch_partition.pack(number, _UNKNOWN, offset, _UNKNOWN, most)
                for number, offset, most in partitions
            ]
        parts.append(_int32.pack(len(self.forgotten_topics_data)))
        for topic, numbers in self.forgotten_topics_data:
            parts += (_string(topic), _int32.pack(len(numbers)), *map(_int32.pack, numbers))
        parts.append(_string(self.rack_id))
        return b"".join(parts)


class _ProduceResponse(ProduceResponse_v7):  # type: ignore[misc]
    @classmethod
    def decode(cls, buffer: BytesIO) -> _ProduceResponse:
        read = _Reader(buffer)
        topics = [
            (read.string(), [read.fields(_produced_partition) for _ in range(read.count())])
            for _ in range(read.count())
        ]
        return cls(topics, read.count())


class PackedProduce(_Packed, ProduceRequest_v7):  # type: ignore[misc]
    """Record batches to be stored, outside a transaction. topics: of each partition the number, and the batch."""

    RESPONSE_TYPE = _ProduceResponse

    def encode(self) -> bytes:
        parts: list[bytes | bytearray] = [
            _produce.pack(_NULL, self.required_acks, self.timeout),
            _int32.pack(len(self.topics)),
        ]
        topics: Sequence[tuple[str, Sequence[tuple[int, bytearray]]]] = self.topics
        for topic, batches in topics:
            parts += (_string(topic), _int32.pack(len(batches)))
            for number, batch in batches:
                parts += (_produce_partition.pack(number, len(batch)), batch)
        return b"".join(parts)
