"""Public mailboxes in tests of a gateway: an operator who publishes, and what clients were shown."""

import asyncio
import uuid
from typing import Any

from streams import commands
from streams.public.disturbance import Calm
from tables.rows import Reach
from tests.e2e.client import Client
from tests.gateway.conftest import House
from tests.gateway.fakes import until
from tests.records import new_id

NEWS = "public:news"
EVERYBODY = {"percent": 100, "users": []}


async def operator(house: House, user: str = "olga") -> Client:
    return await house.connect(user, claims={"role": "operator"})


async def publish(olga: Client, release: Any = EVERYBODY, **fields: Any) -> int:
    content = {"id": new_id(), "title": "News", "body": {"text": "hi"}, "release": release}
    answer = await olga.request("publish", mailbox=NEWS, **content | fields)
    assert answer["op"] == "published"
    return int(answer["publish"])


def shown(client: Client) -> list[int]:
    """The publishes that a client was shown for the first time, in order."""
    return [one["publish"] for one in client.delivered("notice", NEWS) if not one["again"]]


def repeated(client: Client) -> list[int]:
    """The publishes that a client was shown as repetitions, in order."""
    return [one["publish"] for one in client.delivered("notice", NEWS) if one["again"]]


async def quiet(house: House, *clients: Client) -> None:
    """Once everything that is on its way has arrived."""
    await until(lambda: house.gateway._touching.left == 0)
    await until(lambda: not any(user.looking for user in house.gateway._users))
    await until(lambda: house.gateway._spreads.left == 0)
    for client in clients:
        await client.request("ping")


def keep_calm(house: House, **calm: Any) -> None:
    """From here on users may be disturbed so far; without limits at any time."""
    house.gateway._touching._calm = Calm(**calm)


def look_again(house: House, name: str) -> None:
    """Have a user's wait be over."""
    user = house.gateway._users.get(name)
    house.gateway._touching._look_at(user, asyncio.get_running_loop().time())


def touches(house: House) -> list[commands.Touch]:
    return [one for one in house.pipeline.commands if isinstance(one, commands.Touch)]


async def board_of(olga: Client) -> list[dict[str, Any]]:
    (board,) = (await olga.request("board"))["mailboxes"]
    return list(board["publishes"])


def a_publish() -> commands.Publish:
    return commands.Publish(
        mailbox=NEWS, by="olga", id=str(uuid.uuid4()), title="t", body=b"1", release=Reach(100.0)
    )
