import pytest

from streams.public.audience import BadAudience, compile_audience, parse_version

IOS = {"claim": "platform", "in": ["ios", "ipados"]}
NEW = {"claim": "registered", "after": 1_000, "before": 2_000}
V3 = {"claim": "version", "at_least": "3.2", "below": "4.0"}


def nested(depth):
    """An expression of so many levels."""
    return IOS if depth == 1 else {"not": nested(depth - 1)}


@pytest.mark.parametrize(
    ("expression", "claims", "matches"),
    [
        (None, {}, True),
        (IOS, {"platform": "ios"}, True),
        (IOS, {"platform": "android"}, False),
        (IOS, {"platform": ["ios"]}, False),
        (IOS, {"platform": None}, False),
        (IOS, {}, False),
        ({"not": IOS}, {"platform": "android"}, True),
        ({"not": IOS}, {}, True),
        ({"claim": "n", "in": [1]}, {"n": 1}, True),
        ({"claim": "n", "in": [1]}, {"n": True}, False),
        ({"claim": "n", "in": [True]}, {"n": 1}, False),
        ({"claim": "n", "in": [True, "x"]}, {"n": True}, True),
        (NEW, {"registered": 1_000}, False),
        (NEW, {"registered": 1_001}, True),
        (NEW, {"registered": 1_999.5}, True),
        (NEW, {"registered": 2_000}, False),
        (NEW, {"registered": "1500"}, False),
        (NEW, {"registered": True}, False),
        (NEW, {}, False),
        ({"claim": "registered", "after": 5}, {"registered": 6}, True),
        ({"claim": "registered", "before": 5}, {"registered": 6}, False),
        (V3, {"version": "3.2"}, True),
        (V3, {"version": "3.2.0"}, True),
        (V3, {"version": "3.10"}, True),
        (V3, {"version": "3.1.9"}, False),
        (V3, {"version": "4"}, False),
        (V3, {"version": "4.0.0"}, False),
        (V3, {"version": "3.9999999999"}, False),
        (V3, {"version": "3.2-beta"}, False),
        (V3, {"version": 3.5}, False),
        (V3, {"version": None}, False),
        (V3, {}, False),
        ({"all": [IOS, NEW]}, {"platform": "ios", "registered": 1_500}, True),
        ({"all": [IOS, NEW]}, {"platform": "ios"}, False),
        ({"any": [IOS, NEW]}, {"registered": 1_500}, True),
        ({"any": [IOS, NEW]}, {}, False),
        ({"all": [{"not": V3}, IOS]}, {"platform": "ios", "version": "2"}, True),
    ],
)
def test_who_is_matched(expression, claims, matches):
    assert compile_audience(expression)(claims) is matches


@pytest.mark.parametrize(
    ("expression", "where"),
    [
        ([], "audience: an expression is an object"),
        ("all", "audience: an expression is an object"),
        ({}, "audience: it has"),
        ({"all": []}, "audience.all: a list"),
        ({"all": {}}, "audience.all: a list"),
        ({"any": [IOS, 1]}, r"audience.any\[1\]: an expression is"),
        ({"all": [IOS], "any": [IOS]}, "audience: it has"),
        ({"not": [IOS]}, "audience.not: an expression is"),
        ({"all": [{"not": {"claim": "x"}}]}, r"audience.all\[0\].not: a claim is asked"),
        ({"claim": ""}, "audience: it has"),
        ({"claim": "a b", "in": [1]}, "audience: it has"),
        ({"claim": "x" * 65, "in": [1]}, "audience: it has"),
        ({"claim": 1, "in": [1]}, "audience: it has"),
        ({"claim": "a", "in": []}, "audience.in: a list"),
        ({"claim": "a", "in": "ios"}, "audience.in: a list"),
        ({"claim": "a", "in": [1] * 201}, "audience.in: a list"),
        ({"claim": "a", "in": ["x", "x" * 201]}, r"audience.in\[1\]: a value"),
        ({"claim": "a", "in": [None]}, r"audience.in\[0\]: a value"),
        ({"claim": "a", "in": [[1]]}, r"audience.in\[0\]: a value"),
        ({"claim": "a", "in": [1.5]}, r"audience.in\[0\]: a value"),
        ({"claim": "a", "in": [2**60]}, r"audience.in\[0\]: a value"),
        ({"claim": "a", "in": [1], "below": "3"}, "audience: a claim is asked"),
        ({"claim": "a", "at_least": "3", "before": 3}, "audience: a claim is asked"),
        ({"claim": "a", "near": 3}, "audience: a claim is asked"),
        ({"claim": "a", "at_least": 3}, "audience.at_least: a version"),
        ({"claim": "a", "at_least": "3", "below": "v4"}, "audience.below: a version"),
        ({"claim": "a", "below": "1.2.3.4.5.6.7.8.9"}, "audience.below: a version"),
        ({"claim": "a", "below": "3."}, "audience.below: a version"),
        ({"claim": "a", "below": "3\n"}, "audience.below: a version"),
        ({"claim": "a", "after": "5"}, "audience.after: a number"),
        ({"claim": "a", "after": None, "before": 5}, "audience.after: a number"),
        ({"claim": "a", "before": True}, "audience.before: a number"),
        ({"claim": "a", "before": 10**40}, "audience.before: a number"),
        (nested(6), "audience.not.not.not.not.not: an expression has at most 5 levels"),
        ({"any": [IOS] * 64}, r"audience.any\[63\]: an expression has at most 64 nodes"),
    ],
)
def test_what_is_no_audience_is_told_where(expression, where):
    with pytest.raises(BadAudience, match="^" + where):
        compile_audience(expression)


def test_the_largest_audiences_are_good():
    compile_audience(nested(5))
    compile_audience({"any": [IOS] * 63})


def test_versions_are_compared_by_number():
    assert sorted(["10", "2", "1.10", "0", "1.2", "1"], key=parse_version) == [
        "0", "1", "1.2", "1.10", "2", "10",
    ]  # fmt: skip
