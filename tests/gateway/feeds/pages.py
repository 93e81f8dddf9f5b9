"""What a client does with feeds, and how pages are compared."""


async def follow(client, *names):
    for name in names:
        await client.request("follow", author=name)


async def all_pages(client, limit=7, between=lambda: None, **fields):
    found, last = [], {}
    while True:
        page = await client.request("feed", limit=limit, **fields, **last)
        found += page["posts"]
        if page["last_id"] is None:
            return found
        last = {"last_id": page["last_id"]}
        between()


async def shows_whatever_the_log_brings(house, client, *bodies):
    for _ in range(3):
        house.pipeline.go_on(1)
        posts = (await client.request("feed"))["posts"]
        assert [post["body"] for post in posts] == [*bodies]


def in_order(posts):
    return sorted(posts, key=lambda post: (-post[0], -post[1], post[2]))


def shown(posts):
    return [
        (post["ts"], post["seq"], post["author"], post["body"], post.get("state")) for post in posts
    ]
