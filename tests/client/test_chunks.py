"""Frames cut into chunks and put together again."""

import operator

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from readcast.chunks import Unfinished, cut


@given(st.builds(operator.mul, st.text(max_size=7), st.integers(0, 500)), st.integers(300, 2_000))
@example('"' * 3_000, 2_000)
@example("é€😀" * 1_000, 2_000)
def test_whatever_is_cut_fits_and_can_be_put_together(text: str, frame_bytes: int):
    frame = orjson.dumps({"op": "send", "body": text})
    chunks = cut(frame, 7, frame_bytes)
    assert max(map(len, chunks)) <= frame_bytes
    unfinished = Unfinished()
    *missing, whole = [unfinished.take(orjson.loads(chunk)) for chunk in chunks]
    assert missing == [None] * (len(chunks) - 1)
    assert whole is not None
    assert whole.encode() == frame
    assert unfinished._pieces == {}


def test_frames_whose_chunks_come_in_turns_are_told_apart():
    frames = [orjson.dumps({"op": "x", "body": letter * 900}) for letter in "ab"]
    both = [cut(frame, ref, 600) for ref, frame in enumerate(frames)]
    unfinished = Unfinished()
    found = [
        unfinished.take(orjson.loads(chunk)) for pair in zip(*both, strict=True) for chunk in pair
    ]
    assert [one.encode() for one in found if one] == frames
