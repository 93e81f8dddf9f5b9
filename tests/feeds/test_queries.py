"""Questions about outboxes: what an answer holds, how far it is complete, and who may ask."""

from random import Random

import pytest

from streams.errors import Refused
from streams.feeds import queries
from streams.feeds.order import format_id, parse_id, place
from streams.ids import AUTHOR, SYSTEM
from streams.partitioning import partition_of
from tables.rows import PostId
from tests.feeds.scene import Scene
from tests.feeds.world import MAILBOXES, PARTITIONS

AUTHORS = [
    name
    for name in (f"a{number}" for number in range(40))
    if partition_of(AUTHOR + name, PARTITIONS) == 0
][:3]
ONE, TWO, THREE = AUTHORS


@pytest.fixture
def scene(tmp_path):
    with Scene(tmp_path, chunk=1) as scene:
        yield scene


def timeline(scene, last=None, limit=20, authors=AUTHORS):
    """Ids of the posts, and how far they are complete."""
    answer = scene.outbox(ONE, "timeline", authors=authors, last=last, limit=limit)
    posts = [PostId(row["ts"], row["seq"], row["from"]) for row in answer["posts"]]
    return posts, answer["reached"] and PostId(*answer["reached"])


def made(scene, seed, count):
    """Posts of several authors, many at one time, in the order of feeds."""
    random = Random(seed)
    ids = []
    for _ in range(count):
        author = random.choice(AUTHORS)
        scene.world.now += random.choice((0, 0, 0, 1))
        ids.append(scene.id_of(author, scene.post(author)))
    return sorted(ids, key=place)


@pytest.mark.parametrize("seed", range(5))
def test_a_timeline_goes_on_after_any_place_also_among_posts_of_one_time(scene, seed):
    ids = made(scene, seed, 40)
    assert timeline(scene, limit=40) == (ids, None)
    for number, last in enumerate(ids):
        assert timeline(scene, last, limit=40) == (ids[number + 1 :], None)
    for number, (ts, seq, _) in enumerate(ids):
        before = [post for post in ids if place(post) > place(PostId(ts, seq, "zzz"))]
        assert timeline(scene, PostId(ts, seq, "zzz"), limit=40) == (before, None), number
    assert timeline(scene, PostId(0, 1, ONE)) == ([], None)
    assert timeline(scene, PostId(2**50, 1, ONE), limit=40) == (ids, None)


def test_a_timeline_says_how_far_it_is_complete(scene):
    ids = made(scene, 7, 12)
    assert timeline(scene, limit=5) == (ids[:5], ids[4])
    assert timeline(scene, ids[4], limit=7) == (ids[5:], None)
    assert timeline(scene, limit=12) == (ids, None)
    mine = [post for post in ids if post.author == ONE]
    assert timeline(scene, authors=[ONE, ONE]) == (mine, None)
    assert timeline(scene, authors=[]) == ([], None)


def test_a_timeline_ends_where_the_answer_is_full(scene, monkeypatch):
    ids = [scene.id_of(ONE, scene.post(ONE, body="x" * 1_000)) for _ in range(5)][::-1]
    monkeypatch.setattr(queries, "MAX_ANSWER", 3_000)
    posts, reached = timeline(scene)
    assert (posts, reached) == (ids[:2], ids[1])
    assert timeline(scene, reached) == (ids[2:4], ids[3])
    # One post is always answered, however large.
    monkeypatch.setattr(queries, "MAX_ANSWER", 10)
    assert timeline(scene) == (ids[:1], ids[0])


def test_a_timeline_looks_only_so_far_for_posts_that_stand(scene, monkeypatch):
    ids = [scene.id_of(ONE, scene.post(ONE)) for _ in range(9)][::-1]
    for post in ids[:7]:
        scene.do("delete", ONE, seq=post.seq)
    monkeypatch.setattr(queries, "_MAX_EXAMINED", 4)
    assert timeline(scene) == ([], ids[3])
    assert timeline(scene, ids[3]) == (ids[7:8], ids[7])
    assert timeline(scene, ids[7]) == (ids[8:], None)


def test_what_is_deleted_or_still_being_pushed_is_not_answered(scene):
    scene.follow(ONE, *(f"u{number}" for number in range(9)))
    first, second = scene.post(ONE), scene.post(ONE)
    # A question waits behind one step of either push.
    wanted = [[ONE, first], [ONE, second], [ONE, 9], [TWO, 1]]
    assert scene.outbox(ONE, "posts", posts=wanted)["posts"] == [None] * 4
    assert timeline(scene)[0] == []
    scene.world.drain(MAILBOXES)
    scene.do("delete", ONE, seq=first)
    answer = scene.outbox(ONE, "posts", posts=wanted)["posts"]
    assert [row and row["seq"] for row in answer] == [None, second, None, None]
    assert [post.seq for post in timeline(scene)[0]] == [second]


def test_posts_are_answered_as_far_as_one_answer_holds_them(scene, monkeypatch):
    for _ in range(5):
        scene.post(ONE, body="x" * 1_000)
    monkeypatch.setattr(queries, "MAX_ANSWER", 3_000)
    wanted = [[ONE, seq] for seq in (5, 9, 1, 2, 3)]
    answer = scene.outbox(ONE, "posts", posts=wanted)["posts"]
    assert [row and row["seq"] for row in answer] == [5, None, 1]
    monkeypatch.setattr(queries, "MAX_ANSWER", 10)
    assert len(scene.outbox(ONE, "posts", posts=wanted)["posts"]) == 1


def test_only_trusted_producers_read_outboxes(scene):
    scene.post(ONE)
    for what in ("timeline", "posts"):
        with pytest.raises(Refused, match="only `system` reads outboxes"):
            scene.outbox(ONE, what, by=ONE)
    assert scene.outbox(ONE, "author", by="eva")["posts"] == 1


def test_outboxes_of_another_partition_are_not_asked_for(scene):
    here, there = ONE, next(
        name for name in ("b1", "b2", "b3", "b4") if partition_of(AUTHOR + name, PARTITIONS) == 1
    )  # fmt: skip
    for fields in ({"authors": [here, there]}, {"posts": [[here, 1], [there, 1]]}):
        query = {"type": "outbox", "by": SYSTEM, "what": "timeline", "mailbox": AUTHOR + here}
        reply = {"to": "test", "partition": 0, "ref": 1}
        scene.world.send({**query, "reply": reply, **fields})
        _, batch = scene.world.line(MAILBOXES, AUTHOR + here).decide(1)
        (letter,) = batch.dead_letters
        assert "belongs to another partition" in letter.error.message


def test_an_id_of_a_post_names_its_place():
    post = PostId(1_795_490_985_871, 17, "alice.b-c_d")
    assert format_id(post) == "1795490985871-17-alice.b-c_d"
    assert parse_id(format_id(post)) == post


@pytest.mark.parametrize(
    "text", ["", "17", "1-2", "1-2-", "1-2-a b", "x-2-ann", "1--ann", "-1-2-ann", "1-2-ann\n",
             "1" * 16 + "-2-ann", "1-2-" + "a" * 65, "\u0661-2-ann"]
)  # fmt: skip
def test_what_is_no_id_of_a_post_is_told(text):
    with pytest.raises(ValueError, match="a post's id is"):
        parse_id(text)
