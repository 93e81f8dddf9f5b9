import pytest

from streams.settings import Settings
from streams.topics import topic_configs, topics

HOUR, DAY = 3_600_000, 86_400_000


@pytest.fixture
def settings():
    return Settings(app_id="chat")


def test_every_topic_has_the_app_id_and_a_configuration(settings):
    names = topics(settings)
    assert names.mailbox_commands == "chat-mailbox-commands"
    assert names.user_log == "chat-user-changelog"
    assert all(name.startswith("chat-") for name in names)
    assert set(topic_configs(settings)) == set(names)


def test_logs_are_compacted_never_deleted_and_rest_a_while_before(settings):
    names, configs = topics(settings), topic_configs(settings)
    for name in (names.mailbox_log, names.user_log):
        assert configs[name]["cleanup.policy"] == "compact"
        assert int(configs[name]["min.compaction.lag.ms"]) >= HOUR
        assert int(configs[name]["delete.retention.ms"]) >= 7 * DAY


def test_commands_carry_the_brokers_time(settings):
    names, configs = topics(settings), topic_configs(settings)
    for name in (names.mailbox_commands, names.user_commands):
        assert configs[name]["message.timestamp.type"] == "LogAppendTime"
        assert configs[name]["cleanup.policy"] == "delete"


@pytest.mark.parametrize(("copies", "in_sync"), [(1, "1"), (2, "1"), (3, "2")])
def test_what_is_acknowledged_outlives_a_broker_where_there_are_three(copies, in_sync):
    configs = topic_configs(Settings(app_id="chat", replication_factor=copies))
    assert {config["min.insync.replicas"] for config in configs.values()} == {in_sync}


def test_all_topics_take_the_same_largest_record(settings):
    assert len({config["max.message.bytes"] for config in topic_configs(settings).values()}) == 1
