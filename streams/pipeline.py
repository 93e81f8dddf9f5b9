"""The Faust app: `faust -A streams worker`."""

from __future__ import annotations

import fcntl
import gc
import logging
import sys
import time
from pathlib import Path
from typing import Any, cast

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.app.base import BootStrategy
from faust.types import TP, EventT, StreamT

from streams import transport
from streams.admin import unfit_topics
from streams.feeds.limits import FeedLimits
from streams.lanes import Lanes, Line
from streams.mailboxes.agent import MailboxAgent
from streams.mailboxes.layout import MailboxLayout
from streams.mailboxes.rules import Limits
from streams.routes.commands import SWEEP, USER_SWEEP
from streams.routes.forwarding import mailbox_audience, user_audience
from streams.sender import Sender
from streams.settings import Settings, settings, unknown_variables
from streams.status import StatusServer
from streams.topics import topics
from streams.users.agent import UserAgent
from streams.users.layout import UserLayout
from tables.options import rocksdb_options
from tables.reader import Bounds
from tables.table import JournaledTable, JournaledTables

_HEARTBEAT_SECONDS = 3.0
_REBALANCE_SECONDS = 15.0
_COMMIT_SECONDS = 1.0
_METADATA_MS = 3_000
_REQUEST_SECONDS = 30.0
_TOPICS_SECONDS = 2.0
_OTHERS_VARIABLES = ("READCAST_GATEWAY_", "READCAST_DEMO", "READCAST_DATA")
"""Read by gateways and by `make run`."""
_DATADIR = "(faust -A streams --datadir DIR worker)"
_NO_TOPICS = "waiting for topics: make and check them with `faust -A streams topics`"

log = structlog.get_logger(__name__)


class _Boot(BootStrategy):
    """Faust's web server answers about tables without a login; it stays off, whatever the command line says."""

    enable_web = False


class _Monitor(faust.Monitor):
    """Keeps of an event what Faust itself asks for; all else is told by `streams.metrics`."""

    def on_stream_event_in(
        self, tp: TP, _offset: int, _stream: StreamT[Any], _event: EventT[Any]
    ) -> None:
        self.stream_inbound_time[tp] = time.monotonic()

    def on_stream_event_out(self, *_: object) -> None:
        """Nothing."""


class Pipeline(faust.App):
    """Faust's app with the parts that are Readcast's: two tables, their lanes, a sender."""

    BootStrategy = _Boot

    def __init__(self, settings: Settings) -> None:
        transport.register()
        super().__init__(settings.app_id, **_faust_settings(settings))
        self.settings = settings
        self.topic_names = topics(settings)
        self.bounds = Bounds(settings.bootstrap_servers)
        mailboxes = self._journaled_table("mailbox", MailboxLayout())
        users = self._journaled_table("user", UserLayout())
        feeds = feed_limits(settings)
        rules = Limits(settings.recall_seconds, feeds)
        self.lanes = Lanes(
            self,
            [
                Line(
                    self.topic_names.mailbox_commands,
                    MailboxAgent(rules, settings.max_body, settings.delivery_partitions),
                    mailboxes,
                    mailbox_audience,
                    SWEEP,
                ),
                Line(
                    self.topic_names.user_commands,
                    UserAgent(feeds, settings.delivery_partitions),
                    users,
                    user_audience,
                    USER_SWEEP,
                ),
            ],
        )

    def _journaled_table(self, name: str, layout: Any) -> JournaledTable:
        table = JournaledTable(
            self,
            name=name,
            layout=layout,
            partitions=self.settings.partitions,
            bootstrap_servers=self.settings.bootstrap_servers,
            bounds=self.bounds,
            options=rocksdb_options(
                self.settings.rocksdb_cache, self.settings.rocksdb_write_buffers
            ),
            flush_seconds=self.settings.rocksdb_flush_seconds,
        )
        self.tables.add(table)
        return table

    @property
    def sender(self) -> Sender:
        """Where effects, answers and dead letters go."""
        return Sender(cast("Any", self.producer), self.topic_names, self.settings.partitions)

    async def on_stop(self) -> None:
        """Let go of what Faust doesn't know."""
        await super().on_stop()
        await self.bounds.close()

    async def on_start(self) -> None:
        """Serve health and metrics while the worker runs."""
        await super().on_start()
        if not self.client_only and not self.producer_only:
            self._warn_of_unknown_variables()
            await self.add_runtime_dependency(StatusServer(self.settings, self))
            await self._wait_for_topics()
            _relax_garbage_collection()

    def _warn_of_unknown_variables(self) -> None:
        if unknown := unknown_variables(Settings, others=_OTHERS_VARIABLES):
            log.warning("nothing reads these variables", names=unknown)

    def _create_directories(self) -> None:
        """Make the folder, and take it until this process ends.

        RocksDB's own locks are met only by a worker that has partitions already.
        """
        folder = Path(self.conf.datadir)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            super()._create_directories()
            self._folder_lock = (folder / ".lock").open("w")
            fcntl.flock(self._folder_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"another worker uses {folder}: each needs a folder of its own {_DATADIR}")
        except OSError as error:
            sys.exit(
                f"can't keep tables in {folder}: {error.strerror}. "
                f"Name a folder that this user may write to {_DATADIR}"
            )

    async def _wait_for_topics(self) -> None:
        """A worker that is there before its topics would get no partitions, and never look again."""
        while not self.should_stop:
            try:
                unfit = await unfit_topics(self.settings)
            except KafkaError as error:
                log.warning("the broker does not answer yet", reason=repr(error))
            else:
                if not unfit:
                    break
                log.warning(_NO_TOPICS, topics=unfit)
            await self.sleep(_TOPICS_SECONDS)


