import pytest

from streams.pipeline import app


@pytest.mark.parametrize("name", ["mailboxes", "users"])
def test_faust_remembers_no_events(name):
    """The lanes say what is committed; what Faust remembers until it commits would only ever grow."""
    assert not app.agents[name].channel.acks
