"""What a group leaves in Kafka."""

from tests.processes import System
from tests.records import new_id, unique
from tests.waiting import eventually


def test_a_group_made_anew_drops_what_it_held(stack: System):
    group = f"group:{unique('anew')}"

    def command(kind: str, **fields: object) -> dict[str, object]:
        return {"type": kind, "mailbox": group, "by": "ann", "id": new_id(), **fields}

    def messages() -> dict[int, bytes | None]:
        """The last row of each seq."""
        rows = stack.kafka.rows_of(group)
        return {int(row.key[-16:]): row.value for row in rows if b"/m/" in row.key}

    sends = [command("send", body=number) for number in range(1, 6)]
    stack.kafka.send_all([command("create"), *sends, command("close"), command("create")])
    eventually(lambda: None in messages().values(), "a sweep")
    # An id is known as long as its message: this one is another message now.
    stack.kafka.send(sends[0])
    eventually(lambda: 6 in messages(), "one more message")
    assert [seq for seq, row in sorted(messages().items()) if row is not None] == [5, 6]
