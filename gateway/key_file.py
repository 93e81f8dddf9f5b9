"""The keys that tokens may name, as they stand in a file at the moment."""

from __future__ import annotations

from pathlib import Path

from gateway.errors import CannotStart
from gateway.files import FromFiles
from streams.jwks import Key, read_keys


class KeyFile:
    """A JWK Set that is read again when its file has changed. An empty set shuts everybody out."""

    def __init__(self, path: Path) -> None:
        """`CannotStart` if there are no keys to begin with."""
        try:
            self._keys = FromFiles(
                "keys", (path,), lambda: read_keys(path), lambda keys: {"kids": sorted(keys)}
            )
        except (OSError, ValueError) as error:
            raise CannotStart(f"no keys from READCAST_AUTH_KEYS={path}: {error}") from None

    def get(self, kid: str) -> Key | None:
        """The key of that name, if it is in the file."""
        return self._keys.get().get(kid)
