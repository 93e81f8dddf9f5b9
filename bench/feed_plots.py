"""Draws the curves of docs/feeds.md: `.venv-bench/bin/python bench/feed_plots.py COSTS.json FOLDER`."""

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
# The same costs give the same file.
mpl.rcParams |= {"svg.hashsalt": "readcast", "svg.fonttype": "none"}
from matplotlib import pyplot  # noqa: E402  after the choice of what draws

STYLES = {
    "pull": {"color": "#2a6fbb", "marker": "o", "linestyle": "-"},
    "push": {"color": "#c2562d", "marker": "s", "linestyle": "-"},
    "hybrid": {"color": "#3b8a4e", "marker": "^", "linestyle": "--"},
}


def main() -> None:
    costs, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    folder.mkdir(exist_ok=True)
    posts = [
        ("records", "Kafka records per post"),
        ("bytes", "bytes kept per post"),
        ("core_ms", "ms of a worker's core per post"),
    ]
    pages = [
        ("cold_p50_ms", "ms, p50 of a page asked of the agents"),
        ("cold_core_ms", "ms of a core for it, worker and gateway"),
        ("warm_p50_ms", "ms, p50 of a page from memory"),
    ]
    draw(costs["posts"], "followers", posts, folder / "feed-posts.svg", "log")
    draw(costs["pages"], "followees", pages, folder / "feed-pages.svg", "linear")


def draw(rows: list[dict], by: str, fields: list[tuple[str, str]], file: Path, scale: str) -> None:
    """A panel for each field, over the number of followers or followees."""
    figure, panels = pyplot.subplots(1, len(fields), figsize=(12, 3.6), layout="constrained")
    for panel, (field, title) in zip(panels, fields, strict=True):
        for mode, style in STYLES.items():
            points = [(row[by], row[field]) for row in rows if row["mode"] == mode]
            panel.plot(*zip(*points, strict=True), label=mode, markersize=5, **style)
        panel.set_xscale("log")
        panel.set_yscale(scale)
        if scale == "linear":
            panel.set_ylim(bottom=0)
        panel.set_title(title, fontsize=10)
        panel.set_xlabel(by)
        panel.grid(visible=True, which="major", alpha=0.3)
    panels[0].legend(frameon=False)
    figure.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    main()
