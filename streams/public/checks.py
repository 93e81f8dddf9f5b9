"""What a schema can't say about publishes and releases."""

from __future__ import annotations

from streams.commands import Publish, Release
from streams.errors import Code, Malformed
from streams.ids import is_name
from streams.public.audience import BadAudience, compile_audience


def check(command: Publish | Release) -> None:
    """Check percentage, users and audience; `Malformed` says what is wrong."""
    percent = command.release.percent
    if percent != round(percent, 2):
        raise Malformed(Code.BAD_REQUEST, f"release.percent: {percent} is not in steps of 0.01")
    for number, user in enumerate(command.release.users):
        if not is_name(user):
            raise Malformed(Code.BAD_REQUEST, f"release.users[{number}]: this is no user's name")
    if isinstance(command, Publish):
        try:
            compile_audience(command.audience)
        except BadAudience as error:
            raise Malformed(Code.BAD_REQUEST, str(error)) from None
