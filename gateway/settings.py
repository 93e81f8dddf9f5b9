"""Settings of the gateway, read once from the environment."""

from __future__ import annotations

import secrets
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from gateway.errors import CannotStart
from streams.jwks import SECRET_BYTES, BadKeys, secret_key
from streams.public.disturbance import Calm, parse_quiet
from streams.settings import Settings as Pipeline
from streams.settings import from_environment

MISSING = """\
READCAST_AUTH_SECRET is not set: the gateway can't check anybody's token.
Set it to at least 32 random characters, the same for every gateway, for instance
  export READCAST_AUTH_SECRET=$(openssl rand -hex 32)
and make a token for a user with
  faust -A streams token --user <user>
or set READCAST_AUTH_KEYS to a file with a JWK Set: see docs/operations.md, Keys.
To try Readcast on your own machine set READCAST_DEMO=1 instead: a secret is made at each start."""


class Settings(BaseSettings):
    """One gateway process; `READCAST_GATEWAY_` before each name, unless noted."""

    model_config = SettingsConfigDict(
        env_prefix="READCAST_GATEWAY_",
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        env_ignore_empty=True,
    )

    pipeline: Pipeline = Field(default_factory=partial(from_environment, Pipeline))
    """Kafka, app id and secret: what gateways and workers share."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(
        default=8080, ge=0, le=65535, description="Port to listen on; 0: any free one."
    )
    metrics_host: str = Field(
        default="127.0.0.1", description="Address of the port for health and metrics alone."
    )
    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Port for health and metrics alone, besides the first one, of the first process; "
        "each further process has the next port. 0: none.",
    )
    demo: bool = Field(
        default=False,
        validation_alias="READCAST_DEMO",
        description="Give tokens of a few fixed users and operators to anybody who asks. "
        "Never in production.",
    )
    origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Origins that browsers may connect from, separated by commas, besides the "
        "gateway's own (that of the Host header).",
    )
    tls_certificate: Path | None = Field(
        default=None,
        description="PEM file of the certificate and those up to its root; unset: no TLS.",
    )
    tls_key: Path | None = Field(
        default=None, description="PEM file of the certificate's private key, not encrypted."
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        default=(),
        description="Addresses or networks, separated by commas, whose `X-Forwarded-For` tells where "
        "a client comes from. From anybody else it is ignored.",
    )
    log_json: bool = Field(default=True, description="Logs as JSON lines; false: for a console.")

    delivery: Literal["tail", "routed"] = Field(
        default="tail",
        description="How rows get here. tail: every gateway reads all of them. routed: the agents forward those "
        "that it needs, which pays where there are many gateways.",
    )
    lease_seconds: int = Field(
        default=30,
        ge=2,
        le=3_600,
        description="Time after which nothing is forwarded any more to a gateway that was killed.",
    )

    body_bytes: int = Field(
        default=1 << 20,
        ge=1,
        description="Bytes of the body of a message or a post, at most READCAST_MAX_BODY.",
    )
    publish_bytes: int = Field(
        default=64 * 1024,
        ge=1,
        description="Bytes of a publish's body: every gateway holds it in memory, everybody gets it.",
    )
    frame_bytes: int = Field(
        default=128 * 1024,
        ge=1024,
        description="Bytes of a client's frame: what is longer comes in chunks, between which other "
        "frames have their turn.",
    )
    chunk_bytes: int = Field(
        default=64 * 1024,
        ge=1024,
        description="Bytes of a frame to a client that takes chunks: small enough for any library.",
    )
    assembly_bytes: int = Field(
        default=1_280 * 1024,
        ge=1024,
        description="Bytes of a frame that comes in chunks: a body with room for its envelope.",
    )
    assemblies_bytes: int = Field(
        default=256 << 20,
        ge=1024,
        description="Bytes of unfinished frames of all sessions together: a few hundred uploads at once.",
    )
    assembly_seconds: float = Field(
        default=60.0,
        gt=0,
        description="Time from the first chunk of a frame to its last: 1 MB at 140 kbit/s.",
    )
    deflate: bool = Field(
        default=True,
        description="Compress frames for clients that ask for it, and read theirs. Whoever sees the "
        "length of encrypted frames may learn what was written together: switch it off where that matters.",
    )
    frame_rate: float = Field(
        default=100.0, gt=0, description="Frames per second of one connection: far above typing."
    )
    frame_burst: int = Field(
        default=200, ge=1, description="Frames at once: a client that opens many chats at start."
    )
    frame_rate_per_user: float = Field(
        default=300.0,
        gt=0,
        description="Frames per second of all connections of a user: a person uses one or two at a time.",
    )
    frame_burst_per_user: int = Field(
        default=1_000,
        ge=1,
        description="The same at once: all devices and tabs come back together.",
    )
    connections: int = Field(
        default=50_000, ge=1, description="Connections of the process: about 12 kB each."
    )
    connections_per_address: int | None = Field(
        default=None,
        ge=1,
        description="Sockets of one IPv4 address or IPv6 /64: an office or a carrier's gateway may "
        "stand behind it. Those of trusted proxies are counted by what these say. Unset: 1000, and "
        "any number from this machine itself.",
    )
    connections_per_user: int = Field(
        default=20, ge=1, description="Connections of one user: their devices and tabs."
    )
    watched: int = Field(
        default=5_000, ge=1, description="Mailboxes that one connection watches: memory per cursor."
    )
    notify_above: int = Field(
        default=10_000,
        ge=0,
        description="Members above which a mailbox is watched by notification unless asked live.",
    )

    request_seconds: float = Field(
        default=10.0, gt=0, description="Time limit of a request: a worker's restart fits in it."
    )
    requests_per_session: int = Field(
        default=256, ge=1, description="Requests of a session without an answer yet."
    )
    requests: int = Field(
        default=20_000, ge=1, description="Requests of the process without an answer yet."
    )
    resume_messages: int = Field(
        default=1_000,
        ge=0,
        description="Missed messages that a resume delivers: beyond, a client loads history anew.",
    )
    resume_parallel: int = Field(
        default=16, ge=1, description="Mailboxes that one session resumes at the same time."
    )

    ring_events: int = Field(
        default=1_000,
        ge=1,
        description="Events kept per mailbox: how far a reader may fall behind.",
    )
    ring_bytes: int = Field(
        default=4 << 20,
        ge=1,
        description="Bytes of events kept per mailbox, whatever their number.",
    )
    rings_bytes: int = Field(
        default=512 << 20, ge=1, description="Bytes of events kept in all mailboxes together."
    )
    write_bytes: int = Field(
        default=256 * 1024,
        ge=1024,
        description="Bytes of one write, and of the unsent bytes above which a socket is not "
        "written to: what is behind waits in the ring, shared, and not in a buffer of its own.",
    )
    outbox_bytes: int = Field(
        default=16 << 20,
        ge=1 << 20,
        description="Bytes of answers that wait for one slow session; above, it is closed.",
    )
    slow_seconds: float = Field(
        default=30.0, gt=0, description="Time without any progress after which a session is closed."
    )
    ack_seconds: float = Field(
        default=10.0, gt=0, description="Time until unacknowledged messages are sent again."
    )
    head_seconds: float = Field(
        default=1.0, gt=0, description="Least time between two `head` events of a mailbox."
    )

    handshake_seconds: float = Field(
        default=10.0,
        gt=0,
        description="Time for TLS's handshake, and for the head of a request since the socket was "
        "accepted or had its last answer.",
    )
    hello_seconds: float = Field(
        default=10.0, gt=0, description="Time limit for the first frame: idle sockets cost memory."
    )
    heartbeat_seconds: float = Field(
        default=25.0, gt=0, description="Time between pings: below the usual 30 s of proxies."
    )
    idle_seconds: float = Field(
        default=60.0, gt=0, description="Silence after which a session is closed: two lost pings."
    )
    drain_seconds: float = Field(
        default=5.0, gt=0, description="Time that leaving may take before sockets are cut."
    )
    reconnect_seconds: float = Field(
        default=10.0, ge=0, description="Clients of a leaving gateway come back spread over this."
    )

    public_bytes: int = Field(
        default=256 << 20,
        ge=1,
        description="Bytes of public mailboxes in memory. Beyond, what is over is dropped, then the "
        "oldest publishes: they reach nobody any more and are not found again.",
    )
    public_rate: float = Field(
        default=2_000.0,
        gt=0,
        description="Users per second that are looked at, for a release or when many come back: each "
        "whom it touches is a record in Kafka, and those who open what they see come back at once.",
    )
    quiet_hours: str = Field(
        default="",
        description="Hours of the user's day in which only urgent publishes are shown, as "
        "22:00-08:00; empty: none.",
    )
    daily_cap: int | None = Field(
        default=None,
        ge=0,
        description="Publishes that are shown to a user in a day, urgent ones not counted; "
        "unset: any number.",
    )

    feed_views: int = Field(
        default=5_000,
        ge=1,
        description="Feeds held in memory, each for a user who looks at it: beyond, the one that was "
        "read longest ago goes, and is asked for again with its next page.",
    )
    feed_bytes: int = Field(
        default=64 << 20,
        ge=1,
        description="Bytes of posts in memory, shared by all feeds. Beyond, those read longest ago "
        "go, and are asked for again with the next page that shows them.",
    )
    feed_states: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("live", "replay", "ended"),
        description="States of posts in the order in which a feed by state shows them, separated by "
        "commas; others come after, and posts without a state last.",
    )
    feed_snapshot_seconds: float = Field(
        default=600.0,
        gt=0,
        description="How long the pages of a feed by state agree: a visit may take that long.",
    )

    @field_validator("quiet_hours")
    @classmethod
    def _check_quiet(cls, value: str) -> str:
        parse_quiet(value)
        return value

    @property
    def calm(self) -> Calm:
        """How far users may be disturbed."""
        return Calm(parse_quiet(self.quiet_hours), self.daily_cap)

    @field_validator("origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
        return value

    @field_validator("feed_states", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    def secret(self) -> str:
        """The key of tokens that name none; empty if there is none and a set of keys instead.

        `CannotStart` tells the operator what to set.
        """
        secret = self.pipeline.auth_secret.get_secret_value()
        if not secret and self.demo:
            return secrets.token_hex(SECRET_BYTES)
        if not secret and self.pipeline.auth_keys is None:
            raise CannotStart(MISSING)
        if secret:
            try:
                secret_key(secret)
            except BadKeys as error:
                raise CannotStart(str(error)) from None
        return secret
