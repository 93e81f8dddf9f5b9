"""What visits show, against the log and the times of answers.

A visit is judged by what was certainly so before it began and until it ended: a command takes effect between the
time that the broker gave it and the first answer to it, or to one behind it in its partition. Visits that don't wait
for their gateway are shown what it has read, which may be older: what they show must once have been so.
"""

from collections.abc import Iterator
from itertools import pairwise

from tests.faults.checker import Finding
from tests.faults.feeds.evidence import Shown, Visit
from tests.faults.feeds.log import FeedRun, Outbox, Version, shown_of
from tests.faults.feeds.order import PostId, parse


def ended(run: FeedRun) -> Iterator[tuple[Visit, float]]:
    """The visits that reached the oldest post, and when."""
    for visit in run.evidence.visits:
        if visit.ended is not None:
            yield visit, visit.ended


def in_order(run: FeedRun) -> Finding:
    """Newest first, and so none twice."""
    offenders, total = [], 0
    for visit in run.evidence.visits:
        places = [parse(one.post).place for one in visit.shown]
        total += len(places)
        offenders += [
            f"{name(visit)}: {two.post} after {one.post}"
            for (one, before), (two, after) in pairwise(zip(visit.shown, places, strict=True))
            if after <= before
        ]
    return Finding("visits are in order, nothing twice", f"{total:,} posts shown", offenders)


def complete(run: FeedRun) -> Finding:
    """Every post that stood all the time, of those who were followed all the time, is shown."""
    offenders, total = [], 0
    for visit, end in ended(run):
        if not visit.is_current:
            continue
        found = {one.post for one in visit.shown}
        for post in due(run, visit, end):
            total += 1
            if post.text not in found:
                offenders.append(f"{name(visit)}: lacks {post.text}")
    open_ones = sum(visit.ended is None for visit in run.evidence.visits)
    offenders += [f"{open_ones} visits were not ended"] if open_ones else []
    return Finding("visits miss nothing", f"{total:,} posts had to be shown", offenders)


def due(run: FeedRun, visit: Visit, end: float) -> Iterator[PostId]:
    """The posts that a visit has to show."""
    for author, outbox in run.outboxes.items():
        if not follows_all_along(outbox, author, visit, end):
            continue
        for seq, versions in outbox.posts.items():
            if stands_all_along(versions, visit.began, end):
                yield PostId(versions[0].row["ts"], seq, author)


def follows_all_along(outbox: Outbox, author: str, visit: Visit, end: float) -> bool:
    if visit.author is not None:
        return author == visit.author
    return any(
        one.since.certain < visit.began and one.until.earliest > end
        for one in outbox.followings.get(visit.user, ())
    )


def stands_all_along(versions: list[Version], began: float, end: float) -> bool:
    """Whether one can see a post from before a time until after another."""
    since = next((one.since.certain for one in versions if not one.is_hidden), None)
    gone = next((one.since.earliest for one in versions if one.row.get("recalled")), None)
    return since is not None and since < began and (gone is None or gone > end)


def justified(run: FeedRun) -> Finding:
    """Nothing is shown of authors who were not followed, or that was no post or deleted all the time."""
    offenders, total = [], 0
    for visit, end in ended(run):
        for one in visit.shown:
            total += 1
            why = wrong(run, visit, end, one)
            if why:
                offenders.append(f"{name(visit)}: shows {one}, {why}")
    return Finding("visits show nothing else", f"{total:,} posts shown", offenders)


def wrong(run: FeedRun, visit: Visit, end: float, one: Shown) -> str:
    """What is wrong with it that a visit shows a post; nothing if it isn't."""
    post = parse(one.post)
    versions = run.post(post)
    if versions is None or (post.author, post.seq, post.ts) != (one.author, one.seq, one.ts):
        return "which is no post"
    if not may_follow(run.outboxes[post.author], post.author, visit, end):
        return "which isn't theirs"
    if not any(v.since.earliest <= end for v in versions if not v.is_hidden):
        return "which came later"
    if visit.is_current and is_gone(versions, visit.began):
        return "which was deleted before"
    return ""


def is_gone(versions: list[Version], at: float) -> bool:
    """Whether a post was certainly deleted before a time."""
    return any(one.row.get("recalled") and one.since.certain < at for one in versions)


def may_follow(outbox: Outbox, author: str, visit: Visit, end: float) -> bool:
    """Whether a user may have followed an author at any time of a visit."""
    if visit.author is not None:
        return author == visit.author
    return any(
        one.since.earliest <= end and (one.until.certain >= visit.began or not visit.is_current)
        for one in outbox.followings.get(visit.user, ())
    )


def current(run: FeedRun) -> Finding:
    """A post is shown with the body and the state of a time between the visit's begin and end."""
    offenders, total = [], 0
    for visit, end in ended(run):
        for one in visit.shown:
            versions = run.post(parse(one.post)) or []
            total += len(versions)
            since = visit.began if visit.is_current else 0
            if versions and one not in possible(versions, since, end):
                offenders.append(f"{name(visit)}: shows {one} of {[v.row for v in versions]}")
    return Finding("visits show posts as they are", f"{total:,} versions", offenders)


def possible(versions: list[Version], began: float, end: float) -> list[Shown]:
    """How a post may be shown between two times."""
    certain = [version.since.certain for version in versions[1:]] + [float("inf")]
    return [
        shown_of(version.row)
        for version, over in zip(versions, certain, strict=True)
        if version.since.earliest <= end and over >= began
    ]


def final(run: FeedRun) -> Finding:
    """When all is quiet, each reader finds the sorted posts of the log."""
    offenders, total = [], 0
    for user, found in run.evidence.final.items():
        wanted = run.feed(user)
        total += len(wanted)
        if found != wanted:
            lacks, has = set(map(str, wanted)) - set(map(str, found)), len(found)
            offenders.append(f"{user}: finds {has} posts, not {len(wanted)}; lacks {lacks or 0}")
    return Finding("in the end feeds are the sorted posts", f"{total:,} posts", offenders)


def name(visit: Visit) -> str:
    of = f" to {visit.author}" if visit.author else ""
    return f"visit of {visit.user}{of} at {visit.began:.0f}"
