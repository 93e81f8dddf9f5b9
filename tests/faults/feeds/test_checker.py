"""The checker sees each kind of damage, and takes nothing for damage that is none. Nothing here needs a broker."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.checker import Raw, Record, Report
from tests.faults.feeds.checker import check
from tests.faults.feeds.evidence import Act, FeedEvidence, Receipt, Shown, Visit

ANN = "author:ann"
ONE, TWO, THREE, FOUR = (
    [1_000, 1, "ann"],
    [2_000, 2, "ann"],
    [7_000, 3, "ann"],
    [11_000, 4, "ann"],
)


class Story:
    """A small healthy run, to be damaged. Eva follows ann, who posts four times; fay follows only for a while.

    The second command of the same post changes nothing. The third post is pushed in chunks. Each command has its
    time by its offset, in seconds, and is answered 0.1 s later.
    """

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = [
            command("follow", by="eva"),
            command("post", id="one", body=1, state="live"),
            command("post", id="two", body=2, state=None),
            command("post", id="two", body=2, state=None),
            command("edit", seq=1, body=11),
            command("delete", seq=2),
            command("mode", by="system", mode="push"),
            command("post", id="three", body=3, state=None),
            {"type": "push", "mailbox": ANN, "by": "system", "seq": 3, "after": "eva"},
            command("follow", by="fay"),
            command("unfollow", by="fay"),
            command("post", id="four", body=4, state=None),
        ]
        self.rows: list[tuple[str, Any]] = [
            ("u/eva", {"at": [0, 0], "joined": 0, "follow": 0}),
            ("s", state([0, 1], 1)),
            post([1, 0], ONE, "one", 1, state="live"),
            post([2, 0], TWO, "two", 2),
            post([4, 0], ONE, "one", 11, state="live", edited=4_000),
            post([5, 0], TWO, "two", None, recalled=2, recalled_by="ann"),
            ("s", state([6, 0], 1, mode="push")),
            ("p/0000000000000003", {"at": [7, 0], "after": "eva"}),
            post([7, 1], THREE, "three", 3, pushing=True),
            ("p/0000000000000003", removed([8, 0])),
            post([8, 1], THREE, "three", 3),
            ("u/fay", {"at": [9, 0], "joined": 3, "follow": 9}),
            ("s", state([9, 1], 2, mode="push")),
            ("u/fay", removed([10, 0])),
            ("s", state([10, 1], 1, mode="push")),
            post([11, 0], FOUR, "four", 4),
        ]
        self.user_commands: list[dict[str, Any]] = [
            effect("followed", "eva", src=0, follow=0),
            effect("pushed", "eva", ts=1_000, seq=1),
            effect("pushed", "eva", ts=2_000, seq=2),
            effect("pushed", "eva", ts=7_000, seq=3),
            effect("followed", "fay", src=9, follow=9),
            effect("unfollowed", "fay", src=10),
            effect("pushed", "eva", ts=11_000, seq=4),
        ]
        self.user_rows: list[tuple[str, Any]] = [
            ("eva/f/ann", {"at": [0, 0], "src": 0, "follow": 0}),
            reference([1, 0], 0, ONE),
            reference([2, 0], 1, TWO),
            reference([3, 0], 2, THREE),
            ("fay/f/ann", {"at": [4, 0], "src": 9, "follow": 9, "upto": [1_000, 1]}),
            ("fay/f/ann", {"at": [5, 0], "src": 10, "following": False}),
            reference([6, 0], 3, FOUR),
        ]
        edited = shown(ONE, 11, "live")
        self.early = Visit("eva", None, 4_500, True, 4_900, [shown(TWO, 2), edited])
        self.visit = Visit(
            "eva", None, 12_000, True, 12_500, [shown(FOUR, 4), shown(THREE, 3), edited]
        )
        self.of_ann = Visit("gil", "ann", 12_000, False, 12_500, list(self.visit.shown))
        self.of_fay = Visit("fay", None, 12_000, True, 12_500)
        self.evidence = FeedEvidence(
            acts=[
                Act(one["type"], ANN, known_by(one), 1_000 * offset, 1_000 * offset + 100)
                for offset, one in enumerate(self.commands)
                if one["type"] != "push" and offset != 3
            ],
            visits=[self.early, self.visit, self.of_ann, self.of_fay],
            final={"eva": list(self.visit.shown), "fay": []},
            facts={"ann": {"followers": 1, "posts": 4}},
            committed={("mailbox-commands", 0): 12},
            ends={("mailbox-commands", 0): 12},
            back_seconds=[3.0],
        )
        self.act("one").receipts.add(Receipt("1000-1-ann", 1, 1_000))

    def act(self, name: str) -> Act:
        return next(act for act in self.evidence.acts if act.fields.get("id") == name)

    def row(self, key: str) -> Any:
        """The last row under a key."""
        return [row for name, row in self.rows if name == key][-1]

    def user_row(self, key: str) -> Any:
        return [row for name, row in self.user_rows if name == key][-1]

    def check(self) -> Report:
        raw = Raw(
            records((ANN, one) for one in self.commands),
            records((f"{ANN}/{key}", row) for key, row in self.rows),
            records((one["mailbox"], one) for one in self.user_commands),
            records(iter(self.user_rows)),
        )
        return check(raw, self.evidence)


def command(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "mailbox": ANN, "by": "ann", "id": f"c-{kind}", **fields}


def known_by(one: dict[str, Any]) -> dict[str, Any]:
    """The fields by which a client's act is known in the log."""
    names = {"post": ("id",), "edit": ("seq", "body"), "delete": ("seq",), "mode": ("mode",)}
    return {name: one[name] for name in names.get(one["type"], ("by",))}


