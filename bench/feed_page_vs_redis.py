"""p50 of a page of 20 through the gateway, against the same page read from Redis as Stream-Framework does.

Both hold the same posts for the same readers, who follow 200 authors. The gateway answers over a
WebSocket with the page as JSON, from memory; the peer's client asks Redis itself, with nothing between, and
decodes the JSON of each post. Both clients are bare sockets in one process, and ask in turn, one page
at a time; each page must be the same in both. Beside it the copies of one post to 1,000,000 followers.
"""

import re
import statistics
from collections.abc import Iterator

import orjson
import uvloop
from rich.progress import Progress, TaskID

from bench.feed_pages import PAGE, READERS, Feeds, PageError, feeds, readers
from bench.feeds import users
from bench.figures import Figure
from bench.processes import free_port
from bench.redis_feeds import Activity, RedisReader, connect, entries, start_redis, store
from bench.topics import CHANGELOG

ROUNDS = 10
FOLLOWERS = 1_000_000
POST_KEY = re.compile(rb"author:[^/]+/m/[0-9]{16}")


def measure(progress: Progress) -> Figure:
    task = progress.add_task("pages", total=(1 + ROUNDS) * READERS)
    with feeds("hybrid", progress) as served:
        port = free_port()
        with start_redis(served.broker, port):
            found = uvloop.run(compare(served, port, progress, task))
    return found


async def compare(served: Feeds, port: int, progress: Progress, task: TaskID) -> Figure:
    socket = await connect(port)
    posts = list(activities(served))
    await store(socket, users(READERS), posts)
    peer = RedisReader(socket, PAGE)
    pairs: list[tuple[float, float]] = []
    crowd = await readers(served.port)
    for number in range((1 + ROUNDS) * READERS):
        reader, user = crowd[number % READERS], f"u{number % READERS}"
        if number % 2:
            (ours, page), (theirs, other) = await reader.page(), await peer.page(user)
        else:
            (theirs, other), (ours, page) = await peer.page(user), await reader.page()
        if [post["post"] for post in page] != [post["post"] for post in other]:
            raise PageError(f"the pages of {user} differ")
        # The first page of each reader is asked of the agents: another figure has it.
        if number >= READERS:
            pairs.append((ours, theirs))
        progress.advance(task)
    for reader in crowd:
        reader.close()
    copies = await redis_copies(served, posts[-1], port)
    return figure(pairs, copies)


def activities(served: Feeds) -> Iterator[Activity]:
    """All posts as the gateway shows them, oldest first."""
    rows = [
        orjson.loads(value)
        for key, value in served.broker.topics.read(CHANGELOG)
        if POST_KEY.fullmatch(key)
    ]
    # Newest first is (-ts, -seq, author), so that is what is turned round.
    rows.sort(key=lambda row: (-row["ts"], -row["seq"], row["from"]), reverse=True)
    for row in rows:
        post = {"post": f"{row['ts']}-{row['seq']}-{row['from']}", "author": row["from"]}
        yield Activity(
            post["post"], orjson.dumps({**post, **{k: row[k] for k in ("seq", "ts", "body")}})
        )


async def redis_copies(served: Feeds, post: Activity, port: int) -> int:
    """What Redis holds of one post with FOLLOWERS followers: itself, and an entry for each of them."""
    socket = await connect(port)
    followers = [f"follower{number}" for number in range(FOLLOWERS)]
    await store(socket, followers, [post])
    copies = 1 + await entries(socket, followers)
    socket.close()
    return copies


def figure(pairs: list[tuple[float, float]], copies: int) -> Figure:
    ours, theirs = ([1000 * seconds for seconds in side] for side in zip(*pairs, strict=True))
    return Figure(
        round(statistics.median(ours), 3),
        "ms",
        round(statistics.median(theirs), 3),
        {
            "peer_name": "Stream-Framework's way in Redis",
            "paired_ratio": round(statistics.median(one / other for one, other in pairs), 3),
            "p99": round(statistics.quantiles(ours, n=100)[98], 3),
            "peer_p99": round(statistics.quantiles(theirs, n=100)[98], 3),
            "copies_at_1000000_followers": 1,
            "peer_copies_at_1000000_followers": copies,
        },
    )
