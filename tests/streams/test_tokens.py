import time

import jwt
import pytest

from streams.jwks import secret_key
from streams.settings import Settings
from streams.tokens import make_token, signing_key
from tests.keys import rsa_jwk, shared_jwk, write_set

SECRET = "s" * 32
KEY = secret_key(SECRET)


def test_a_token_names_its_user_and_its_end():
    claims = jwt.decode(make_token(KEY, "ann", 60), SECRET, algorithms=["HS256"])
    assert claims["sub"] == "ann"
    assert abs(claims["exp"] - time.time() - 60) < 5
    assert "role" not in claims


def test_a_token_may_carry_a_role():
    claims = jwt.decode(make_token(KEY, "ann", role="x"), SECRET, algorithms=["HS256"])
    assert claims["role"] == "x"


@pytest.mark.parametrize("user", ["", "system", "a b", "a\n", "a/b", "x" * 65])
def test_no_token_for_what_is_no_user(user):
    with pytest.raises(ValueError, match="a user is"):
        make_token(KEY, user)


def test_a_token_of_the_secret_names_no_key():
    assert "kid" not in jwt.get_unverified_header(make_token(KEY, "ann"))


@pytest.mark.parametrize(
    ("jwk", "algorithm"), [(rsa_jwk("now"), "RS256"), (shared_jwk("now"), "HS256")]
)
def test_a_token_names_the_key_of_the_set_that_signed_it(tmp_path, jwk, algorithm):
    settings = Settings(auth_keys=write_set(tmp_path, rsa_jwk("old"), jwk))
    token = make_token(signing_key(settings, "now"), "ann")
    header = jwt.get_unverified_header(token)
    assert (header["kid"], header["alg"]) == ("now", algorithm)
    assert jwt.decode(token, signing_key(settings, "now").checking, [algorithm])["sub"] == "ann"


def test_a_public_key_signs_nothing(tmp_path):
    settings = Settings(auth_keys=write_set(tmp_path, rsa_jwk("now", private=False)))
    with pytest.raises(ValueError, match="public half"):
        make_token(signing_key(settings, "now"), "ann")


@pytest.mark.parametrize(
    ("values", "kid", "message"),
    [
        ({"auth_secret": ""}, None, "READCAST_AUTH_SECRET"),
        ({"auth_secret": "no more than 30 characters"}, None, "too short"),
        ({"auth_secret": SECRET}, "now", "READCAST_AUTH_KEYS"),
    ],
)
def test_without_a_key_it_says_what_to_set(values, kid, message):
    with pytest.raises(ValueError, match=message):
        signing_key(Settings(**values), kid)


def test_where_there_is_only_a_set_of_keys_the_option_that_chooses_one_is_named(tmp_path):
    settings = Settings(auth_secret="", auth_keys=write_set(tmp_path, rsa_jwk("now")))
    with pytest.raises(ValueError, match="--kid"):
        signing_key(settings)


def test_an_unknown_key_is_told(tmp_path):
    settings = Settings(auth_keys=write_set(tmp_path, rsa_jwk("now")))
    with pytest.raises(ValueError, match="no key 'later'"):
        signing_key(settings, "later")