def effect(kind: str, user: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "mailbox": ANN, "by": "system", "users": [user], **fields}


def state(at: list[int], members: int, **delivery: Any) -> dict[str, Any]:
    return {"at": at, "epoch": "e", "owner": "ann", "members": members, "delivery": delivery}


def post(at: list[int], place: list[Any], name: str, body: Any, **more: Any) -> tuple[str, Any]:
    ts, seq, author = place
    row = {"at": at, "seq": seq, "id": name, "from": author, "ts": ts, **more}
    return f"m/{seq:016d}", row | ({} if body is None else {"body": body})


def reference(at: list[int], number: int, place: list[Any]) -> tuple[str, Any]:
    return f"eva/i/{number:04d}", {"at": at, "number": number, "post": place}


def removed(at: list[int]) -> bytes:
    """A row that is none any more: its position, for the header."""
    return f"{at[0]},{at[1]}".encode()


def shown(place: list[Any], body: Any, state: str | None = None) -> Shown:
    ts, seq, author = place
    return Shown(f"{ts}-{seq}-{author}", author, seq, ts, body, state)


def records(pairs: Any) -> list[Record]:
    return [record(offset, key.encode(), value) for offset, (key, value) in enumerate(pairs)]


def record(offset: int, key: bytes, value: Any) -> Record:
    if isinstance(value, bytes):
        return Record(0, offset, key, None, [("at", value)], 1_000 * offset)
    return Record(0, offset, key, json.dumps(value).encode(), (), 1_000 * offset)


def test_a_healthy_run_is_clean():
    report = Story().check()
    assert report.clean, str(report)


# What is no damage


def late_rows_that_were_written_again(story: Story) -> None:
    story.rows += [
        post([1, 0], ONE, "one", 1, state="live"),
        post([11, 1], ONE, "one", 11, state="live", edited=4_000),
    ]


def visit_began_before_the_answer(story: Story) -> None:
    story.visit.began = 11_050
    del story.visit.shown[0]


def answer_never_came(story: Story) -> None:
    story.act("four").done = None
    del story.visit.shown[0], story.of_ann.shown[0]


def post_was_on_its_way(story: Story) -> None:
    story.visit.began, story.visit.ended = 7_500, 7_900
    del story.visit.shown[:2]


