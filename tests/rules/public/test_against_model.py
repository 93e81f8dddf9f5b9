"""Public mailboxes from the operator's command to the user's screen, held against the naive model."""

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.errors import Refused
from streams.public.board import Board
from streams.public.disturbance import Calm, day_of, parse_quiet, plan
from tests.rules.model import No
from tests.rules.public.commands import CLAIMS, DAY, HOUR, NEWS, USERS, Desk, opened
from tests.rules.public.cursors import UserLog
from tests.rules.public.model import Office
from tests.rules.rules import Rules

QUIET = parse_quiet("22:00-08:00")
OFFSETS = {"ann": 0, "bob": 480, "cid": -300, "dan": 330, "eva": 0, "fay": 0}
DEVICES = 2

seeds = st.integers(0, 2**32)


def verdict(take, command, now):
    try:
        return take(command, now)
    except (No, Refused) as refused:
        return str(refused.code)


class World:
    """Operators, two gateways that may lag behind, users with two devices, and workers that restart."""

    def __init__(self, random):
        self.random = random
        self.now = 20_000 * DAY + random.randrange(DAY)
        self.desk, self.office, self.rules = Desk(random), Office(), Rules()
        self.log = UserLog(2)
        self.boards = [Board() for _ in range(DEVICES)]
        self.known = {}
        self.calm = Calm(QUIET, random.choice((None, 1, 2)))
        self.came = set()
        self.shown = Counter()
        self.opened = {}

    def run(self, steps):
        acts = [self.operate] * 4 + [self.look] * 6 + [self.open, self.restart, self.wait]
        for _ in range(steps):
            self.random.choice(acts)()

    def settle(self):
        """All gateways catch up, and all users who came at all look until nothing waits."""
        for _ in range(40):
            self.now += DAY // 4
            for user in sorted(self.came):
                self.look(user, current=True)

    def wait(self):
        self.now += self.random.choice((1, HOUR, 7 * HOUR, DAY))

    def operate(self):
        command = self.desk.command(self.now)
        expected = verdict(self.office.do, command, self.now)
        assert verdict(self.rules.do, command, self.now) == expected
        if isinstance(expected, dict) and "duplicate" not in expected:
            self.desk.accepted(command)

    def look(self, user=None, *, current=False):
        random = self.random
        user = user or random.choice(USERS)
        device = random.randrange(DEVICES)
        board = self.boards[device]
        self.came.add(user)
        self.catch_up(board, whole=current or random.random() < 0.5)
        cursors = self.log.of(user)
        if current or random.random() < 0.7:
            self.known[user, device] = cursors.cursor(user, NEWS)
        known = self.known.get((user, device)) or cursors.cursor("nobody", NEWS)
        local = self.now + OFFSETS[user] * 60_000
        today = known.today if known.day == day_of(local) else 0
        waiting = board.waiting(known.deferred, self.now)
        coming = board.coming(user, CLAIMS[user], known.read, self.now)
        self.send(user, plan(waiting, coming, board.head, local, self.calm, today), local)

    def catch_up(self, board, *, whole):
        head = self.rules.view.head(NEWS).seq
        upto = head if whole else self.random.randint(board.head, head)
        for seq in range(board.head + 1, upto + 1):
            board.take(self.rules.view.entry(NEWS, seq))

    def send(self, user, plan, local):
        touch = {
            "type": "touch",
            "user": user,
            "by": user,
            "mailbox": NEWS,
            "upto": plan.upto,
            "day": day_of(local),
            "touched": plan.touched,
            "deferred": plan.deferred,
            "dropped": plan.dropped,
        }
        urgent = {publish for publish, _, priority in plan.touched if priority == "urgent"}
        for _ in range(self.random.choice((1, 1, 1, 2))):
            touched = self.log.of(user).do(touch, self.now)["touched"]
            assert touched in ((), self.log.of(user).cursor(user, NEWS).touched)
            for publish in touched:
                self.show(user, publish, local, is_urgent=publish in urgent)

    def show(self, user, publish, local, *, is_urgent):
        thing = self.office.things[publish]
        assert thing.reaches(user, CLAIMS[user]) is not None
        assert is_urgent is (thing.command["priority"] == "urgent")
        assert is_urgent or 8 <= local % DAY / HOUR < 22
        self.shown[user, publish] += 1

    def open(self):
        user = self.random.choice(USERS)
        publish = self.random.choice(list(self.office.things) or [1])
        if publish <= self.log.of(user).cursor(user, NEWS).read:
            thing = self.office.things.get(publish)
            entry = thing and thing.reaches(user, CLAIMS[user])
            if entry is not None and entry > self.log.of(user).cursor(user, NEWS).read:
                return
            for _ in range(self.random.choice((1, 2))):
                self.log.of(user).do(opened(user, publish) | {"entry": entry}, self.now)
            self.opened.setdefault((user, publish), entry)

    def restart(self):
        for cursors in self.log.partitions:
            cursors.decide_again(self.random.randint(1, 8))


