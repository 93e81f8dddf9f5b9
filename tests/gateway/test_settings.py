import pytest
from pydantic import ValidationError

from gateway.errors import CannotStart
from gateway.settings import Settings


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("READCAST_GATEWAY_PORT", "9000")
    monkeypatch.setenv("READCAST_GATEWAY_ORIGINS", "https://a.example/, https://b.example")
    monkeypatch.setenv("READCAST_DEMO", "1")
    monkeypatch.setenv("READCAST_APP_ID", "other")
    settings = Settings()
    assert (settings.port, settings.demo, settings.pipeline.app_id) == (9000, True, "other")
    assert settings.origins == ("https://a.example", "https://b.example")


def test_settings_do_not_change():
    with pytest.raises(ValidationError):
        Settings().port = 1


def test_without_a_secret_it_says_what_to_set(monkeypatch):
    monkeypatch.delenv("READCAST_AUTH_SECRET", raising=False)
    with pytest.raises(CannotStart, match=r"READCAST_AUTH_SECRET(.|\n)*faust -A streams token"):
        Settings(demo=False).secret()


def test_a_short_secret_is_refused(monkeypatch):
    monkeypatch.setenv("READCAST_AUTH_SECRET", "secret")
    with pytest.raises(CannotStart, match="32 bytes"):
        Settings().secret()


def test_the_demo_makes_a_secret_at_each_start(monkeypatch):
    monkeypatch.delenv("READCAST_AUTH_SECRET", raising=False)
    settings = Settings(demo=True)
    assert settings.secret() != settings.secret()