def deleted_meanwhile(story: Story) -> None:
    story.early.ended = 5_050
    del story.early.shown[0]


def deletion_was_not_answered_yet(story: Story) -> None:
    story.early.began, story.early.ended = 5_050, 5_090


def edited_meanwhile(story: Story) -> None:
    story.early.began = 4_050
    story.early.shown[1] = shown(ONE, 1, "live")


def followed_meanwhile(story: Story) -> None:
    story.of_fay.began, story.of_fay.ended = 9_050, 9_900


def posts_of_somebody_followed_meanwhile(story: Story) -> None:
    followed_meanwhile(story)
    story.of_fay.shown = story.visit.shown[1:]


def posts_of_somebody_unfollowed_meanwhile(story: Story) -> None:
    story.of_fay.began, story.of_fay.ended = 10_050, 10_500
    story.of_fay.shown = story.visit.shown[1:]


def visit_did_not_wait_for_its_gateway(story: Story) -> None:
    story.visit.waits = story.of_fay.waits = False
    story.visit.shown = [shown(THREE, 3), shown(TWO, 2), shown(ONE, 1, "live")]
    story.of_fay.shown = story.visit.shown[:1]


def posts_below_the_floor_are_gone_from_the_inbox(story: Story) -> None:
    del story.user_rows[1]
    for number, (_, row) in enumerate(story.user_rows[1:3]):
        row["number"] = number
    story.user_rows[1:3] = [
        (f"eva/i/{number:04d}", row) for number, (_, row) in enumerate(story.user_rows[1:3])
    ]
    story.user_rows[-1] = ("eva/i/0002", {**story.user_rows[-1][1], "number": 2, "floor": ONE})


@pytest.mark.parametrize(
    "variant",
    [
        late_rows_that_were_written_again,
        visit_began_before_the_answer,
        answer_never_came,
        post_was_on_its_way,
        deleted_meanwhile,
        deletion_was_not_answered_yet,
        edited_meanwhile,
        followed_meanwhile,
        posts_of_somebody_followed_meanwhile,
        posts_of_somebody_unfollowed_meanwhile,
        visit_did_not_wait_for_its_gateway,
        posts_below_the_floor_are_gone_from_the_inbox,
    ],
    ids=lambda variant: variant.__name__,
)
def test_what_may_be_is_no_damage(variant: Callable[[Story], None]):
    story = Story()
    variant(story)
    report = story.check()
    assert report.clean, str(report)


# Damage, each with the finding that has to see it

FOLLOW = "rows follow commands"
LAST = "the last row of a key is the one that holds"
DENSE = "seqs are dense from 1"
THERE = "what was accepted is there, once"
SAY = "outboxes are what the commands say"
COUNTED = "followers are counted right"
REST = "nothing stays on its way"
FOLLOWS = "follows are what followers are"
REFERENCES = "references are to posts, once"
COMPLETE = "inboxes are complete"
ORDER = "visits are in order, nothing twice"
MISS = "visits miss nothing"
ELSE = "visits show nothing else"
CURRENT = "visits show posts as they are"
END = "in the end feeds are the sorted posts"
COMMITTED = "all commands are committed"
BACK = "a restarted worker decides within 30 s"
WRONG = "nothing else went wrong"

DAMAGES: list[tuple[str, Callable[[Story], None]]] = []


def damage(finding: str) -> Callable[[Callable[[Story], None]], Callable[[Story], None]]:
    def noted(done: Callable[[Story], None]) -> Callable[[Story], None]:
        DAMAGES.append((finding, done))
        return done

    return noted


@damage(FOLLOW)
def row_of_no_command(story: Story) -> None:
    story.rows.append(post([77, 0], [77_000, 5, "ann"], "five", 5))


@damage(FOLLOW)
def row_of_a_user_whom_the_command_does_not_name(story: Story) -> None:
    story.user_commands[-1]["users"] = ["fay"]


@damage(LAST)
def a_late_row_is_the_last(story: Story) -> None:
    story.rows.append(post([1, 0], ONE, "one", 1, state="live"))