def played(seed, steps):
    world = World(Random(seed))
    world.run(steps)
    return world


@settings(max_examples=250)
@given(seeds, st.integers(1, 150))
def test_nobody_is_touched_twice_or_missed_or_shown_what_is_not_for_them(seed, steps):
    world = played(seed, steps)
    world.settle()
    for user in world.came:
        for publish, thing in world.office.things.items():
            times = world.shown[user, publish]
            for_them = thing.reaches(user, CLAIMS[user]) is not None
            if for_them and not thing.over(world.now):
                assert times == 1, (user, publish)
            else:
                assert times <= for_them, (user, publish)
        assert world.log.of(user).cursor(user, NEWS).deferred == ()


@settings(max_examples=150)
@given(seeds, st.integers(1, 150))
def test_counts_are_what_was_shown_and_opened(seed, steps):
    world = played(seed, steps)
    for publish in world.office.things:
        touched = sum(world.shown[user, publish] for user in USERS)
        opened = sum((user, publish) in world.opened for user in USERS)
        assert world.log.counts(NEWS, publish) == (touched, opened)


@settings(max_examples=150)
@given(seeds, st.integers(1, 150))
def test_a_further_stage_counts_those_whom_it_was_the_first_to_reach(seed, steps):
    world = played(seed, steps)
    for publish, thing in world.office.things.items():
        for entry, _, _ in thing.stages[1:]:
            reached = [user for user in USERS if thing.reaches(user, CLAIMS[user]) == entry]
            touched = sum(world.shown[user, publish] for user in reached)
            opened = sum(world.opened.get((user, publish)) == entry for user in USERS)
            assert world.log.stage(NEWS, entry) == (touched, opened)


@settings(max_examples=150)
@given(seeds, st.integers(1, 100))
def test_history_is_what_has_reached_the_user_and_stands(seed, steps):
    world = played(seed, steps)
    board, head = Board(), world.rules.view.head(NEWS).seq
    world.catch_up(board, whole=True)
    for user in USERS:
        upto = world.random.randint(0, head)
        found = {
            publish
            for publish, notice in board.notices.items()
            if not notice.over(world.now)
            and (entry := notice.reaches_at(user, CLAIMS[user])) is not None
            and entry <= upto
        }
        expected = {
            publish
            for publish, thing in world.office.things.items()
            if not thing.over(world.now)
            and (entry := thing.reaches(user, CLAIMS[user])) is not None
            and entry <= upto
        }
        assert found == expected


@settings(max_examples=100)
@given(seeds, st.integers(1, 150))
def test_a_user_with_one_device_is_never_touched_over_the_cap(seed, steps):
    world = World(Random(seed))
    days = Counter()
    for _ in range(steps):
        world.random.choice((world.operate, world.wait, lambda: world.look("bob", current=True)))()
        cursor = world.log.of("bob").cursor("bob", NEWS)
        days[cursor.day] = max(days[cursor.day], cursor.today)
    assert world.calm.cap is None or max(days.values()) <= world.calm.cap
