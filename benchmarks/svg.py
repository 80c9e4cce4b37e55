"""Bar and line plots as SVG, readable on light and dark backgrounds."""

from __future__ import annotations

import math
from html import escape

STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #57606a }
.grid { stroke: #8b949e; stroke-opacity: .35 }
.a { fill: #2f7fd6 } .b { fill: #8b949e }
.line { fill: none; stroke-width: 2 }
@media (prefers-color-scheme: dark) { text { fill: #c9d1d9 } }
</style>"""
COLOURS = ("#2f7fd6", "#d9822b", "#3a9d5d", "#a371f7", "#8b949e")
WIDTH, LEFT, TOP, BAR = 760, 290, 40, 28


def bars(title: str, rows: list[tuple[str, float, bool]], unit: str, mark: float | None = None) -> str:
    """Rows are a label, a value, and True for our own bar. ``mark`` draws a line, such as at the floor's 1."""
    high = max((value for _, value, _ in rows), default=1) * 1.02 or 1
    scale = (WIDTH - LEFT - 80) / high
    height = TOP + BAR * len(rows) + 12
    parts = []
    if mark is not None:
        x = LEFT + mark * scale
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - 8}"/>')
    for number, (label, value, ours) in enumerate(rows):
        y, width = TOP + BAR * number, value * scale
        parts.append(f'<text x="{LEFT - 8}" y="{y + 16}" text-anchor="end">{escape(label)}</text>')
        colour = "a" if ours else "b"
        parts.append(f'<rect class="{colour}" x="{LEFT}" y="{y + 3}" width="{width:.1f}" height="{BAR - 10}"/>')
        parts.append(f'<text x="{LEFT + width + 6:.1f}" y="{y + 16}">{escape(_number(value) + unit)}</text>')
    return _document(title, height, parts)


def lines(title: str, series: dict[str, list[tuple[float, float]]], below: str) -> str:
    """Each series is a list of points in order of x; x is logarithmic, y starts at 0."""
    points = [point for points in series.values() for point in points]
    low, high = (math.log10(f(x for x, _ in points)) for f in (min, max))
    step = _step(max(y for _, y in points) / 4)
    top = 5 * step
    bottom, right, left = 300, WIDTH - 270, 60

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - low) / ((high - low) or 1)
        return left + across * (right - left), bottom - y / top * (bottom - TOP)

    parts = []
    for value in (number * step for number in range(6)):
        y = place(points[0][0], value)[1]
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{value:,g}</text>')
    for x in sorted({x for x, _ in points}):
        parts.append(f'<text x="{place(x, 0)[0]:.1f}" y="{bottom + 20}" text-anchor="middle">{x:,.0f}</text>')
    parts.append(f'<text x="{(left + right) / 2:.0f}" y="{bottom + 42}" text-anchor="middle">{escape(below)}</text>')
    for number, (label, series_points) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in series_points))
        parts.append(f'<polyline class="line" stroke="{colour}" points="{path}"/>')
        parts += [
            f'<circle fill="{colour}" cx="{x.split(",")[0]}" cy="{x.split(",")[1]}" r="3"/>' for x in path.split()
        ]
        y = TOP + 10 + 22 * number
        parts.append(f'<rect fill="{colour}" x="{right + 20}" y="{y - 10}" width="12" height="12"/>')
        parts.append(f'<text x="{right + 38}" y="{y}">{escape(label)}</text>')
    return _document(title, bottom + 56, parts)


def _document(title: str, height: int, parts: list[str]) -> str:
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}">\n{STYLE}\n<text x="8" y="20" font-weight="600">{escape(title)}</text>\n'
        f"{body}\n</svg>\n"
    )


def _step(least: float) -> float:
    """Return the smallest of 1, 2, 2.5, 5 times a power of ten that is at least ``least``."""
    power = 10 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= least)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