@damage(LAST)
def a_late_reference_is_the_last(story: Story) -> None:
    story.user_rows.append(("eva/i/0001", reference([0, 1], 0, ONE)[1]))


@damage(DENSE)
def skip_a_seq(story: Story) -> None:
    story.rows[-1] = post([11, 0], [11_000, 5, "ann"], "four", 4)


@damage(DENSE)
def change_a_time(story: Story) -> None:
    story.rows[4] = post([4, 0], [4_000, 1, "ann"], "one", 11, state="live", edited=4_000)


@damage(THERE)
def lose_a_post(story: Story) -> None:
    del story.rows[-1]


@damage(THERE)
def store_twice(story: Story) -> None:
    story.rows.insert(4, post([3, 0], [3_000, 3, "ann"], "two", 2))


@damage(THERE)
def invent_a_post(story: Story) -> None:
    story.rows.append(post([11, 1], [11_000, 5, "ann"], "five", 5))


@damage(THERE)
def receipt_differs(story: Story) -> None:
    story.act("one").receipts.add(Receipt("1000-2-ann", 2, 1_000))


@damage(THERE)
def answered_without_a_command(story: Story) -> None:
    story.evidence.acts.append(Act("unfollow", ANN, {"by": "eva"}, 100, 200))


@damage(SAY)
def change_a_body(story: Story) -> None:
    story.row("m/0000000000000004")["body"] = 5


@damage(SAY)
def lose_an_edit(story: Story) -> None:
    del story.rows[4]


@damage(SAY)
def undo_a_deletion(story: Story) -> None:
    story.rows.append(post([11, 1], TWO, "two", 2))


@damage(SAY)
def lose_a_follower(story: Story) -> None:
    del story.rows[0]


@damage(SAY)
def forget_the_mode(story: Story) -> None:
    story.row("s")["delivery"] = {}


@damage(COUNTED)
def count_wrong(story: Story) -> None:
    story.row("s")["members"] = 2


@damage(COUNTED)
def tell_another_count(story: Story) -> None:
    story.evidence.facts["ann"]["followers"] = 2


@damage(COUNTED)
def tell_too_few_posts(story: Story) -> None:
    story.evidence.facts["ann"]["posts"] = 3


@damage(REST)
def post_stays_on_its_way(story: Story) -> None:
    story.row("m/0000000000000003")["pushing"] = True


@damage(REST)
def pushing_goes_on_for_ever(story: Story) -> None:
    del story.rows[9]


@damage(REST)
def switching_goes_on_for_ever(story: Story) -> None:
    story.row("s")["delivery"]["switching"] = "push"


@damage(FOLLOWS)
def user_does_not_know_that_they_follow(story: Story) -> None:
    story.user_row("eva/f/ann")["following"] = False


@damage(FOLLOWS)
def user_believes_to_follow(story: Story) -> None:
    del story.user_rows[5]


@damage(FOLLOWS)
def user_pulls_what_is_pushed(story: Story) -> None:
    story.user_row("eva/f/ann")["pulled"] = True


@damage(FOLLOWS)
def user_follows_since_another_command(story: Story) -> None:
    story.user_row("eva/f/ann")["follow"] = 1


@damage(REFERENCES)
def refer_to_no_post(story: Story) -> None:
    story.user_row("eva/i/0003")["post"] = [11_001, 4, "ann"]


@damage(REFERENCES)
def refer_twice(story: Story) -> None:
    story.user_rows.append(reference([6, 1], 4, FOUR))


@damage(REFERENCES)
def refer_twice_for_a_while(story: Story) -> None:
    story.user_rows[4:4] = [reference([3, 1], 4, THREE), ("eva/i/0004", removed([3, 2]))]


@damage(REFERENCES)
def skip_a_number(story: Story) -> None:
    story.user_rows[-1] = reference([6, 0], 4, FOUR)


@damage(REFERENCES)
def take_another_slot(story: Story) -> None:
    story.user_rows[-1] = ("eva/i/0004", story.user_rows[-1][1])


