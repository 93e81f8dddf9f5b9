import time

import jwt
import pytest

from gateway.auth import Tokens, bearer, origin_allowed
from gateway.errors import CloseCode, Disconnect

SECRET = "a" * 32
tokens = Tokens(SECRET)


def signed(secret=SECRET, algorithm="HS256", **claims):
    claims = {"sub": "alice", "exp": int(time.time()) + 3600} | claims
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, secret, algorithm)


def refused(token):
    with pytest.raises(Disconnect) as caught:
        tokens.verify(token)
    return caught.value.code


def test_a_token_names_its_user_and_its_end():
    identity = tokens.verify(tokens.issue("alice", 60))
    assert identity.user == "alice"
    assert abs(identity.expires - time.time() - 60) < 2


@pytest.mark.parametrize(
    "token",
    [
        "",
        "nonsense",
        signed(secret="b" * 32),
        signed(sub=None),
        signed(exp=None),
        signed(sub="system"),
        signed(sub="al ice"),
        signed(sub="x" * 65),
        signed(sub=""),
        signed(secret=SECRET * 2, algorithm="HS512"),
        jwt.encode({"sub": "alice", "exp": time.time() + 3600}, None, "none"),
    ],
)
def test_a_bad_token_is_refused(token):
    assert refused(token) is CloseCode.BAD_TOKEN


def test_an_expired_token_is_told_from_a_bad_one():
    assert refused(signed(exp=int(time.time()) - 1)) is CloseCode.EXPIRED


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic abc", None),
        ("Bearer", None),
        (None, None),
    ],
)
def test_the_bearer_token_is_found(header, token):
    assert bearer(header) == token


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://here:8080", True),
        ("https://here:8080", True),
        ("https://app.example", True),
        ("http://here", False),
        ("http://evil.example", False),
        ("null", False),
        ("", False),
        ("file://here:8080", False),
    ],
)
def test_only_our_own_and_listed_pages_may_connect(origin, allowed):
    assert origin_allowed(origin, "here:8080", ("https://app.example",)) is allowed
