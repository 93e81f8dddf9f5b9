"""Keys that make and check the signatures of tokens, and sets of them (JWK Set, RFC 7517)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    generate_private_key,
)
from jwt import PyJWK, PyJWTError
from jwt.algorithms import RSAAlgorithm

Algorithm = Literal["HS256", "RS256"]

ALGORITHMS: Mapping[str, Algorithm] = {"oct": "HS256", "RSA": "RS256"}
"""The one algorithm of each type of key: a token can't choose another."""

SECRET_BYTES = 32
"""HS256 wants a key of at least as many bytes as its hash (RFC 7518, section 3.2)."""

_SHORT_SECRET = (
    f"READCAST_AUTH_SECRET is too short: HS256 needs at least {SECRET_BYTES} bytes, "
    "for instance from `openssl rand -hex 32`"
)

RSA_BITS = 2_048
"""The least size of an RSA key (RFC 7518, section 3.3)."""

PUBLIC_EXPONENT = 65_537
"""The usual one of RSA."""


class BadKeys(ValueError):
    """A set of keys that can't be used; the message says what is wrong and holds no part of a key."""


class Key(NamedTuple):
    """One key; `kid` is None for the secret, `signing` for a key that can only check."""

    kid: str | None
    algorithm: Algorithm
    checking: bytes | RSAPublicKey
    signing: bytes | RSAPrivateKey | None


class _Jwk(msgspec.Struct):
    """What we look at ourselves; the rest is for PyJWT."""

    kid: str
    kty: str
    alg: str | None = None
    use: str = "sig"


class _JwkSet(msgspec.Struct):
    keys: list[dict[str, Any]]


def secret_key(secret: str) -> Key:
    """The key of tokens that name none; `BadKeys` if it can't be one."""
    if len(secret.encode()) < SECRET_BYTES:
        raise BadKeys(_SHORT_SECRET)
    return Key(None, "HS256", secret.encode(), secret.encode())


def read_keys(path: Path) -> dict[str, Key]:
    """The keys in a file, by `kid`; `BadKeys` or `OSError` if they can't be had."""
    return parse_keys(path.read_bytes())


def parse_keys(text: bytes) -> dict[str, Key]:
    """The keys of a JWK Set, by `kid`; `BadKeys` unless all of them can be used."""
    keys = [_parse_key(number, data) for number, data in enumerate(_decode(text), 1)]
    by_kid = {str(key.kid): key for key in keys}
    if len(by_kid) < len(keys):
        raise BadKeys("two keys have the same `kid`")
    return by_kid


def make_key(kid: str, private: Path, public: Path) -> None:
    """Add an RS256 key to the set in `private`, and its public half to that in `public`.

    A file that is missing is made. Each is replaced at once, so that whoever reads it meanwhile has
    the set before or after. `BadKeys` or `OSError` if one of them can't be used.
    """
    for path in (private, public):
        if path.exists() and kid in read_keys(path):
            raise BadKeys(f"{path} has a key {kid!r} already: choose another KID")
    key = generate_private_key(PUBLIC_EXPONENT, RSA_BITS)
    _add_key(private, {"kid": kid, "alg": "RS256", **RSAAlgorithm.to_jwk(key, as_dict=True)})
    half = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    _add_key(public, {"kid": kid, "alg": "RS256", **half})


def _add_key(path: Path, jwk: dict[str, Any]) -> None:
    jwks = _decode(path.read_bytes()) if path.exists() else []
    text = msgspec.json.format(msgspec.json.encode({"keys": [*jwks, jwk]}))
    parse_keys(text)
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    # Nobody but the owner may read it, unless they could read the file before.
    part.touch(mode=path.stat().st_mode & 0o777 if path.exists() else 0o600)
    part.write_bytes(text)
    part.replace(path)


def _decode(text: bytes) -> list[dict[str, Any]]:
    try:
        return msgspec.json.decode(text, type=_JwkSet).keys
    except msgspec.DecodeError as error:
        raise BadKeys(f"not a JWK Set: {error}") from None


def _parse_key(number: int, data: dict[str, Any]) -> Key:
    try:
        jwk = msgspec.convert(data, _Jwk)
    except msgspec.ValidationError as error:
        raise BadKeys(f"key {number}: {error}") from None
    algorithm = ALGORITHMS.get(jwk.kty)
    if algorithm is None or jwk.alg not in (None, algorithm) or jwk.use != "sig":
        raise BadKeys(f"key {jwk.kid!r}: keys are `oct` for HS256 or `RSA` for RS256, to sign")
    try:
        material = PyJWK(data, algorithm).key
    except (PyJWTError, LookupError, AttributeError, TypeError, ValueError):
        # PyJWT's words may hold the key.
        raise BadKeys(f"key {jwk.kid!r}: its numbers or bytes can't be read") from None
    return _key(jwk.kid, algorithm, material)


def _key(kid: str, algorithm: Algorithm, material: bytes | RSAPublicKey | RSAPrivateKey) -> Key:
    if isinstance(material, bytes):
        if len(material) < SECRET_BYTES:
            raise BadKeys(f"key {kid!r}: HS256 needs at least {SECRET_BYTES} bytes")
        return Key(kid, algorithm, material, material)
    if material.key_size < RSA_BITS:
        raise BadKeys(f"key {kid!r}: RS256 needs at least {RSA_BITS} bits")
    if isinstance(material, RSAPrivateKey):
        return Key(kid, algorithm, material.public_key(), material)
    return Key(kid, algorithm, material, None)
