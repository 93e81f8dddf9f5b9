import base64
import json
import os
import resource
import time

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from structlog.testing import capture_logs

from gateway.auth import TOKEN_LENGTH, Tokens, bearer, origin_allowed
from gateway.errors import CannotStart, CloseCode, Disconnect
from gateway.files import FromFiles
from gateway.key_file import KeyFile
from tests.keys import rs256, rsa_jwk, rsa_key, shared_jwk, write_set

SECRET = "a" * 32
tokens = Tokens(SECRET)


def signed(secret=SECRET, algorithm="HS256", **claims):
    claims = {"sub": "alice", "exp": int(time.time()) + 3600} | claims
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, secret, algorithm)


def refused(token, checker=tokens):
    with pytest.raises(Disconnect) as caught:
        checker.verify(token)
    return caught.value.code


def part(text):
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def test_a_token_names_its_user_and_its_end():
    identity = tokens.verify(tokens.issue("alice", 60))
    assert identity.user == "alice"
    assert abs(identity.expires - time.time() - 60) < 2


BAD = {
    "empty": "",
    "no token": "nonsense",
    "another secret": signed(secret="b" * 32),
    "no user": signed(sub=None),
    "no end": signed(exp=None),
    "system": signed(sub="system"),
    "space": signed(sub="al ice"),
    "long user": signed(sub="x" * 65),
    "empty user": signed(sub=""),
    "HS512": signed(secret=SECRET * 2, algorithm="HS512"),
    "unsigned": jwt.encode({"sub": "alice", "exp": time.time() + 3600}, None, "none"),
    "late end": signed(exp=10**400),
    "long": signed(pad="x" * TOKEN_LENGTH),
    "deep": f"{part('[' * 5_000)}.e30.c2ln",
    "number as kid": f"{part(json.dumps({'alg': 'HS256', 'kid': 7}))}.e30.c2ln",
}


@pytest.mark.parametrize("token", BAD.values(), ids=BAD)
def test_a_bad_token_is_refused(token):
    assert refused(token) is CloseCode.BAD_TOKEN


def test_an_expired_token_is_told_from_a_bad_one():
    assert refused(signed(exp=int(time.time()) - 1)) is CloseCode.EXPIRED


# Sets of keys


@pytest.fixture
def keyed(tmp_path):
    """keyed(*jwks): tokens checked by these keys, or by the secret; again: the file is replaced."""
    checkers = []

    def keyed(*jwks, secret=SECRET):
        path = write_set(tmp_path, *jwks)
        if not checkers:
            checkers.append(Tokens(secret, KeyFile(path)))
        return checkers[0]

    return keyed


def shared(jwk, user="alice"):
    key = jwt.PyJWK(jwk, "HS256")
    claims = {"sub": user, "exp": int(time.time()) + 60}
    return jwt.encode(claims, key.key, "HS256", headers={"kid": jwk["kid"]})


def test_a_token_is_checked_by_the_key_that_it_names(keyed):
    both = shared_jwk("b")
    checker = keyed(rsa_jwk("a", private=False), both)
    assert checker.verify(rs256("a", "ann")).user == "ann"
    assert checker.verify(shared(both, "ben")).user == "ben"
    assert checker.verify(signed(sub="cat")).user == "cat"


def test_a_file_may_hold_private_keys(keyed):
    assert keyed(rsa_jwk("a")).verify(rs256("a")).user == "alice"


@pytest.mark.parametrize("kid", ["b", "", "a\n", "../a"])
def test_a_token_of_an_unknown_key_is_refused(keyed, kid):
    token = jwt.encode(
        {"sub": "alice", "exp": time.time() + 60}, rsa_key("a"), "RS256", {"kid": kid}
    )
    assert refused(token, keyed(rsa_jwk("a"))) is CloseCode.BAD_TOKEN


def test_a_key_of_the_set_does_not_sign_under_the_name_of_another(keyed):
    token = jwt.encode(
        {"sub": "alice", "exp": time.time() + 60}, rsa_key("b"), "RS256", {"kid": "a"}
    )
    assert refused(token, keyed(rsa_jwk("a"), rsa_jwk("b"))) is CloseCode.BAD_TOKEN


def forged(kid, algorithm, secret):
    """A token signed with what everybody may know, by hand since PyJWT refuses to."""
    head = part(json.dumps({"alg": algorithm, "kid": kid}))
    body = part(json.dumps({"sub": "alice", "exp": int(time.time()) + 60}))
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
        f"{head}.{body}".encode(), secret
    )
    return f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "none", "RS512"])
@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_public_key_is_no_secret(keyed, algorithm, encoding):
    public = rsa_key("a").public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    token = forged("a", algorithm, public)
    assert refused(token, keyed(rsa_jwk("a", private=False))) is CloseCode.BAD_TOKEN


