"""`python -m tables.dump FOLDER`: every key and value of a partition's database, as lines of hex.

For comparing two folders: left out is only the local bookkeeping of how far the log is kept.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, cast

from rocksdict import AccessType, Options, Rdict

from tables.partition import PROGRESS_KEY


def dump(path: str) -> Iterator[str]:
    """Lines `<key> <value>` in key order; the database may not be open for writing elsewhere."""
    database = Rdict(path, options=Options(raw_mode=True), access_type=AccessType.read_only())
    try:
        for key, value in cast("Any", database).items():
            if key != PROGRESS_KEY:
                yield f"{key.hex()} {value.hex()}\n"
    finally:
        database.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tables.dump FOLDER")
    sys.stdout.writelines(dump(sys.argv[1]))
