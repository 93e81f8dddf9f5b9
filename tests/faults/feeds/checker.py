"""Check a run of feeds from the raw logs and from what clients saw."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.faults.checker import Finding, Raw, Record, Report, back, committed
from tests.faults.feeds import visits
from tests.faults.feeds.evidence import Act, FeedEvidence, Receipt
from tests.faults.feeds.log import FeedRun, Inbox, Outbox, id_of, latest, plain, standing
from tests.faults.feeds.order import AUTHOR, PostId

SLOTS = 1_000
"""References that an inbox holds."""


def check(raw: Raw, evidence: FeedEvidence) -> Report:
    run = FeedRun(raw, evidence)
    evidence.counts.update(hardships(run))
    return Report(
        [
            positions(run),
            compacted(run),
            dense(run),
            accepted(run),
            as_decided(run),
            counted(run),
            at_rest(run),
            as_followed(run),
            references(run),
            complete(run),
            visits.in_order(run),
            visits.complete(run),
            visits.justified(run),
            visits.current(run),
            visits.final(run),
            committed(evidence),
            back(evidence),
            Finding("nothing else went wrong", "", evidence.problems),
        ]
    )


def hardships(run: FeedRun) -> dict[str, int]:
    """How the posts came to their followers."""
    counts: dict[str, int] = defaultdict(int)
    deliveries: dict[str, Any] = {}
    for _, _, key, row in run.log.rows:
        mailbox, kind, *_ = key.split("/")
        if not mailbox.startswith(AUTHOR):
            continue
        before = deliveries.get(mailbox, {})
        if kind == "s":
            after = deliveries[mailbox] = row["delivery"]
            begins = bool(before.get("switching")) < bool(after.get("switching"))
            counts["switches in chunks"] += begins
            counts["switches"] += before.get("pushes", True) != after.get("pushes", True)
        elif kind == "m" and not (row.get("recalled") or row.get("edited")):
            counts["posts while switching"] += bool(before.get("switching"))
            counts["posts in chunks"] += bool(row.get("pushing"))
            counts["posts pushed" if before.get("pushes", True) else "posts pulled"] += 1
    return counts


# The log


def positions(run: FeedRun) -> Finding:
    """Every row stands at the position of a command about its owner, in its own partition."""
    offenders, total = [], 0
    for records, log in (
        (run.raw.mailbox_commands, run.log),
        (run.raw.user_commands, run.user_log),
    ):
        about = {(one.partition, one.offset): owners(one) for one in records}
        total += len(log.rows)
        offenders += [
            f"row {key} at {at} of partition {partition}, that command is about "
            f"{about.get((partition, at[0]))}"
            for partition, at, key, _ in log.rows
            if key.split("/", 1)[0] not in about.get((partition, at[0]), ())
        ]
    skipped = run.log.skipped + run.user_log.skipped
    repaired = run.log.repaired + run.user_log.repaired
    counted = f"{total:,} rows, {skipped:,} late ones skipped, {repaired:,} repaired"
    return Finding("rows follow commands", counted, offenders)


def owners(record: Record) -> frozenset[str]:
    """Whose rows a command may write."""
    command = json.loads(record.value or b"null")
    return frozenset(command.get("users") or [(record.key or b"").decode()])


def compacted(run: FeedRun) -> Finding:
    """The last record under each key is the row that holds by the position rule."""
    offenders, total = [], 0
    for records, log in ((run.raw.mailbox_log, run.log), (run.raw.user_log, run.user_log)):
        left, held = latest(records), standing(log)
        total += len(held)
        offenders += [
            f"{key.decode()}: the last record is {left[key]}, what holds is {held.get(key)}"
            for key in left
            if plain(left[key]) != plain(held.get(key))
        ]
    return Finding("the last row of a key is the one that holds", f"{total:,} keys", offenders)


def dense(run: FeedRun) -> Finding:
    offenders = []
    for author, outbox in run.outboxes.items():
        if outbox.order != list(range(1, len(outbox.order) + 1)):
            broken = next(seq for seq, found in enumerate(outbox.order, 1) if seq != found)
            offenders.append(f"{author}: at place {broken} stands {outbox.order[broken - 1]}")
        if len(outbox.partitions) > 1:
            offenders.append(f"{author}: rows in partitions {sorted(outbox.partitions)}")
        offenders += [
            f"{author}/{seq}: the row says {id_of(row).text}, before {id_of(versions[0].row).text}"
            for seq, versions in outbox.posts.items()
            for row, _ in versions
            if id_of(row) != PostId(versions[0].row["ts"], seq, author)
        ]
    return Finding("seqs are dense from 1", f"{len(run.outboxes):,} outboxes", offenders)


def accepted(run: FeedRun) -> Finding:
    """What was accepted is there once, as it was told; what was not, at most once."""
    rows: dict[str, list[Any]] = defaultdict(list)
    for author, outbox in run.outboxes.items():
        for versions in outbox.posts.values():
            by_id = {version.row["id"]: version.row for version in versions}
            for name, row in by_id.items():
                rows[name].append((author, row))
    posted = {act.fields["id"]: act for act in run.evidence.acts if act.kind == "post"}
    offenders = [f"{one}: in the log, but nobody posted it" for one in rows.keys() - posted]
    for name, act in posted.items():
        offenders += offences(act, rows[name])
    offenders += [
        f"{act}: answered, but there is no such command"
        for act in run.evidence.acts
        if act.done is not None and run.record_of(act) is None
    ]
    told = sum(act.done is not None for act in run.evidence.acts)
    return Finding("what was accepted is there, once", f"{told:,} answers", offenders)


def offences(act: Act, rows: list[Any]) -> Iterator[str]:
    if act.done is not None and not rows:
        yield f"{act}: accepted and lost"
    if len(rows) > 1:
        yield f"{act}: there {len(rows)} times"
    for author, row in rows[:1]:
        if AUTHOR + author != act.mailbox:
            yield f"{act}: in the outbox of {author}"
        if act.receipts - {Receipt(id_of(row).text, row["seq"], row["ts"])}:
            yield f"{act}: the row is {row}"


# What the commands should have come to


@dataclass
class Expected:
    """An outbox as the commands alone make it, decided one by one."""

    posts: list[dict[str, Any]] = field(default_factory=list)
    followers: set[str] = field(default_factory=set)
    mode: str = "auto"

    def standing(self, command: Any) -> list[dict[str, Any]]:
        """The post that a command is about, if it stands."""
        some = self.posts[command["seq"] - 1 : command["seq"]]
        return [post for post in some if "deleted" not in post]


def decide(records: Iterable[Record]) -> dict[str, Expected]:
    """Decide what changes outboxes, in the order of the topic."""
    outboxes: dict[str, Expected] = defaultdict(Expected)
    for record in records:
        command = json.loads(record.value or b"null")
        if command["mailbox"].startswith(AUTHOR):
            author = command["mailbox"].removeprefix(AUTHOR)
            apply(outboxes[author], author, command, record.ts)
    return outboxes


def apply(outbox: Expected, author: str, command: Any, ts: int) -> None:
    named = command.get("members") or [command["by"]]
    match command["type"]:
        case "post" if all(command["id"] != post["id"] for post in outbox.posts):
            post = {"seq": len(outbox.posts) + 1, "from": author, "ts": ts}
            post |= {name: command.get(name) for name in ("id", "body", "state")}
            outbox.posts.append(post)
        case "edit" | "state" as kind:
            name = "body" if kind == "edit" else "state"
            for post in outbox.standing(command):
                post[name] = command[name]
        case "delete":
            for post in outbox.standing(command):
                post |= {"deleted": True, "body": None, "state": None}
        case "follow":
            outbox.followers.update(named)
        case "unfollow":
            outbox.followers.difference_update(named)
        case "mode":
            outbox.mode = command["mode"]


def as_decided(run: FeedRun) -> Finding:
    """Posts, followers and modes are what the commands come to when they are decided one by one."""
    wanted = decide(run.raw.mailbox_commands)
    offenders = []
    for author in wanted.keys() | run.outboxes.keys():
        outbox, expected = run.outboxes.get(author, Outbox()), wanted.get(author, Expected())
        found = [as_post(outbox.last(seq)) for seq in sorted(outbox.posts)]
        offenders += [
            f"{author}: {one} instead of {other}"
            for one, other in zip(found, expected.posts, strict=False)
            if one != other
        ]
        if len(found) != len(expected.posts):
            offenders.append(f"{author}: {len(found)} posts instead of {len(expected.posts)}")
        if outbox.members.keys() != expected.followers:
            offenders.append(f"{author}: {outbox.members.keys() ^ expected.followers} differ")
        mode = delivery_of(outbox).get("mode", "auto")
        if mode != expected.mode:
            offenders.append(f"{author}: the mode is {mode} instead of {expected.mode}")
    total = sum(len(one.posts) for one in wanted.values())
    return Finding("outboxes are what the commands say", f"{total:,} posts", offenders)


def as_post(row: Any) -> dict[str, Any]:
    post = {name: row.get(name) for name in ("seq", "from", "ts", "id", "body")}
    post["state"] = row.get("state") or None
    return post | ({"deleted": True} if row.get("recalled") else {})


def delivery_of(outbox: Outbox) -> Any:
    return (outbox.state or {}).get("delivery", {})


# Followers and inboxes


def counted(run: FeedRun) -> Finding:
    """Counts of followers and posts are those of the rows, in the log and as they are told."""
    offenders = []
    for author, outbox in run.outboxes.items():
        wanted = {"followers": len(outbox.members), "posts": len(outbox.posts)}
        in_log = (outbox.state or {}).get("members", 0)
        if in_log != wanted["followers"]:
            offenders.append(f"{author}: counts {in_log} followers, there are {wanted}")
        told = run.evidence.facts.get(author, {})
        if {name: told.get(name) for name in wanted} != wanted:
            offenders.append(f"{author}: {told} is told, there are {wanted}")
    total = sum(len(outbox.members) for outbox in run.outboxes.values())
    return Finding("followers are counted right", f"{total:,} followers", offenders)


def at_rest(run: FeedRun) -> Finding:
    """In the end nothing is on its way, and everybody is where the delivery says."""
    offenders = [
        f"{author}: {sorted(outbox.on_the_way)} are on the way, the delivery is {delivery}"
        for author, outbox in run.outboxes.items()
        for delivery in [delivery_of(outbox)]
        if outbox.on_the_way
        or delivery.get("switching")
        or any(outbox.last(seq).get("pushing") for seq in outbox.posts)
    ]
    return Finding("nothing stays on its way", f"{len(run.outboxes)} outboxes", offenders)


def as_followed(run: FeedRun) -> Finding:
    """Users' own rows say of each author what the author's rows say."""
    offenders = []
    wanted = {
        (user, author): (row["follow"], not delivery_of(outbox).get("pushes", True))
        for author, outbox in run.outboxes.items()
        for user, row in outbox.members.items()
    }
    found = {
        (user, author): (row["follow"], row.get("pulled", False))
        for user, inbox in run.inboxes.items()
        for author, row in inbox.follows.items()
        if row.get("following", True)
    }
    offenders = [
        f"{user} of {author}: since and pulled are {found.get((user, author))} by the user's row, "
        f"{wanted.get((user, author))} by the author's"
        for user, author in wanted.keys() | found.keys()
        if wanted.get((user, author)) != found.get((user, author))
    ]
    return Finding("follows are what followers are", f"{len(wanted):,} follows", offenders)


def references(run: FeedRun) -> Finding:
    """Each reference is to a post that there is, none twice at a time; the ring has no holes."""
    offenders, total = [], 0
    for user, inbox in run.inboxes.items():
        total += len(inbox.numbers)
        offenders += [f"{user}: {post.text} stands there twice" for post in inbox.doubled]
        if inbox.numbers != list(range(len(inbox.numbers))):
            offenders.append(f"{user}: the references have the numbers {inbox.numbers}")
        offenders += [
            f"{user}: number {row['number']} is in slot {slot}"
            for slot, row in inbox.slots.items()
            if row["number"] % SLOTS != slot
        ]
    for _, _, key, row in run.user_log.rows:
        user, kind, *_ = key.split("/")
        if kind == "i" and row and run.post(PostId(*row["post"])) is None:
            offenders.append(f"{user}: refers to {row['post']}, which is no post")
    return Finding("references are to posts, once", f"{total:,} references", offenders)


def complete(run: FeedRun) -> Finding:
    """An inbox has, above its floor, every post that was pushed, and of nobody else."""
    offenders, total = [], 0
    for user, inbox in run.inboxes.items():
        found = {PostId(*row["post"]) for row in inbox.slots.values()}
        follows = {name for name, row in inbox.follows.items() if row.get("following", True)}
        strangers = {post.author for post in found} - follows
        offenders += [f"{user}: has posts of {author}" for author in strangers]
        wanted = {post for author in follows for post in pushed(run, inbox, author)}
        total += len(wanted)
        offenders += [f"{user}: lacks {post.text}" for post in wanted - found]
    return Finding("inboxes are complete", f"{total:,} posts for inboxes", offenders)


def pushed(run: FeedRun, inbox: Inbox, author: str) -> Iterator[PostId]:
    """The posts of an author that must be in an inbox."""
    follow, outbox = inbox.follows[author], run.outboxes.get(author, Outbox())
    if follow.get("pulled"):
        return
    for row in outbox.standing:
        is_above = inbox.floor is None or id_of(row).place < inbox.floor.place
        if row["seq"] > follow.get("upto", [0, 0])[1] and is_above:
            yield id_of(row)