def feed_limits(settings: Settings) -> FeedLimits:
    """What the rules of feeds need of the settings."""
    return FeedLimits(
        mode=settings.feed_mode,
        threshold=settings.feed_threshold,
        idle_days=settings.feed_idle_days,
        partitions=settings.partitions,
    )


def _relax_garbage_collection() -> None:
    """Rows are many and hold no cycles: looking for some at Python's pace costs a tenth of the rate."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)


def _faust_settings(settings: Settings) -> dict[str, Any]:
    """Faust's settings, each with the reason where it isn't plain."""
    return {
        "broker": [
            f"{transport.SCHEME}://{server}" for server in settings.bootstrap_servers.split(",")
        ],
        "TableManager": JournaledTables,
        "Monitor": _Monitor,
        "store": "memory://",
        "topic_partitions": settings.partitions,
        # Topics are made by the `topics` command, with the configuration that the guarantees need.
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "topic_replication_factor": settings.replication_factor,
        "table_standby_replicas": settings.standby_replicas,
        "web_enabled": False,
        # Lanes end at once and lose nothing by it, so no rebalance has to wait for streams.
        "stream_wait_empty": False,
        "broker_session_timeout": settings.session_timeout,
        "broker_heartbeat_interval": min(_HEARTBEAT_SECONDS, settings.session_timeout / 3),
        "broker_rebalance_timeout": _REBALANCE_SECONDS,
        "broker_commit_interval": _COMMIT_SECONDS,
        "consumer_auto_offset_reset": "earliest",
        # A broker that has just come back may not know its topics yet, and an assignment made
        # from that is empty: the next look at the metadata makes another.
        "consumer_metadata_max_age_ms": _METADATA_MS,
        "producer_metadata_max_age_ms": _METADATA_MS,
        "producer_acks": -1,
        "producer_linger": 0.0,
        # A batch that nobody takes in this time is decided again.
        "producer_request_timeout": _REQUEST_SECONDS,
        "broker_request_timeout": _REQUEST_SECONDS,
        "worker_redirect_stdouts": False,
        "logging_config": _logging_config(),
    }


def _logging_config() -> dict[str, Any]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
        "root": {"handlers": ["console"], "level": "INFO"},
        # aiokafka asks for a debug record on each send, which costs a quarter of the throughput.
        "loggers": {
            "aiokafka": {"level": "WARNING"},
            "faust": {"level": "WARNING"},
            "streams": {"level": "INFO"},
            "tables": {"level": "INFO"},
        },
    }


def _configure_structlog() -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.dev.ConsoleRenderer(
                colors=False, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        # The standard library's own would have its logger print what was raised a second time.
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
    )


_configure_structlog()
app = Pipeline(settings())


def _commands(name: str) -> Any:
    """A command topic whose events are batches, as the transport makes them: nothing to decode.

    Without acknowledgements: Faust would remember each until it commits them, and the lanes say what is committed.
    """
    return app.topic(
        name,
        acks=False,
        partitions=app.settings.partitions,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
    )


@app.agent(_commands(app.topic_names.mailbox_commands), name="mailboxes")
async def mailboxes(stream: StreamT[Any]) -> None:
    """Hand each batch of mailbox commands to its lane and go on."""
    async for event in stream.events():
        app.lanes.offer(event.message)


@app.agent(_commands(app.topic_names.user_commands), name="users")
async def users(stream: StreamT[Any]) -> None:
    """Hand each batch of user commands to its lane and go on."""
    async for event in stream.events():
        app.lanes.offer(event.message)


import streams.cli  # noqa: E402  registers the app's commands
import streams.feeds.cli  # noqa: E402,F401  those of feeds

logging.captureWarnings(True)
