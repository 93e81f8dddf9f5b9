"""What a figure is, and the file that keeps the figures measured last."""

import importlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.progress import Progress

from bench.paths import BUILD

NAMES = (
    "sequencing_vs_kafka_streams",
    "sequencing_vs_quix",
    "sequencing_vs_bare_loop",
    "rebuild_vs_sequencing",
    "end_to_end_p50_vs_bare",
    "records_per_message",
    "public_records_per_publish",
    "public_pulls_vs_ping",
    "feed_records_per_post",
    "feed_push_vs_sequencing",
    "feed_page_hybrid_vs_push",
    "feed_page_vs_redis",
    "public_release_15k",
    "fanout_spaced_vs_floor",
    "fanout_burst_vs_floor",
    "fanout_last_listener_vs_floor",
    "hot_group_delay",
    "memory_per_connection",
    "idle_50k",
    "ack_million_vs_hundred",
    "bulk_join",
    "routed_vs_tail",
)
RESULTS = BUILD / "bench.json"


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value and its peer's, both in `unit`."""

    value: float
    unit: str
    peer: float
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        return self.value / self.peer


def measure(name: str, progress: Progress) -> Figure:
    """Run the module of that name; it takes the machine for itself for a minute or more."""
    return importlib.import_module(f"bench.{name}").measure(progress)


def keep(name: str, figure: Figure) -> None:
    """Put the figure into `build/bench.json`, beside those that are there."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    fields = asdict(figure)
    extra = fields.pop("extra")
    results[name] = {
        **fields,
        "ratio": round(figure.ratio, 3),
        "command": f"make bench FIGURE={name}",
        **extra,
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
