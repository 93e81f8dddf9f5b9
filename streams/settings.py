"""Settings of the pipeline, read once from the environment."""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_AnySettings = TypeVar("_AnySettings", bound=BaseSettings)

_BROKER = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+)(?::([0-9]{1,5}))?")
_MAX_PORT = 65_535


class BadSettings(ValueError):
    """Variables that can't be used: a line for each, which names it and says why."""


class Settings(BaseSettings):
    """What every process of Readcast needs to know; `READCAST_` before each name, unless noted."""

    model_config = SettingsConfigDict(
        env_prefix="READCAST_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    bootstrap_servers: str = Field(
        default="127.0.0.1:9092",
        validation_alias="KAFKA_BOOTSTRAP_SERVERS",
        description="Kafka brokers, host:port separated by commas.",
    )
    app_id: str = Field(
        default="readcast",
        pattern=r"^[A-Za-z0-9_.-]{1,64}$",
        description="Faust's app id: the consumer group and the prefix of every topic.",
    )
    partitions: int = Field(
        default=8,
        ge=1,
        description="Partitions of each topic. Fixed for the life of the data: keys move when it changes.",
    )
    delivery_partitions: int = Field(
        default=8,
        ge=1,
        description="Partitions of the deliveries to gateways that are routed to: at least as many as there are "
        "such gateway processes, so that none reads what is for another. More may be added at any time.",
    )
    replication_factor: int = Field(
        default=1, ge=1, description="Copies of each topic; 3 in production."
    )
    standby_replicas: int = Field(
        default=1,
        ge=0,
        description="Workers that keep a warm copy of each table partition, where there are enough.",
    )
    auth_secret: SecretStr = Field(
        default=SecretStr(""), description="Key of the tokens that name none (HS256)."
    )
    auth_keys: Path | None = Field(
        default=None,
        description="File with a JWK Set (RFC 7517): the keys of tokens that name one by its `kid`, "
        "HS256 or RS256.",
    )
    worker_metrics_host: str = Field(
        default="127.0.0.1", description="Where a worker serves health and metrics."
    )
    worker_metrics_port: int = Field(
        default=6067,
        ge=0,
        le=65535,
        description="Port of health and metrics; 0 takes any free one.",
    )
    max_body: int = Field(
        default=1 << 20, ge=1, description="Bytes of a message body that the rules accept, as JSON."
    )
    recall_seconds: int = Field(
        default=120, ge=0, description="How long a sender may recall a message, in seconds."
    )
    feed_mode: Literal["hybrid", "pull", "push"] = Field(
        default="hybrid",
        description="How posts get to followers: pulled from outboxes, pushed to inboxes, or by followers.",
    )
    feed_threshold: int = Field(
        default=1_000,
        ge=0,
        description="Followers up to which the hybrid pushes an author's posts; above, they are pulled.",
    )
    feed_idle_days: int = Field(
        default=30,
        ge=1,
        description="Days without a look at the feed after which nothing is pushed to a user.",
    )
    session_timeout: float = Field(
        default=10.0,
        ge=6,
        le=30,
        description="Seconds after which a silent worker loses its partitions: a killed one is replaced that fast. "
        "Brokers take 6 at least (`group.min.session.timeout.ms`); above is the limit of a request.",
    )
    rocksdb_cache: int = Field(
        default=256 << 20, ge=1 << 20, description="Block cache of a worker process, bytes."
    )
    rocksdb_write_buffers: int = Field(
        default=256 << 20, ge=1 << 20, description="Memtables of a worker process in all, bytes."
    )
    rocksdb_flush_seconds: float = Field(
        default=600.0,
        ge=1.0,
        description="Seconds until what is kept is on disk: at most so much of the log a killed worker reads again.",
    )

    @field_validator("bootstrap_servers")
    @classmethod
    def _check_brokers(cls, value: str) -> str:
        brokers = [part.strip() for part in value.split(",")]
        if not all(map(_is_broker, brokers)):
            raise ValueError(f"brokers are host:port, separated by commas, not {value!r}")
        return ",".join(brokers)


def _is_broker(text: str) -> bool:
    found = _BROKER.fullmatch(text)
    return found is not None and int(found[1] or 0) <= _MAX_PORT


@cache
def settings() -> Settings:
    """The settings of this process, which ends here if they can't be used."""
    try:
        return from_environment(Settings)
    except BadSettings as error:
        sys.exit(str(error))


def from_environment(kind: type[_AnySettings]) -> _AnySettings:
    """Settings as the environment has them; raises `BadSettings`."""
    try:
        return kind()
    except ValidationError as error:
        names = variables(kind)
        reasons = [
            (str(found["loc"][0]), found["msg"].removeprefix("Value error, "))
            for found in error.errors()
        ]
        lines = [f"{names.get(name, name)}: {reason}" for name, reason in reasons]
        raise BadSettings("\n".join(lines)) from None


def variables(kind: type[BaseSettings]) -> dict[str, str]:
    """The variable of each setting."""
    prefix = kind.model_config["env_prefix"]
    return {
        name: str(field.validation_alias or f"{prefix}{name}".upper())
        for name, field in kind.model_fields.items()
    }


def unknown_variables(*kinds: type[BaseSettings], others: tuple[str, ...] = ()) -> list[str]:
    """Variables named like ours that are no setting of these kinds and begin like none of the others."""
    known = {variable for kind in kinds for variable in variables(kind).values()}
    ours = {name for name in os.environ if name.startswith("READCAST_")}
    return sorted(name for name in ours - known if not name.startswith(others))
