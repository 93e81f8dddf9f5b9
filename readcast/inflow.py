"""What the gateway sends, made into the messages of each mailbox in order and once.

Nothing here waits or talks to the gateway: `Inflow` says by `pull` that history is needed, and is
given it by `page`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, MutableMapping
from dataclasses import dataclass, field
from typing import Any

Event = dict[str, Any]

HELD_EVENTS = 1_000
"""Events of a mailbox that wait behind a hole; beyond, they are pulled, too."""


@dataclass(slots=True)
class Place:
    """How far a mailbox has been delivered.

    epoch: empty until the mailbox is made. is_live: whether the gateway sends its messages; of a
    group that the user has been added to, it may send no more than heads. upto: the last seq that is
    to be pulled, 0 if nothing is. held: what came meanwhile.
    """

    epoch: str
    seq: int
    is_live: bool = True
    upto: int = 0
    held: list[Event] = field(default_factory=list)

    def hold(self, event: Event) -> None:
        """Keep an event until the hole before it is filled."""
        if event["op"] == "message" and len(self.held) >= HELD_EVENTS:
            self.upto = max(self.upto, event["seq"])
            self.held = [one for one in self.held if one["op"] == "recalled"]
        else:
            self.held.append(event)


class Inflow:
    """The mailboxes that are watched live.

    deliver: is given each event. pull: is told of a mailbox that needs history, and asks `lacks`.
    rewatch: is told of a mailbox whose resume failed for a passing reason. has_room: whether
    messages can be taken; those that can't are pulled later. since: (epoch, seq) by mailbox to go on
    after; where a mailbox begins is added.
    counts: `doubled` (dropped), `holes` (found), `pulled`, `recovered`, `unrecovered`.
    """

    def __init__(
        self,
        deliver: Callable[[Event], None],
        pull: Callable[[str], None],
        rewatch: Callable[[str], None],
        has_room: Callable[[], bool],
        since: MutableMapping[str, tuple[str, int]],
        watch: Container[str] | None = None,
    ) -> None:
        self._deliver = deliver
        self._pull = pull
        self._rewatch = rewatch
        self._has_room = has_room
        self._watch = watch
        self._since = since
        self._places = {mailbox: Place(*place) for mailbox, place in since.items()}
        self._handlers: dict[str, Callable[[Event], None]] = {
            "message": self._message,
            "gap": self._gap,
            "recalled": self._recalled,
            "sync": self._sync,
            "watching": self._watching,
            "resumed": self._resumed,
        }
        self.user = ""
        self.counts: Counter[str] = Counter()

    def __contains__(self, mailbox: str) -> bool:
        return mailbox in self._places

    def epoch(self, mailbox: str) -> str:
        """The epoch of a mailbox, empty if it is not watched."""
        place = self._places.get(mailbox)
        return place.epoch if place else ""

    def resume(self) -> dict[str, tuple[str, int]]:
        """A new connection: epoch and seq after which to go on, by mailbox.

        To resume one that is watched by notification would make it live; where it is not known
        yet how one is watched, `sync` will tell.
        """
        for place in self._places.values():
            place.upto = 0
            place.held.clear()
        return {
            mailbox: (place.epoch, place.seq)
            for mailbox, place in self._places.items()
            if place.is_live
        }

    def take(self, event: Event, *, answers: bool) -> None:
        """Take the next event; `answers`: it is the answer to a request, and not delivered here."""
        op = event["op"]
        if op in ("created", "joined", "left"):
            self._moved(event)
        elif op == "error" and not answers and "mailbox" in event:
            self._unresumed(event)
        elif op == "head":
            self._forget(event["mailbox"])
        elif handler := self._handlers.get(op):
            handler(event)
            return
        if not answers:
            self._deliver(event)

    def lacks(self, mailbox: str) -> int | None:
        """The seq after which history of a mailbox is needed; None if none is."""
        place = self._places.get(mailbox)
        return place.seq if place and place.upto > place.seq else None

    def page(self, mailbox: str, page: Event) -> None:
        """Take a page of history. It is authoritative: seqs that it leaves out are gone."""
        place = self._places.get(mailbox)
        if place is None:
            return
        if page["epoch"] != place.epoch:
            self._reset(mailbox, page["epoch"], page["head"])
            return
        for message in page["messages"]:
            if message["seq"] > place.seq:
                place.seq = message["seq"]
                self.counts["pulled"] += 1
                self._deliver({"op": "message", "mailbox": mailbox, **message})
        if not page["more"] or not page["messages"]:
            place.seq = max(place.seq, page["head"])
        self._let_go(mailbox, place)

    def give_up(self, mailbox: str) -> None:
        """History is refused: tell what is missing, and go on behind it."""
        place = self._places.get(mailbox)
        if place is not None:
            gap = {"op": "gap", "mailbox": mailbox, "from": place.seq + 1, "to": place.upto}
            place.seq = max(place.seq, place.upto)
            self._deliver(gap)
            self._let_go(mailbox, place)

    def _fill(self, mailbox: str, place: Place, upto: int) -> None:
        is_new = place.upto <= place.seq
        place.upto = max(place.upto, upto)
        if is_new:
            self.counts["holes"] += 1
            self._pull(mailbox)

    def _let_go(self, mailbox: str, place: Place) -> None:
        if place.upto > place.seq:
            return
        held, place.held = place.held, []
        for event in held:
            if self._places.get(mailbox) is place:
                self._handlers[event["op"]](event)

    def _message(self, event: Event) -> None:
        mailbox, seq = event["mailbox"], event["seq"]
        place = self._places.get(mailbox)
        if place is None:
            place = self._places[mailbox] = Place("", seq - 1)
        place.is_live = True
        if seq <= place.seq:
            self.counts["doubled"] += 1
        elif place.upto > place.seq:
            place.hold(event)
        elif not self._has_room():
            self._fill(mailbox, place, seq)
        elif seq > place.seq + 1:
            place.hold(event)
            self._fill(mailbox, place, seq - 1)
        else:
            place.seq = seq
            self._deliver(event)

    def _gap(self, event: Event) -> None:
        place = self._places.get(event["mailbox"])
        if place is None:
            self._deliver(event)
        elif event["to"] > place.seq:
            self._fill(event["mailbox"], place, event["to"])

    def _recalled(self, event: Event) -> None:
        place = self._places.get(event["mailbox"])
        if place is not None and place.upto > place.seq:
            place.hold(event)
        else:
            self._deliver(event)

    def _sync(self, event: Event) -> None:
        self._deliver(event)
        for entry in event["mailboxes"]:
            if entry["mode"] == "live":
                self._listed(entry)
            elif entry["mode"] != "notice":
                self._forget(entry["mailbox"])

    def _watching(self, event: Event) -> None:
        if event["mode"] != "live":
            self._forget(event["mailbox"])
            return
        self._listed(event)
        place = self._places[event["mailbox"]]
        if event["head"] > place.seq:
            self._fill(event["mailbox"], place, event["head"])

    def _listed(self, entry: Event) -> None:
        mailbox, epoch = entry["mailbox"], entry["epoch"]
        place = self._places.get(mailbox)
        if place is None:
            self._begin(mailbox, epoch, entry["head"])
        elif not place.epoch:
            place.epoch = epoch
        elif place.epoch != epoch:
            self._reset(mailbox, epoch, entry["head"])
        elif not place.is_live:
            place.is_live = True
            if entry["head"] > place.seq:
                self._fill(mailbox, place, entry["head"])

    def _resumed(self, event: Event) -> None:
        mailbox, epoch, head = event["mailbox"], event["epoch"], event["head"]
        self.counts["recovered" if event["recovered"] else "unrecovered"] += 1
        self._deliver(event)
        place = self._places.get(mailbox)
        if place is not None:
            place.epoch = place.epoch or epoch
        if place is None or place.epoch != epoch or head < place.seq:
            self._reset(mailbox, epoch, head)
        elif place.upto > place.seq:
            return
        elif event["recovered"]:
            place.seq = head
        elif head > place.seq:
            self._fill(mailbox, place, head)

    def _unresumed(self, event: Event) -> None:
        if event["retriable"]:
            self._rewatch(event["mailbox"])
        else:
            self._forget(event["mailbox"])

    def _moved(self, event: Event) -> None:
        mailbox = event["mailbox"]
        if event["op"] != "created" and self.user not in event["members"]:
            return
        if event["op"] == "left":
            self._forget(mailbox)
        elif self._is_watched(mailbox):
            self._entered(event)

    def _entered(self, event: Event) -> None:
        mailbox, epoch = event["mailbox"], event["epoch"]
        place = self._places.get(mailbox)
        if place is None or place.epoch not in ("", epoch):
            place = self._begin(mailbox, epoch, event["head"])
            if self._watch is None:
                place.is_live = event["op"] == "created"
            else:
                # What one is added to is watched without a word only after `sync`.
                self._rewatch(mailbox)
        place.epoch = epoch

    def _is_watched(self, mailbox: str) -> bool:
        return self._watch is None or mailbox in self._watch

    def _begin(self, mailbox: str, epoch: str, head: int) -> Place:
        """What comes after `head` is delivered, by a later client, too."""
        place = self._places[mailbox] = Place(epoch, head)
        if self._since.get(mailbox, ("", 0))[0] != epoch:
            self._since[mailbox] = (epoch, head)
        return place

    def _forget(self, mailbox: str) -> None:
        """There is no place any more from which to go on."""
        self._places.pop(mailbox, None)
        self._since.pop(mailbox, None)

    def _reset(self, mailbox: str, epoch: str, head: int) -> None:
        """What lies between is not delivered."""
        self._begin(mailbox, epoch, head)
        self._deliver({"op": "reset", "mailbox": mailbox, "epoch": epoch, "head": head})
