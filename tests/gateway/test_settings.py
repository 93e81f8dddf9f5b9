import re
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from gateway.errors import CannotStart
from gateway.settings import Settings
from gateway.tls import tls_context
from streams.settings import BadSettings, from_environment, variables
from streams.settings import Settings as Pipeline

SECRET = "s" * 32
OPERATIONS = Path(__file__).resolve().parents[2] / "docs/operations.md"
ROW = re.compile(r"^\| `((?:READCAST|KAFKA)_\w+)` \| (.*?) \|", re.MULTILINE)


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("READCAST_GATEWAY_PORT", "9000")
    monkeypatch.setenv("READCAST_GATEWAY_ORIGINS", "https://a.example/, https://b.example")
    monkeypatch.setenv("READCAST_DEMO", "1")
    monkeypatch.setenv("READCAST_APP_ID", "other")
    settings = Settings()
    assert (settings.port, settings.demo, settings.pipeline.app_id) == (9000, True, "other")
    assert settings.origins == ("https://a.example", "https://b.example")


def test_variables_that_cannot_be_used_are_named(monkeypatch):
    monkeypatch.setenv("READCAST_GATEWAY_QUIET_HOURS", "25-3")
    monkeypatch.setenv("READCAST_GATEWAY_TRUSTED_PROXIES", "here")
    monkeypatch.setenv("READCAST_DEMO", "perhaps")
    with pytest.raises(BadSettings) as caught:
        from_environment(Settings)
    lines = str(caught.value).splitlines()
    assert "READCAST_GATEWAY_QUIET_HOURS: quiet hours look like 22:00-08:00, not '25-3'" in lines
    assert {line.partition(":")[0] for line in lines} == {
        "READCAST_GATEWAY_QUIET_HOURS",
        "READCAST_GATEWAY_TRUSTED_PROXIES",
        "READCAST_DEMO",
    }


def test_a_variable_of_the_pipelines_is_named_as_its_own(monkeypatch):
    monkeypatch.setenv("READCAST_PARTITIONS", "abc")
    with pytest.raises(BadSettings, match=r"^READCAST_PARTITIONS: "):
        from_environment(Settings)


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


def test_with_a_set_of_keys_no_secret_is_needed(monkeypatch, tmp_path):
    monkeypatch.delenv("READCAST_AUTH_SECRET", raising=False)
    monkeypatch.setenv("READCAST_AUTH_KEYS", str(tmp_path / "keys.json"))
    assert Settings(demo=False).secret() == ""


def test_a_short_secret_is_refused_beside_keys_too(monkeypatch, tmp_path):
    monkeypatch.setenv("READCAST_AUTH_SECRET", "secret")
    monkeypatch.setenv("READCAST_AUTH_KEYS", str(tmp_path / "keys.json"))
    with pytest.raises(CannotStart, match="32 bytes"):
        Settings().secret()


def test_the_secret_does_not_show(monkeypatch):
    monkeypatch.setenv("READCAST_AUTH_SECRET", SECRET)
    settings = Settings()
    assert settings.secret() == SECRET
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump()}"
    assert SECRET not in settings.model_dump_json()


@pytest.mark.parametrize("networks", ["10.0.0.1/8", "proxy.example", "10.0.0.0/33"])
def test_proxies_are_addresses_or_networks(networks):
    with pytest.raises(ValidationError):
        Settings(trusted_proxies=networks)


@pytest.mark.parametrize("given", ["tls_certificate", "tls_key"])
def test_a_certificate_and_its_key_go_together(given, tmp_path):
    with pytest.raises(CannotStart, match="both"):
        tls_context(Settings(**{given: tmp_path / "a.pem"}))


@pytest.mark.parametrize("content", [None, "-----BEGIN CERTIFICATE-----\n"])
def test_a_certificate_that_cannot_be_used_is_named(content, tmp_path):
    path = tmp_path / "a.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CannotStart, match=re.escape(str(path))):
        tls_context(Settings(tls_certificate=path, tls_key=path))


def test_without_a_certificate_there_is_no_tls(monkeypatch):
    assert tls_context(Settings()) is None
    for name in ("CERTIFICATE", "KEY"):
        monkeypatch.setenv(f"READCAST_GATEWAY_TLS_{name}", "")
    assert tls_context(from_environment(Settings)) is None


# Documents


def defaults(settings: type[BaseSettings]) -> dict[str, str]:
    """Each variable with its default, as the document writes it."""
    return {
        variable: written(settings.model_fields[name].get_default())
        for name, variable in variables(settings).items()
        if settings.model_fields[name].default_factory is None
    }


def written(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, int | float):
        return f"{default:.10g}"
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    elif default is not None and hasattr(default, "get_secret_value"):
        default = default.get_secret_value()
    return f"`{default}`" if default else "none"


def plain(number: str) -> str:
    """A number without the commas between its thousands; other text as it is."""
    return re.sub(r"(?<=\d),(?=\d{3})", "", number)


def test_every_setting_is_documented_with_its_default():
    documented = {name: plain(value) for name, value in ROW.findall(OPERATIONS.read_text())}
    assert documented == {**defaults(Pipeline), **defaults(Settings)}


def test_every_limit_names_a_setting():
    text = OPERATIONS.read_text()
    limits = text[text.index("### Limits") :].split("\n\n")[2]
    named = {
        name
        for row in limits.splitlines()[2:]
        for name in re.findall("`([A-Z_]{5,})`", row.split("|")[2])
    }
    assert len(named) >= 20
    known = {name.removeprefix("READCAST_GATEWAY_") for name in defaults(Settings)}
    assert named - known == set()
