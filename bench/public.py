"""Commands of a public mailbox: what operators publish and release."""

import uuid

MAILBOX = "public:news"


def entry(kind: str, percent: int, **fields: object) -> dict:
    """A publish or a release to so many percent."""
    return {
        "type": kind,
        "mailbox": MAILBOX,
        "by": "olga",
        "id": str(uuid.uuid4()),
        "release": {"percent": percent},
        **fields,
    }
