"""docker/compose.yaml as Docker Compose would read it; no engine needed."""

import shutil
import subprocess

import pytest
import yaml

from tests.processes import ROOT

COMPOSE = ROOT / "docker/compose.yaml"


@pytest.fixture(scope="module")
def services() -> dict:
    return yaml.safe_load(COMPOSE.read_text())["services"]


def test_names_the_parts(services):
    assert set(services) == {"broker", "topics", "worker", "gateway"}


def test_runs_the_broker_that_make_run_fetches(services):
    name, version = services["broker"]["image"].split(":")
    assert name == "apache/kafka"
    assert f"<version>{version}</version>" in (ROOT / "docker/local/pom.xml").read_text()


def test_worker_and_gateway_start_after_the_topics_are_made(services):
    for part in ("worker", "gateway"):
        assert services[part]["depends_on"]["topics"] == {
            "condition": "service_completed_successfully"
        }


def test_worker_and_gateway_share_one_image_and_its_settings(services):
    worker, gateway = services["worker"], services["gateway"]
    assert worker["image"] == gateway["image"]
    assert worker["environment"].items() <= gateway["environment"].items()


def test_demands_a_secret_and_has_none_of_its_own(services):
    assert services["gateway"]["environment"]["READCAST_AUTH_SECRET"].startswith(
        "${READCAST_AUTH_SECRET:?"
    )


def test_publishes_the_gateway_to_this_machine_only(services):
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:8080:8080"]


def test_every_part_that_stays_up_has_a_health_check(services):
    assert {name for name, service in services.items() if "healthcheck" in service} == {
        "broker",
        "worker",
        "gateway",
    }


def test_files_that_the_image_copies_exist_and_are_sent():
    copied = [
        word
        for line in (ROOT / "docker/Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    assert copied
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in sent


def test_compose_accepts_the_file():
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "READCAST_AUTH_SECRET": "secret"}
    command = [*compose(), "-f", str(COMPOSE), "config", "--quiet"]
    subprocess.run(command, env=environment, check=True)


def compose() -> list[str]:
    """Docker Compose as a plugin or as a program of its own: neither needs an engine to read a file."""
    plugin = ["docker", "compose"]
    if shutil.which("docker") and not subprocess.run([*plugin, "version"], check=False).returncode:
        return plugin
    assert shutil.which("docker-compose"), "install docker-compose, which reads the file"
    return ["docker-compose"]
