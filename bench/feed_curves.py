"""Draws the curves of docs/feeds.md and fills its tables, from bench/feed_costs.json.

`python -m bench.feed_curves`; `python -m bench.feed_costs` measures the costs anew.
"""

import json

from bench.contenders import PEERS_PYTHON, build_peers
from bench.feed_costs import RESULT
from bench.paths import BENCH, BUILD, ROOT
from bench.processes import run

DOCUMENT = ROOT / "docs/feeds.md"
IMAGES = ROOT / "docs/images"
POSTS = {
    "followers": "followers",
    "mode": "mode",
    "records": "Kafka records",
    "copies": "copies",
    "bytes": "bytes kept",
    "core_ms": "ms of a worker's core",
}
PAGES = {
    "followees": "followed",
    "mode": "mode",
    "cold_queries": "questions to agents",
    "cold_p50_ms": "p50 asked, ms",
    "cold_core_ms": "ms of a core for it",
    "warm_p50_ms": "p50 from memory, ms",
}


def main() -> None:
    costs = json.loads(RESULT.read_text())
    build_peers()
    BUILD.mkdir(exist_ok=True)
    run([PEERS_PYTHON, BENCH / "feed_plots.py", RESULT, IMAGES], BUILD / "feed_plots.log")
    text = DOCUMENT.read_text()
    text = with_table(text, "posts", table(costs["posts"], POSTS))
    DOCUMENT.write_text(with_table(text, "pages", table(costs["pages"], PAGES)))


def table(rows: list[dict], columns: dict[str, str]) -> str:
    lines = [list(columns.values()), ["---"] * len(columns)]
    lines += [[shown(row[name]) for name in columns] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value == round(value) or value >= 100 else f"{value:,.2f}"


def with_table(text: str, name: str, found: str) -> str:
    """The text with a table between the marks of that name."""
    begin, end = f"<!-- {name} begin -->\n", f"<!-- {name} end -->\n"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{found}\n{end}{after}"


if __name__ == "__main__":
    main()
