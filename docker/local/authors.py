"""The demo's authors, and who follows them. They post now and then, as any Kafka producer may."""

import itertools
import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

Command = dict[str, object]

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "authors.demo.readcast")
EVERYBODY = ("alice", "bob", "carol", "dave", "erin")
PAUSE_SECONDS = (20, 60)


@dataclass(frozen=True, slots=True)
class Author:
    """Somebody who posts, one line a post; `live: text` is a post with that state."""

    name: str
    followers: tuple[str, ...]
    posted: str
    later: str = ""


AUTHORS = (
    Author(
        name="alice",
        followers=("alice", "bob", "carol"),
        posted="""
Release 12 is out, and nobody had to stay late. That is the news.
""",
    ),
    Author(
        name="bob",
        followers=("alice", "bob"),
        posted="""
The search page looks like my sketch now. The receipt it was drawn on has been framed.
I have descaled the coffee machine. You are welcome.
""",
    ),
    Author(
        name="bakery",
        followers=("alice", "carol", "erin"),
        posted="""
Rye with caraway from today on, Tuesdays and Fridays.
Yes, the oven is repaired. No, we don't want to talk about it.
Sourdough lesson on Saturday at eight. Bring a jar with a lid, and patience.
""",
        later="""
The last six cinnamon rolls. Five.
live: Watch the morning's loaves come out of the oven.
Day-old bread for half the price, from five.
""",
    ),
    Author(
        name="riverside",
        followers=("alice", "bob", "dave"),
        posted="""
The ferry runs again on Sundays, every twenty minutes from ten.
Walked from the old lock to the weir and back. Herons: 4. Dogs who wanted the herons: 7.
The first train over the new bridge is at 6:40 tomorrow. We'll be on it, with a thermos and two cameras.
replay: The first train over the new bridge, from the driver's cab.
""",
        later="""
The water is at 1.84 m and falling.
Kingfisher under the footbridge, left bank. Walk softly.
live: Raft race. The one with the piano is in front.
Somebody has lost a red boot. It waits on the jetty.
""",
    ),
    Author(
        name="observatory",
        followers=EVERYBODY,
        posted="""
The dome is open again after the storm. One panel is dented, the telescope is fine.
ended: The lunar eclipse, from first bite to last. Thank you for staying up with us.
Next week's talk: why the sky is dark at night, and why that took so long to explain.
replay: The whole night of the Perseids in eight minutes. Count them, we got to 212.
live: Saturn is up and the clouds have gone. Ask us anything until midnight.
""",
        later="""
live: Jupiter and all four moons, through the big telescope.
Clouds. We make tea.
live: A satellite just crossed the picture. Did you see it?
The cat has found the warm cupboard of the camera computer.
""",
    ),
)


def first_posts() -> Iterator[Command]:
    """Who follows whom, and what has been posted; the same each time."""
    for author in AUTHORS:
        for follower in author.followers:
            yield _command(author, "follow", follower, id=_id(author, follower))
    newest_first = itertools.zip_longest(*(lines(author.posted)[::-1] for author in AUTHORS))
    for posts in reversed(list(newest_first)):
        for author, line in zip(AUTHORS, posts, strict=True):
            if line:
                yield _post(author, line, _id(author, line))


def later_posts() -> Iterator[Command]:
    """One post after another, without end; waits in between."""
    turns = [(author, line) for author in AUTHORS for line in lines(author.later)]
    while True:
        random.shuffle(turns)
        for author, line in turns:
            time.sleep(random.uniform(*PAUSE_SECONDS))
            yield _post(author, line, str(uuid.uuid4()))


def lines(text: str) -> list[str]:
    """One for each post."""
    return text.strip().splitlines()


def _post(author: Author, line: str, post_id: str) -> Command:
    state, mark, text = line.partition(": ")
    if not mark or state not in ("live", "replay", "ended"):
        state, text = "", line
    return _command(
        author, "post", author.name, id=post_id, body={"text": text}, state=state or None
    )


def _command(author: Author, kind: str, by: str, **fields: object) -> Command:
    return {"type": kind, "mailbox": f"author:{author.name}", "by": by, **fields}


def _id(author: Author, name: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{author.name}/{name}"))
