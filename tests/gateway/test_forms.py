"""Server frames in every form: the same events, whoever reads them."""

import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.deflate import LEAST_BYTES, WINDOWS, deflated
from gateway.forms import FORMS, Form
from tests.e2e.protobuf import server_events
from tests.gateway.fakes import JSON, message, payload, ring

forms = pytest.mark.parametrize("form", FORMS.values(), ids=map(str, FORMS))


def opened(frames: tuple[bytes, ...], window: int) -> tuple[int, bytes]:
    """The opcode and the inflated payload of the fragments of a message."""
    first, *others = frames
    firsts = [first[0] | (0 if others else 0x80), *(0 for _ in others)]
    firsts[-1] |= 0x80
    content = b"".join(map(payload, frames, firsts))
    first = frames[0][0]
    if first & 0x40:
        content = zlib.decompress(content + b"\0\0\xff\xff\x01\0\0\xff\xff", -window)
    return first & 0x0F, content


def read(frames: tuple[bytes, ...], form: Form) -> list[dict[str, object]]:
    opcode, content = opened(frames, form.window)
    assert opcode == form.codec.message_type
    return server_events(content) if opcode == 2 else json.loads(content)


@given(st.lists(st.text(max_size=40_000), max_size=4))
def test_a_server_frame_holds_its_events(texts):
    events = [wire.event("x", text=text) for text in texts]
    assert read(JSON.frames(events), JSON) == [{"op": "x", "text": text} for text in texts]


@pytest.mark.parametrize("length", [0, 123, 124, 65_533, 65_534, 200_000])
def test_the_header_tells_the_length(length):
    (frame,) = JSON.frames([b" " * length])
    assert payload(frame) == b"[" + b" " * length + b"]"


@forms
def test_all_forms_say_the_same(form):
    events = [
        wire.message_event("group:42", message(17)),
        wire.event("pong", "r1"),
        wire.message_event("group:42", message(18, recalled=3, recalled_by="alice")),
    ]
    assert read(form.frames(events), form) == [json.loads(event) for event in events]


@forms
def test_a_page_is_the_same_in_all_forms(form):
    messages = [wire.message_fields(message(seq)) for seq in range(1, 500)]
    event = wire.event("history", 7, mailbox="group:42", epoch="e", head=9, messages=messages)
    assert read(form.frames([event]), form) == [json.loads(event)]


@pytest.mark.parametrize("body", [b"null", b"1.50", b'{"n": 12345678901234567890123}', b'""'])
def test_protobuf_carries_a_body_as_it_is_stored(body):
    event = b'{"op":"message","seq":1,"body":%b}' % body
    assert body in b"".join(FORMS["readcast.proto", 0].frames([event]))


@pytest.mark.parametrize("window", WINDOWS)
def test_text_is_compressed_within_the_window(window):
    text = b" ".join(b"%d bottles of beer on the wall" % number for number in range(2_000))
    packed = deflated(text, window)
    assert packed is not None
    assert len(packed) < len(text) / 3
    frame = bytes((0xC1, 127, *len(packed).to_bytes(8))) + packed
    assert opened((frame,), window) == (1, text)


def test_what_is_short_or_does_not_shrink_goes_as_it_is():
    noise = bytes(range(256))
    assert deflated(b"a" * (LEAST_BYTES - 1), 15) is None
    assert deflated(b"a" * LEAST_BYTES, 15) is not None
    assert deflated(noise, 15) is None
    form = FORMS["readcast.json", 15]
    assert form.frames([b"1"]) == JSON.frames([b"1"])


@forms
def test_readers_at_one_place_share_one_frame_per_form(form):
    made = ring()
    made.append(wire.message_event("group:42", message(1)), 1)
    frames = made.since(0, 1_000).frames(form)
    assert made.since(0, 1_000).frames(form) is frames
    assert read(frames, form)[0]["seq"] == 1
