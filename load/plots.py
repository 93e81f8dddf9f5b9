"""Curves as SVG, for a page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 34, 34
COLORS = ("#2a6fbb", "#c2562d", "#3b8a4e", "#8a5aa8", "#777777")
TICKS = 4

Point = tuple[float, float]


def curves(title: str, unit: str, series: Mapping[str, Sequence[Point]], over: str = "s") -> str:
    """An SVG with a curve for each name; both axes begin at 0."""
    points = [point for curve in series.values() for point in curve]
    right = max((x for x, _ in points), default=1) or 1
    top = nice(max((y for _, y in points), default=1))

    def place(point: Point) -> str:
        x = LEFT + point[0] / right * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - point[1] / top * (HEIGHT - TOP - BOTTOM)
        return f"{x:.1f},{y:.1f}"

    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
            f' font-family="system-ui, sans-serif" font-size="11" fill="#333">'
        ),
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="16" font-size="13">{escape(title)}, {escape(unit)}</text>',
        *axes(right, top, over),
    ]
    for number, (name, curve) in enumerate(series.items()):
        color = COLORS[number % len(COLORS)]
        line = " ".join(map(place, curve))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="1.5"/>')
        parts.append(legend(number, name, color))
    return "\n".join([*parts, "</svg>"])


def axes(right: float, top: float, over: str) -> list[str]:
    """Lines and numbers."""
    parts = []
    for tick in range(TICKS + 1):
        part = tick / TICKS
        x = LEFT + part * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)
        parts += [
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>',
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number(part * top)}</text>',
            (
                f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
                f"{number(part * right)}</text>"
            ),
        ]
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{over}</text>')
    return parts


def legend(place: int, name: str, color: str) -> str:
    """The name of a curve, at the right."""
    x = WIDTH - RIGHT - 110 * (place + 1)
    return f'<text x="{x}" y="16" fill="{color}">{escape(name)}</text>'


def nice(value: float) -> float:
    """The next of 1, 2, 2.5, 4, 5, 6, 8 times a power of ten."""
    power = 1e-3
    while True:
        for factor in (1, 2, 2.5, 4, 5, 6, 8):
            if factor * power >= value:
                return factor * power
        power *= 10


def number(value: float) -> str:
    """Short, for an axis."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.3g}"
