"""What is announced of whom to forward to."""

import asyncio

from gateway.routes import Routes
from streams import commands
from streams.topics import Topics


class Announcements:
    """A producer that keeps what is announced."""

    def __init__(self):
        self.routes = set()

    def send(self, _topic, value, key, _partition):
        command = commands.decode_user_command(key, value)
        (self.routes.update if command.wanted else self.routes.difference_update)(command.users)
        stored = asyncio.get_running_loop().create_future()
        stored.set_result(None)
        return stored


async def test_who_leaves_while_a_lease_has_lapsed_is_forwarded_no_more():
    producer, topics = Announcements(), Topics(*(f"test-{field}" for field in Topics._fields))
    routes = Routes(producer, topics, "here", 1, 5.0)
    routes.leased()
    for name in ("alice", "bob", "carol"):
        routes.want(name)
    await routes.announce_all()
    routes.release("bob")
    routes.start_over()
    routes.release("carol")
    await routes.announce_all()
    assert producer.routes == {"alice"}


async def test_routes_that_nobody_waits_for_any_more_are_announced_to_the_next_who_asks():
    producer = Announcements()
    topics = Topics(*(f"test-{field}" for field in Topics._fields))
    routes = Routes(producer, topics, "here", 1, 5.0)
    routes.want("alice")
    routes.want("bob")
    gone = asyncio.ensure_future(routes.announce(topics.user_commands, 0))
    await asyncio.sleep(0)
    following = asyncio.ensure_future(routes.announce(topics.user_commands, 0))
    await asyncio.sleep(0)
    gone.cancel()
    routes.leased()
    await following
    assert producer.routes == {"alice", "bob"}
