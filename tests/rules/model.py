"""The mailboxes as docs/protocol.md has them, in dicts and lists."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tests.rules.commands import Command

RECALL_MS = 120_000


class No(Exception):
    """A refusal."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Bucket:
    """So many tokens, filled over time; a trusted sender needs none, but takes what there is."""

    def __init__(self, per_second: float, burst: float) -> None:
        self.per_second = Fraction(per_second)
        self.burst = self.tokens = Fraction(burst)
        self.filled = 0

    def fill(self, now: int) -> None:
        gained = self.per_second * (now - self.filled) / 1_000
        self.tokens = min(self.burst, self.tokens + gained)
        self.filled = now

    def has_one(self, now: int) -> bool:
        self.fill(now)
        return self.tokens >= 1


@dataclass
class Text:
    id: str
    by: str
    ts: int
    body: Any
    recalled: bool = False


@dataclass
class Person:
    joined: int
    role: str = "member"
    muted: int = 0


@dataclass
class Box:
    epoch: str
    owner: str = ""
    policy: dict[str, Any] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    texts: dict[int, Text] = field(default_factory=dict)
    head: int = 0
    latest: int = 0
    floor: int = 0
    muted: int = 0
    closed: bool = False
    bucket: Bucket | None = None
    buckets: dict[str, Bucket] = field(default_factory=dict)
    earlier_ids: set[str] = field(default_factory=set)


