import logging

import pytest
import structlog

from streams.pipeline import app


@pytest.mark.parametrize("name", ["mailboxes", "users"])
def test_faust_remembers_no_events(name):
    """The lanes say what is committed; what Faust remembers until it commits would only ever grow."""
    assert not app.agents[name].channel.acks


def test_what_was_raised_is_logged_once(caplog):
    with caplog.at_level(logging.INFO):
        try:
            raise ValueError("broken")
        except ValueError:
            structlog.get_logger("streams.test").exception("a rule failed", offset=1)
    assert caplog.text.count("ValueError: broken") == 1