def test_a_key_is_used_with_its_own_algorithm_alone(keyed):
    jwk = shared_jwk("a")
    checker = keyed(jwk, rsa_jwk("b"))
    key = jwt.PyJWK(jwk, "HS256").key
    longer = jwt.encode({"sub": "alice", "exp": time.time() + 60}, key * 2, "HS512", {"kid": "a"})
    assert refused(longer, checker) is CloseCode.BAD_TOKEN
    other_hash = jwt.encode(
        {"sub": "alice", "exp": time.time() + 60}, rsa_key("b"), "RS384", {"kid": "b"}
    )
    assert refused(other_hash, checker) is CloseCode.BAD_TOKEN


def test_without_a_secret_every_token_must_name_a_key(keyed):
    checker = keyed(rsa_jwk("a"), secret="")
    assert checker.verify(rs256("a")).user == "alice"
    assert refused(signed(), checker) is CloseCode.BAD_TOKEN
    assert refused(forged(None, "HS256", b""), checker) is CloseCode.BAD_TOKEN


def test_without_a_set_no_token_may_name_a_key():
    assert refused(rs256("a")) is CloseCode.BAD_TOKEN


def test_a_key_is_taken_up_and_given_up_with_its_file(keyed):
    checker = keyed(rsa_jwk("a"))
    assert refused(rs256("b"), checker) is CloseCode.BAD_TOKEN
    keyed(rsa_jwk("a"), rsa_jwk("b"))
    assert {checker.verify(rs256(kid)).user for kid in "ab"} == {"alice"}
    keyed(rsa_jwk("b"))
    assert refused(rs256("a"), checker) is CloseCode.BAD_TOKEN
    assert checker.verify(rs256("b")).user == "alice"


def test_an_empty_set_shuts_everybody_out(keyed):
    checker = keyed(rsa_jwk("a"))
    keyed()
    assert refused(rs256("a"), checker) is CloseCode.BAD_TOKEN


def test_a_broken_or_missing_file_changes_nothing_until_it_is_whole(keyed, tmp_path):
    checker = keyed(rsa_jwk("a"))
    path = tmp_path / "keys.json"
    for damage in (lambda: path.write_text('{"keys":['), path.unlink):
        damage()
        assert checker.verify(rs256("a")).user == "alice"
    keyed(rsa_jwk("b"))
    assert checker.verify(rs256("b")).user == "alice"
    assert refused(rs256("a"), checker) is CloseCode.BAD_TOKEN


def test_a_file_is_read_only_when_it_has_changed(keyed, tmp_path):
    checker = keyed(rsa_jwk("a"))
    path = tmp_path / "keys.json"
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b'"a"', b'"b"'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert checker.verify(rs256("a")).user == "alice"


@pytest.mark.parametrize("content", [None, b"{}", b'{"keys":[{"kty":"oct"}]}'])
def test_a_gateway_does_not_start_without_the_keys_it_was_told_of(tmp_path, content):
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CannotStart, match="READCAST_AUTH_KEYS"):
        KeyFile(path)


# Headers


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


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_token_of_a_service_whose_clock_is_a_little_ahead_is_good(claim):
    assert tokens.verify(signed(**{claim: int(time.time()) + 2})).user == "alice"


@pytest.mark.parametrize(
    ("claim", "seconds", "code"),
    [("exp", -1, CloseCode.EXPIRED), ("nbf", 3_600, CloseCode.BAD_TOKEN)],
)
def test_no_other_token_is_good_for_longer(claim, seconds, code):
    assert refused(signed(**{claim: int(time.time()) + seconds})) is code


def test_a_key_that_has_leaked_is_given_up_though_no_file_could_be_opened_at_first(tmp_path):
    checker = Tokens("", KeyFile(write_set(tmp_path, rsa_jwk("leaked"))))
    leaked = rs256("leaked")
    assert checker.verify(leaked).user == "alice"
    write_set(tmp_path, rsa_jwk("b"))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))  # all files are in use
    try:
        checker.verify(leaked)  # nobody is shut out by that
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    with pytest.raises(Disconnect):
        checker.verify(leaked)
    assert checker.verify(rs256("b")).user == "alice"


def test_files_are_in_use_once_their_rights_are_mended(tmp_path):
    path = tmp_path / "certificate.pem"
    path.write_text("old")

    def read() -> str:
        if not path.stat().st_mode & 0o040:  # as for a gateway that is not root
            raise PermissionError(13, "Permission denied")
        return path.read_text()

    path.chmod(0o640)
    files = FromFiles("certificate", (path,), read, lambda _: {})
    part = tmp_path / "part"
    part.touch(0o600)
    part.write_text("new")
    part.replace(path)
    with capture_logs() as logs:
        assert [files.get() for _ in range(3)] == ["old"] * 3
    assert len(logs) == 1
    path.chmod(0o640)
    assert files.get() == "new"


def test_a_token_for_some_audience_is_good():
    assert tokens.verify(signed(aud="readcast", iss="https://issuer.example")).user == "alice"
