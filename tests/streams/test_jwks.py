import json
import stat
import traceback

import jwt
import pytest

from streams.jwks import BadKeys, make_key, parse_keys, read_keys
from streams.tokens import make_token
from tests.keys import jwk_set, rsa_jwk, shared_jwk


def test_a_set_may_mix_keys_of_both_kinds():
    jwks = [rsa_jwk("a"), rsa_jwk("b", private=False), shared_jwk("c", alg="HS256")]
    keys = parse_keys(jwk_set(*jwks))
    assert {kid: key.algorithm for kid, key in keys.items()} == {
        "a": "RS256",
        "b": "RS256",
        "c": "HS256",
    }
    assert keys["a"].signing
    assert not keys["b"].signing
    assert keys["c"].signing == keys["c"].checking


def test_the_checking_half_of_a_private_key_is_public():
    assert not hasattr(parse_keys(jwk_set(rsa_jwk("a")))["a"].checking, "private_numbers")


def test_a_key_needs_no_alg_and_no_use():
    jwk = rsa_jwk("a")
    del jwk["alg"], jwk["use"]
    assert parse_keys(jwk_set(jwk))["a"].algorithm == "RS256"


def test_a_set_may_be_empty():
    assert parse_keys(jwk_set()) == {}


SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"

BAD_SETS = {
    "not JSON": b"-----BEGIN PUBLIC KEY-----",
    "no set": json.dumps(shared_jwk("a", k=SECRET)).encode(),
    "a key that is none": b'{"keys":["' + SECRET.encode() + b'"]}',
    "no kid": jwk_set({"kty": "oct", "k": SECRET}),
    "no kty": jwk_set({"kid": "a", "k": SECRET}),
    "the same kid twice": jwk_set(shared_jwk("a", k=SECRET), rsa_jwk("a")),
    "no key in it": jwk_set({"kid": "a", "kty": "oct"}),
    "a key that is a number": jwk_set({"kid": "a", "kty": "RSA", "n": 5, "e": SECRET}),
    "a short secret": jwk_set(shared_jwk("a", size=31)),
    "a secret for RS256": jwk_set(shared_jwk("a", k=SECRET, alg="RS256")),
    "an RSA key for HS256": jwk_set(rsa_jwk("a", alg="HS256")),
    "an RSA key for another hash": jwk_set(rsa_jwk("a", alg="RS512")),
    "a short RSA key": jwk_set(rsa_jwk("a", bits=1_024)),
    "a broken RSA key": jwk_set({"kid": "a", "kty": "RSA", "n": SECRET, "e": "!"}),
    "an elliptic curve": jwk_set({"kid": "a", "kty": "EC", "crv": "P-256", "x": SECRET, "y": "A"}),
    "a key to encrypt": jwk_set(rsa_jwk("a", use="enc")),
}


@pytest.mark.parametrize("name", BAD_SETS)
def test_a_set_with_a_key_that_cannot_be_used_is_refused_without_showing_it(name):
    with pytest.raises(BadKeys) as caught:
        parse_keys(BAD_SETS[name])
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_made_key_signs_and_its_public_half_checks(tmp_path):
    private, public = tmp_path / "signing.json", tmp_path / "keys.json"
    for kid in ("a", "b"):
        make_key(kid, private, public)
    signing, checking = read_keys(private)["b"], read_keys(public)["b"]
    assert list(read_keys(public)) == ["a", "b"]
    assert jwt.decode(make_token(signing, "ann"), checking.checking, ["RS256"])["sub"] == "ann"
    assert not checking.signing


def test_made_keys_are_their_owners_and_files_stay_as_they_are(tmp_path):
    private, public = tmp_path / "signing.json", tmp_path / "keys.json"
    make_key("a", private, public)
    public.chmod(0o644)
    make_key("b", private, public)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (private, public)] == [0o600, 0o644]
    assert sorted(tmp_path.iterdir()) == [public, private]


def test_a_key_is_not_made_twice(tmp_path):
    private, public = tmp_path / "signing.json", tmp_path / "keys.json"
    make_key("a", private, public)
    before = private.read_bytes()
    with pytest.raises(BadKeys, match=r"signing.json has a key 'a' already: choose another"):
        make_key("a", private, public)
    assert private.read_bytes() == before


def test_a_key_whose_name_is_taken_among_the_public_ones_leaves_no_private_half(tmp_path):
    make_key("a", tmp_path / "lost.json", tmp_path / "keys.json")
    with pytest.raises(BadKeys, match=r"keys.json has a key 'a' already: choose another"):
        make_key("a", tmp_path / "signing.json", tmp_path / "keys.json")
    assert not (tmp_path / "signing.json").exists()
