"""Audiences: expressions over the claims of a user's token, that say whom a publish is for.

    {"all": [A, ...]}, {"any": [A, ...]}, {"not": A}
    {"claim": "platform", "in": ["ios", "android"]}         one of these (strings, integers, booleans)
    {"claim": "version", "at_least": "3.2", "below": "4.0"}   dotted versions; either bound may be left out
    {"claim": "registered", "after": 1750000000000, "before": ...}   numbers, both exclusive, either may be left out

A claim that is missing, or not of the kind that is asked for, matches nothing. `not` matches whoever its
expression does not match, also for want of the claim: to ask for it, put a condition on it beside the
`not`. An expression has at most 5 levels and 64 nodes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeAlias

from streams.schemas import MAX_INT

Claims: TypeAlias = Mapping[str, Any]
Audience: TypeAlias = Callable[[Claims], bool]

MAX_DEPTH = 5
MAX_NODES = 64
MAX_VALUES = 200
"""Values that one `in` may list."""
MAX_TEXT = 200
"""Characters of a value; a claim's name has at most 64."""

_VERSION = re.compile(r"^\d{1,9}(\.\d{1,9}){0,7}\Z", re.ASCII)
_CLAIM = re.compile(r"^\S{1,64}\Z")


class BadAudience(ValueError):
    """An expression that is none; the message says where, and what is wrong there."""


def everybody(_claims: Claims) -> bool:
    """The audience of a publish that names none."""
    return True


def compile_audience(expression: object) -> Audience:
    """Whether claims match, as a function; None: everybody. Raises `BadAudience`."""
    return everybody if expression is None else _Compiler().node(expression, "audience", 1)


def parse_version(text: object) -> tuple[int, ...] | None:
    """A dotted version in comparable form, `3.2` equal to `3.2.0`; None if it is none."""
    if not isinstance(text, str) or not _VERSION.match(text):
        return None
    parts = [int(part) for part in text.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


class _Compiler:
    """Compiles one expression, and counts its nodes."""

    def __init__(self) -> None:
        self._nodes = 0

    def node(self, expression: object, where: str, depth: int) -> Audience:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            _bad(where, f"an expression has at most {MAX_NODES} nodes")
        if depth > MAX_DEPTH:
            _bad(where, f"an expression has at most {MAX_DEPTH} levels")
        if not isinstance(expression, dict):
            _bad(where, "an expression is an object")
        match sorted(expression):
            case ["all"]:
                return _all(self._list(expression["all"], f"{where}.all", depth))
            case ["any"]:
                return _any(self._list(expression["any"], f"{where}.any", depth))
            case ["not"]:
                return _not(self.node(expression["not"], f"{where}.not", depth + 1))
        return _condition(expression, where)

    def _list(self, expressions: object, where: str, depth: int) -> tuple[Audience, ...]:
        if not isinstance(expressions, list) or not expressions:
            _bad(where, "a list of at least one expression is needed")
        return tuple(
            self.node(one, f"{where}[{number}]", depth + 1)
            for number, one in enumerate(expressions)
        )


def _bad(where: str, what: str) -> NoReturn:
    raise BadAudience(f"{where}: {what}")


def _all(parts: tuple[Audience, ...]) -> Audience:
    return lambda claims: all(part(claims) for part in parts)


def _any(parts: tuple[Audience, ...]) -> Audience:
    return lambda claims: any(part(claims) for part in parts)


def _not(part: Audience) -> Audience:
    return lambda claims: not part(claims)


def _condition(expression: dict[str, Any], where: str) -> Audience:
    claim = expression.get("claim")
    if not isinstance(claim, str) or not _CLAIM.match(claim):
        _bad(where, "it has 'all', 'any', 'not', or a 'claim' of 1 to 64 characters without blanks")
    tests = expression.keys() - {"claim"}
    if tests == {"in"}:
        return _one_of(claim, expression["in"], f"{where}.in")
    if tests and tests <= {"at_least", "below"}:
        return _version_within(claim, expression, where)
    if tests and tests <= {"after", "before"}:
        return _number_between(claim, expression, where)
    _bad(
        where, "a claim is asked for 'in', for 'at_least' and 'below', or for 'after' and 'before'"
    )


def _one_of(claim: str, values: object, where: str) -> Audience:
    if not isinstance(values, list) or not 1 <= len(values) <= MAX_VALUES:
        _bad(where, f"a list of 1 to {MAX_VALUES} values is needed")
    for number, value in enumerate(values):
        if not _is_value(value):
            _bad(
                f"{where}[{number}]",
                f"a value is text of up to {MAX_TEXT} characters, an integer or a boolean",
            )
    # True equals 1, but they are different claims.
    wanted = frozenset((type(value), value) for value in values)

    def matches(claims: Claims) -> bool:
        value = claims.get(claim)
        return type(value) in _VALUE_TYPES and (type(value), value) in wanted

    return matches


_VALUE_TYPES = (str, int, bool)


def _is_value(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_TEXT
    return isinstance(value, int) and abs(value) <= MAX_INT


def _version_within(claim: str, expression: dict[str, Any], where: str) -> Audience:
    bounds: dict[str, tuple[int, ...]] = {}
    for name in sorted(expression.keys() - {"claim"}):
        version = parse_version(expression[name])
        if version is None:
            _bad(
                f"{where}.{name}",
                "a version is up to 8 numbers with dots between them, as in '3.2'",
            )
        bounds[name] = version
    at_least, below = bounds.get("at_least"), bounds.get("below")

    def matches(claims: Claims) -> bool:
        version = parse_version(claims.get(claim))
        return (
            version is not None
            and (at_least is None or version >= at_least)
            and (below is None or version < below)
        )

    return matches


def _number_between(claim: str, expression: dict[str, Any], where: str) -> Audience:
    for name in sorted(expression.keys() - {"claim"}):
        bound = expression[name]
        if type(bound) not in (int, float) or abs(bound) > MAX_INT:
            _bad(f"{where}.{name}", "a number is needed, such as a time in ms since 1970")
    after, before = expression.get("after"), expression.get("before")

    def matches(claims: Claims) -> bool:
        value = claims.get(claim)
        return (
            type(value) in (int, float)
            and (after is None or value > after)
            and (before is None or value < before)
        )

    return matches
