import time

import jwt
import pytest

from streams.tokens import ALGORITHM, make_token

SECRET = "s" * 32


def test_a_token_names_its_user_and_its_end():
    claims = jwt.decode(make_token(SECRET, "ann", 60), SECRET, algorithms=[ALGORITHM])
    assert claims["sub"] == "ann"
    assert abs(claims["exp"] - time.time() - 60) < 5
    assert "role" not in claims


def test_a_token_may_carry_a_role():
    claims = jwt.decode(make_token(SECRET, "ann", role="x"), SECRET, algorithms=[ALGORITHM])
    assert claims["role"] == "x"


@pytest.mark.parametrize("user", ["", "system", "a b", "a\n", "a/b", "x" * 65])
def test_no_token_for_what_is_no_user(user):
    with pytest.raises(ValueError, match="a user is"):
        make_token(SECRET, user)


def test_no_token_without_a_secret():
    with pytest.raises(ValueError, match="READCAST_AUTH_SECRET"):
        make_token("", "ann")