class Model:
    """Takes commands one by one; `do` returns the result, None for a first send, or raises `No`."""

    def __init__(self) -> None:
        self.boxes: dict[str, Box] = {}

    def undefined(self, c: Command) -> bool:
        """An id of a message that an earlier group of this name had: the protocol promises nothing."""
        box = self.boxes.get(c["mailbox"])
        return c["type"] == "send" and box is not None and c["id"] in box.earlier_ids

    def do(self, c: Command, now: int) -> dict[str, Any] | None:
        return getattr(self, "do_" + c["type"])(c, c["mailbox"], c["by"], now)

    # Who may what

    def box(self, mailbox: str) -> Box:
        if mailbox not in self.boxes:
            raise No("not_found")
        return self.boxes[mailbox]

    def group(self, mailbox: str, *, must_be_open: bool = True) -> Box:
        if not mailbox.startswith("group:"):
            raise No("bad_request")
        box = self.box(mailbox)
        if must_be_open and box.closed:
            raise No("forbidden")
        return box

    def reads(self, mailbox: str, by: str) -> bool:
        if by == "system":
            return True
        kind, name = mailbox.split(":")
        if kind == "group":
            return by in self.boxes[mailbox].people
        return by in name.split("~")

    def need_reader(self, mailbox: str, by: str) -> None:
        if not self.reads(mailbox, by):
            raise No("not_member")

    def has(self, mailbox: str, by: str, *roles: str) -> bool:
        person = self.boxes[mailbox].people.get(by)
        return by == "system" or (person is not None and person.role in roles)

    def need(self, mailbox: str, by: str, *roles: str) -> None:
        if not self.has(mailbox, by, *roles):
            self.need_reader(mailbox, by)
            raise No("forbidden")

    # Commands

    def do_create(self, c: Command, mailbox: str, by: str, now: int) -> dict[str, Any]:
        if not mailbox.startswith("group:") or by == "system":
            raise No("bad_request")
        old = self.boxes.get(mailbox)
        if old is not None and old.epoch != c["id"]:
            if not old.closed:
                raise No("conflict")
            self.make(c, mailbox, by, old)
        elif old is None:
            self.make(c, mailbox, by, Box(""))
        return self.standing(mailbox, [by])

    def make(self, c: Command, mailbox: str, by: str, old: Box) -> None:
        people = {by: Person(old.head, "owner")}
        box = Box(c["id"], by, dict(c["policy"]), people, head=old.head, floor=old.head)
        box.latest, box.bucket, box.buckets = old.latest, old.bucket, old.buckets
        box.earlier_ids = old.earlier_ids | {text.id for text in old.texts.values()}
        self.boxes[mailbox] = box

    def standing(self, mailbox: str, members: list[str]) -> dict[str, Any]:
        box = self.boxes[mailbox]
        return {"mailbox": mailbox, "epoch": box.epoch, "head": box.head, "members": members}

    def do_join(self, c: Command, mailbox: str, by: str, now: int) -> dict[str, Any]:
        box = self.group(mailbox)
        names = list(dict.fromkeys(c["members"] or [by]))
        if "system" in names:
            raise No("bad_request")
        if names != [by]:
            self.need(mailbox, by, "owner", "admin")
        elif box.policy.get("join") == "invite" and by not in box.people:
            raise No("forbidden")
        for name in names:
            box.people.setdefault(name, Person(box.head))
        return self.standing(mailbox, names)

    def do_leave(self, c: Command, mailbox: str, by: str, now: int) -> dict[str, Any]:
        box = self.group(mailbox, must_be_open=False)
        names = list(dict.fromkeys(c["members"] or [by]))
        if names != [by]:
            self.need(mailbox, by, "owner", "admin")
        if box.owner in names and not box.closed:
            raise No("conflict")
        for name in names:
            box.people.pop(name, None)
        return {"mailbox": mailbox, "members": names}

    def do_role(self, c: Command, mailbox: str, by: str, now: int) -> dict[str, Any]:
        box = self.group(mailbox)
        repeats = c["role"] == "owner" and box.owner == c["member"]
        self.need(mailbox, by, *(["owner", "admin"] if repeats else ["owner"]))
        person = box.people.get(c["member"])
        if person is None:
            raise No("not_member")
        if person.role != c["role"]:
            if person.role == "owner":
                raise No("conflict")
            person.role = c["role"]
            if c["role"] == "owner":
                box.people[box.owner].role = "admin"
                box.owner = c["member"]
        return {"mailbox": mailbox}

    def do_mute(self, c: Command, mailbox: str, by: str, now: int) -> dict[str, Any]:
        box = self.group(mailbox)
        self.need(mailbox, by, "owner", "admin")
        if c["member"] is None:
            box.muted = c["until"]
        else:
            person = box.people.get(c["member"])
            if person is None:
                raise No("not_member")
            if person.role != "member" and not self.has(mailbox, by, "owner"):
                raise No("forbidden")
            person.muted = c["until"]
        return {"mailbox": mailbox}

    def do_send(self, c: Command, mailbox: str, by: str, now: int) -> dict[str, Any] | None:
        before = self.sent_before(c, mailbox, by)
        if before is not None:
            return before
        if mailbox.startswith("group:"):
            self.may_post(mailbox, by, now)
        elif mailbox.startswith("user:") and by != "system":
            raise No("forbidden")
        elif not self.reads(mailbox, by):
            raise No("not_member")
        box = self.boxes.setdefault(mailbox, Box(c["id"]))
        self.take_token(box, by, now)
        box.head += 1
        box.latest = max(box.latest, now)
        box.texts[box.head] = Text(c["id"], by, box.latest, c["body"])
        return None

    def sent_before(self, c: Command, mailbox: str, by: str) -> dict[str, Any] | None:
        box = self.boxes.get(mailbox)
        for seq, text in box.texts.items() if box else ():
            if text.id == c["id"]:
                if text.by != by or (not text.recalled and text.body != c["body"]):
                    raise No("conflict")
                receipt = {"mailbox": mailbox, "id": text.id, "seq": seq, "ts": text.ts}
                return receipt | {"duplicate": True}
        return None

    def may_post(self, mailbox: str, by: str, now: int) -> None:
        box = self.group(mailbox)
        if by == "system":
            return
        self.need_reader(mailbox, by)
        if box.people[by].role == "member":
            if box.policy.get("post") == "admins":
                raise No("forbidden")
            if now < box.muted:
                raise No("muted")
        if now < box.people[by].muted:
            raise No("muted")

    def take_token(self, box: Box, by: str, now: int) -> None:
        if box.bucket is None:
            box.bucket = Bucket(*box.policy.get("mailbox_rate", (1_000, 2_000)))
        member_rate = box.policy.get("member_rate", (20, 100))
        buckets = (box.bucket, box.buckets.setdefault(by, Bucket(*member_rate)))
        full = [bucket.has_one(now) for bucket in buckets]
        if not all(full) and by != "system":
            raise No("rate_limited")
        for bucket in buckets:
            bucket.tokens = max(Fraction(0), bucket.tokens - 1)

    def do_recall(self, c: Command, mailbox: str, by: str, now: int) -> dict[str, Any]:
        box = self.box(mailbox)
        self.need_reader(mailbox, by)
        text = box.texts.get(c["seq"])
        if text is None:
            raise No("not_found")
        late = now - text.ts > RECALL_MS
        own = text.by == by and not late
        if not text.recalled and not own and not self.has(mailbox, by, "owner", "admin"):
            raise No("forbidden")
        text.recalled, text.body = True, None
        return {"mailbox": mailbox, "seq": c["seq"]}

    def do_policy(self, c: Command, mailbox: str, by: str, now: int) -> dict[str, Any]:
        box = self.group(mailbox)
        self.need(mailbox, by, "owner", "admin")
        box.policy |= c["policy"]
        return {"mailbox": mailbox}

    def do_close(self, c: Command, mailbox: str, by: str, now: int) -> dict[str, Any]:
        box = self.group(mailbox, must_be_open=False)
        self.need(mailbox, by, "owner")
        box.closed = True
        return {"mailbox": mailbox}

    def do_trim(self, c: Command, mailbox: str, by: str, now: int) -> dict[str, Any]:
        box = self.box(mailbox)
        self.need(mailbox, by, "owner", "admin")
        last = self.last_texts(box)
        for seq in [seq for seq in box.texts if seq <= c["upto"] and seq != box.head]:
            by = box.texts.pop(seq).by
            box.floor = max(box.floor, seq)
            if last[by] == seq:
                # The limit's state is in the message that is gone.
                del box.buckets[by]
        return {"mailbox": mailbox, "floor": box.floor, "more": False}

    @staticmethod
    def last_texts(box: Box) -> dict[str, int]:
        return {text.by: seq for seq, text in sorted(box.texts.items())}

    def unread(self, mailbox: str, user: str, read: int) -> int:
        """Count back from the newest message."""
        box, count = self.boxes[mailbox], 0
        joined = box.people[user].joined if user in box.people else 0
        for seq in sorted(box.texts, reverse=True):
            if seq <= joined or seq <= read or box.texts[seq].by == user:
                break
            count += 1
        return count
