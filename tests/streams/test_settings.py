import pytest

from streams.settings import BadSettings, Settings, from_environment, unknown_variables, variables


def test_a_variable_that_cannot_be_used_is_named_with_the_reason_alone(monkeypatch):
    monkeypatch.setenv("READCAST_PARTITIONS", "abc")
    monkeypatch.setenv("READCAST_FEED_MODE", "pulled")
    with pytest.raises(BadSettings) as caught:
        from_environment(Settings)
    partitions, mode = str(caught.value).splitlines()
    assert partitions.startswith("READCAST_PARTITIONS: Input should be a valid integer")
    assert mode.startswith("READCAST_FEED_MODE: Input should be 'hybrid', 'pull' or 'push'")


def test_a_secret_is_no_part_of_a_reason(monkeypatch):
    monkeypatch.setenv("READCAST_AUTH_SECRET", "s" * 40)
    monkeypatch.setenv("READCAST_RECALL_SECONDS", "-1")
    with pytest.raises(BadSettings) as caught:
        from_environment(Settings)
    assert "s" * 40 not in str(caught.value)


def test_a_variable_that_is_spelled_wrong_is_unknown(monkeypatch):
    for name in ("READCAST_PARTITONS", "READCAST_APP_ID", "READCAST_OTHER_PORT", "OTHER"):
        monkeypatch.setenv(name, "1")
    assert unknown_variables(Settings, others=("READCAST_OTHER_",)) == ["READCAST_PARTITONS"]


def test_settings_are_read_from_variables_with_our_prefix_but_for_kafkas_own():
    names = variables(Settings)
    assert names["bootstrap_servers"] == "KAFKA_BOOTSTRAP_SERVERS"
    assert names["app_id"] == "READCAST_APP_ID"


def test_an_empty_variable_is_none(monkeypatch):
    for name in ("READCAST_AUTH_KEYS", "READCAST_PARTITIONS", "KAFKA_BOOTSTRAP_SERVERS"):
        monkeypatch.setenv(name, "")
    settings = from_environment(Settings)
    assert settings.auth_keys is None
    assert settings.partitions == 8
    assert settings.bootstrap_servers == "127.0.0.1:9092"


@pytest.mark.parametrize("brokers", ["a:9092", "a, b:9092", "10.0.0.1:9092,[::1]:9092", "a-b.c_d"])
def test_brokers_are_hosts_and_ports(brokers, monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", brokers)
    assert from_environment(Settings).bootstrap_servers == brokers.replace(" ", "")


@pytest.mark.parametrize(
    "brokers", ["a:b", "http://a:9092", "a:9092,", "a:70000", "a:9092;b:9092", "::1:9092", " "]
)
def test_what_is_no_broker_is_refused(brokers, monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", brokers)
    with pytest.raises(BadSettings, match=r"^KAFKA_BOOTSTRAP_SERVERS: brokers are host:port"):
        from_environment(Settings)


@pytest.mark.parametrize("seconds", ["5", "45"])
def test_a_session_timeout_that_kafka_refuses_is_refused(seconds, monkeypatch):
    monkeypatch.setenv("READCAST_SESSION_TIMEOUT", seconds)
    with pytest.raises(BadSettings, match=r"^READCAST_SESSION_TIMEOUT: "):
        from_environment(Settings)
