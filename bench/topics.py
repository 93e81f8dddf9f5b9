"""Topics of a run: create them, count what is in them."""

from collections.abc import Iterator

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

PARTITIONS = 8
COMMANDS = "readcast-mailbox-commands"
CHANGELOG = "readcast-mailbox-changelog"
USER_COMMANDS = "readcast-user-commands"
USER_CHANGELOG = "readcast-user-changelog"
INTERNAL = "__consumer_offsets"


class Topics:
    """Looks at one broker's topics; cheap enough to ask many times a second beside what is measured."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        self._asker = KafkaConsumer(bootstrap_servers=bootstrap)

    def create(self, name: str, **configs: str) -> None:
        """Create a topic of PARTITIONS partitions unless it is there."""
        if name not in self._admin.list_topics():
            options = {"num_partitions": PARTITIONS, "replication_factor": 1, "configs": configs}
            self._admin.create_topics({name: options}, wait_for_metadata=True)

    def names(self) -> list[str]:
        """All topics but the broker's own."""
        return [name for name in self._admin.list_topics() if name != INTERNAL]

    def count(self, *names: str) -> int:
        """Records ever appended to these topics: the sum of their end offsets."""
        wanted = [
            TopicPartition(name, number)
            for name in names
            for number in self._asker.partitions_for_topic(name)
        ]
        return sum(self._asker.end_offsets(wanted).values())

    def read(self, name: str) -> Iterator[tuple[bytes, bytes]]:
        """Key and value of each record up to the present end."""
        consumer = KafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False)
        try:
            partitions = [TopicPartition(name, number) for number in range(PARTITIONS)]
            ends = consumer.end_offsets(partitions)
            consumer.assign(partitions)
            consumer.seek_to_beginning()
            while any(consumer.position(partition) < end for partition, end in ends.items()):
                for records in consumer.poll(timeout_ms=1000, max_records=5000).values():
                    for record in records:
                        yield record.key, record.value
        finally:
            consumer.close()

    def close(self) -> None:
        self._asker.close()
        self._admin.close()
