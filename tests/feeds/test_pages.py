"""Pages against a model that sorts all posts, whatever is pushed or pulled and however far that is."""

import asyncio
from random import Random

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.feeds import outbox
from streams.feeds.limits import FeedLimits
from tests.feeds.commands import DAY, READERS, Actors
from tests.feeds.model import Model
from tests.feeds.world import MAILBOXES, PARTITIONS, USERS, World
from tests.rules.commands import uuid_of

some = settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
modes = st.sampled_from(["hybrid", "pull", "push"])


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(outbox, "BACKFILL", 3)


def limits(mode):
    return FeedLimits(mode=mode, threshold=3, idle_days=2, partitions=2, inbox=6, chunk=2)


class Play:
    """A world, and a model that takes the same commands as they are decided."""

    def __init__(self, folder, mode, seed):
        self.random = Random(seed)
        self.actors = Actors(self.random)
        self.model = Model()
        self.world = World(folder, limits(mode), self.decided)

    def decided(self, record):
        command = orjson.loads(record.value)
        if "mailbox" in command and "users" not in command:
            self.model.take(command, record.timestamp)

    def step(self):
        world, random = self.world, self.random
        world.now += random.choice((0, 1, 1, 1_000, 60_000, DAY // 2))
        world.send(self.actors.command())
        if random.random() < 0.1 and world.effects:
            world.repeat(random.randrange(len(world.effects)))
        for _ in range(random.choice((0, 0, 0, 1, 5))):
            lines = world.lines[random.choice((MAILBOXES, USERS))]
            world.work(random.choice(lines), random.choice((1, 2, 5)))

    def visible(self, user):
        """What a user must be shown from here on, as far as it stands till the end."""
        feed = self.model.feed(user)
        return {post[:3] for post in feed if not self.world.is_pushing(*post[1:3])}

    def visit(self, user):
        """All pages of a user, while everything goes on between them."""
        return [post[:3] for post in self.feed(user, between=self.step)]

    def feed(self, user, between=lambda: None):
        """All pages of a user, as (ts, seq, author, body, state)."""
        return [shown(row) for row in asyncio.run(self._read(user, between))]

    async def _read(self, user, between):
        last, rows = None, []
        while True:
            page = await self.world.page(user, last, self.random.choice((1, 2, 5, 50)))
            rows += page.posts
            last = page.last
            if last is None:
                return rows
            between()


def shown(row):
    body = orjson.loads(bytes(row.body))
    return row.ts, row.seq, row.sender, body, row.state or None


@some
@given(modes, st.integers(0, 2**32), st.integers(1, 150))
def test_all_pages_are_the_sorted_posts_while_effects_are_on_their_way(tmp_path, mode, seed, steps):
    play = Play(tmp_path, mode, seed)
    with play.world as world:
        for number in range(steps):
            play.step()
            if number % 25 == 24 or number == steps - 1:
                world.drain(MAILBOXES)
                for user in play.random.sample(READERS, 2):
                    assert play.feed(user) == play.model.feed(user)
        world.drain(MAILBOXES, USERS)
        for user in READERS:
            assert play.feed(user) == play.model.feed(user)


@some
@given(modes, st.integers(0, 2**32), st.integers(1, 60))
def test_a_visit_misses_and_doubles_nothing_while_everything_goes_on(tmp_path, mode, seed, steps):
    play = Play(tmp_path, mode, seed)
    with play.world:
        for _ in range(steps):
            play.step()
            if play.random.random() < 0.3:
                user = play.random.choice(READERS)
                before = play.visible(user)
                visited = play.visit(user)
                assert visited == sorted(
                    set(visited), key=lambda post: (-post[0], -post[1], post[2])
                )
                assert before & play.visible(user) <= set(visited)


async def test_no_post_is_missing_when_the_brokers_time_goes_back(tmp_path):
    with World(tmp_path, FeedLimits(mode="pull", partitions=PARTITIONS)) as world:
        common = {"mailbox": "author:ann", "id": uuid_of(1)}
        world.send({"type": "follow", **common, "by": "eva"})
        for number in (2, 3):
            post = {"type": "post", "mailbox": "author:ann", "by": "ann", "body": number}
            world.send({**post, "id": uuid_of(number)})
            world.now -= 5
        world.drain(MAILBOXES, USERS)
        found, last = [], None
        while True:
            page = await world.page("eva", last, 1)
            found += [row.seq for row in page.posts]
            last = page.last
            if last is None:
                break
        assert sorted(found) == [1, 2]