@damage(COMPLETE)
def inbox_lacks_one(story: Story) -> None:
    del story.user_rows[-1]


@damage(COMPLETE)
def inbox_keeps_posts_of_who_is_not_followed(story: Story) -> None:
    story.user_commands.append(effect("pushed", "fay", ts=7_000, seq=3))
    story.user_rows.append(("fay/i/0000", reference([7, 0], 0, THREE)[1]))


@damage(ORDER)
def show_one_twice(story: Story) -> None:
    story.visit.shown.append(story.visit.shown[-1])


@damage(ORDER)
def show_them_swapped(story: Story) -> None:
    story.visit.shown.reverse()


@damage(MISS)
def miss_one(story: Story) -> None:
    del story.visit.shown[1]


@damage(MISS)
def miss_the_oldest(story: Story) -> None:
    del story.visit.shown[-1]


@damage(MISS)
def miss_one_on_the_page_of_the_author(story: Story) -> None:
    del story.of_ann.shown[0]


@damage(MISS)
def miss_one_that_is_deleted_later(story: Story) -> None:
    del story.early.shown[0]


@damage(MISS)
def miss_one_of_somebody_unfollowed_later(story: Story) -> None:
    story.of_fay.began, story.of_fay.ended = 9_500, 9_900


@damage(MISS)
def never_reach_the_end(story: Story) -> None:
    story.visit.ended = None


@damage(ELSE)
def show_somebody_else(story: Story) -> None:
    story.of_fay.shown.append(shown(FOUR, 4))


@damage(ELSE)
def show_somebody_who_never_was_followed(story: Story) -> None:
    story.evidence.visits.append(Visit("gil", None, 12_000, False, 12_500, [shown(FOUR, 4)]))


@damage(ELSE)
def show_somebody_else_on_the_page_of_an_author(story: Story) -> None:
    story.of_ann.author = "bob"


@damage(ELSE)
def show_what_is_deleted(story: Story) -> None:
    story.visit.shown.insert(2, shown(TWO, 2))


@damage(ELSE)
def show_what_is_still_on_its_way(story: Story) -> None:
    story.visit.began, story.visit.ended = 7_500, 7_900
    del story.visit.shown[0]


@damage(ELSE)
def show_what_is_no_post(story: Story) -> None:
    story.visit.shown.insert(0, shown([11_001, 4, "ann"], 4))


@damage(ELSE)
def show_it_under_another_id(story: Story) -> None:
    story.visit.shown[0] = story.visit.shown[0]._replace(seq=5)


@damage(CURRENT)
def show_what_it_was_before(story: Story) -> None:
    story.visit.shown[-1] = shown(ONE, 1, "live")


@damage(CURRENT)
def show_what_it_never_was(story: Story) -> None:
    story.visit.waits = False
    story.visit.shown[-1] = shown(ONE, 12, "live")


@damage(CURRENT)
def show_another_state(story: Story) -> None:
    story.visit.shown[-1] = shown(ONE, 11, "ended")


@damage(END)
def find_too_little(story: Story) -> None:
    del story.evidence.final["eva"][-1]


@damage(END)
def find_too_much(story: Story) -> None:
    story.evidence.final["fay"].append(shown(FOUR, 4))


@damage(COMMITTED)
def commit_stands_still(story: Story) -> None:
    story.evidence.committed["mailbox-commands", 0] = 11


@damage(BACK)
def worker_is_late(story: Story) -> None:
    story.evidence.back_seconds.append(31.0)


@damage(WRONG)
def something_else_is_wrong(story: Story) -> None:
    story.evidence.problems.append("a worker ended")


@pytest.mark.parametrize(("finding", "done"), DAMAGES, ids=[done.__name__ for _, done in DAMAGES])
def test_damage_is_seen(finding: str, done: Callable[[Story], None]):
    story = Story()
    done(story)
    seen = [one.name for one in story.check().findings if not one.holds]
    assert finding in seen
