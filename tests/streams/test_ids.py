import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from streams.ids import UUID_PATTERN, is_name, is_uuid, parse_mailbox
from tests.streams.test_commands import BAD_MAILBOXES, BAD_NAMES

names = st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True)


@given(names, names)
def test_a_direct_mailbox_names_its_two_users_in_order(one, other):
    assume(one < other)
    parsed = parse_mailbox(f"direct:{one}~{other}")
    assert parsed.kind == "direct"
    assert parsed.pair == (one, other)
    with pytest.raises(ValueError, match="order"):
        parse_mailbox(f"direct:{other}~{one}")


@given(st.sampled_from(("group", "user")), names)
def test_a_mailbox_comes_apart(kind, name):
    assert is_name(name)
    assert parse_mailbox(f"{kind}:{name}") == (kind, name)


@pytest.mark.parametrize("name", [name for name in BAD_NAMES if isinstance(name, str)])
def test_a_bad_name_is_none(name):
    assert not is_name(name)


@pytest.mark.parametrize("mailbox", [name for name in BAD_MAILBOXES if isinstance(name, str)])
def test_a_bad_mailbox_is_told(mailbox):
    with pytest.raises(ValueError, match="mailbox"):
        parse_mailbox(mailbox)


_uuids = st.from_regex(UUID_PATTERN)
_nearly = st.builds(
    lambda text, at, sign: text[:at] + sign + text[at + 1 :],
    _uuids,
    st.integers(0, 36),
    st.one_of(st.sampled_from(("", "-", "0", "G", " ", "\n", "é", "٣")), st.characters()),
)


@given(st.one_of(_uuids, _nearly, st.text()))
def test_a_uuid_is_what_its_pattern_says(text):
    assert is_uuid(text) == (re.match(UUID_PATTERN, text) is not None)
