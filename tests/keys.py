"""Keys for tokens, as operators would write them, and the tokens of other signers."""

import base64
import json
import secrets
import time
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

Jwk = dict[str, Any]


def rsa_key(name: str, bits: int = 2_048) -> RSAPrivateKey:
    """The RSA key of that name, the same in the whole run."""
    return _rsa_key(name, bits)


@cache
def _rsa_key(_name: str, bits: int) -> RSAPrivateKey:
    return generate_private_key(65_537, bits)


def rsa_jwk(kid: str, *, private: bool = True, bits: int = 2_048, **fields: Any) -> Jwk:
    key = rsa_key(kid, bits)
    jwk = RSAAlgorithm.to_jwk(key if private else key.public_key(), as_dict=True)
    # PyJWT adds what else the key may do; JWK Sets seldom say it.
    jwk.pop("key_ops", None)
    return {"kid": kid, "alg": "RS256", "use": "sig", **jwk, **fields}


def shared_jwk(kid: str, size: int = 32, **fields: Any) -> Jwk:
    key = base64.urlsafe_b64encode(secrets.token_bytes(size)).rstrip(b"=").decode()
    return {"kid": kid, "kty": "oct", "k": key, **fields}


def jwk_set(*jwks: Jwk) -> bytes:
    return json.dumps({"keys": jwks}).encode()


def write_set(folder: Path, *jwks: Jwk) -> Path:
    """A file with these keys, put in place of the one before at once."""
    path, part = folder / "keys.json", folder / "keys.part"
    part.write_bytes(jwk_set(*jwks))
    return part.rename(path)


def rs256(kid: str, user: str = "alice", seconds: float = 3_600, **claims: Any) -> str:
    """A token that the RSA key of that name signs."""
    claims = {"sub": user, "exp": int(time.time() + seconds), **claims}
    return jwt.encode(claims, rsa_key(kid), "RS256", headers={"kid": kid})
