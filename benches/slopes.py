"""Plots the time of a first plan over the size of the network, from the results of
`cargo bench -p dmos-benches --bench bootstrap`: `python3 benches/slopes.py target/release/dmos > docs/bootstrap.svg`. The slopes go to standard error.
"""

import json
import math
import pathlib
import subprocess
import sys

MEASURED = pathlib.Path("target/criterion/bootstrap")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 460, 64, 170, 34, 48
COLOURS = ["#1b6ca8", "#b8442b", "#3a7d44", "#7a4fa3", "#c98a1a", "#2a9d9d", "#8c564b", "#d1568f", "#5b6770", "#9aa51c", "#222222"]


def entries(dmos, size):
    """Returns the number of entries of the recipes of a network: nodes and their requirements."""
    items, _, per_item = size.partition("x")
    generate = {"types": items, "nodes_per_type": per_item or "2", "complexity": "low" if per_item else "high"}
    settings = [part for key, value in generate.items() for part in ("--set", f"network.generate.{key}={value}")]
    command = [dmos, "network", "scenarios/seed/small-no-fail.yaml", "--format", "json", *settings]
    nodes = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["nodes"]
    return sum(1 + len(node["requires"]) for node in nodes)


def measured(dmos):
    """By strategy, (entries, seconds) in ascending order."""
    by_size, lines = {}, {}
    for strategy in sorted(MEASURED.iterdir()):
        if not strategy.is_dir() or strategy.name == "report":
            continue
        for size in strategy.iterdir():
            estimates = size / "new" / "estimates.json"
            if estimates.exists():
                seconds = json.loads(estimates.read_text())["median"]["point_estimate"] / 1e9
                at = by_size.setdefault(size.name, None) or entries(dmos, size.name)
                by_size[size.name] = at
                lines.setdefault(strategy.name, []).append((at, seconds, size.name))
    return {name: sorted(points) for name, points in lines.items()}


def axis(low, high):
    return range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)


def power(exponent):
    return f'10<tspan dy="-5" font-size="9">{exponent}</tspan>'


def duration(exponent):
    unit, of = [("ns", -9), ("µs", -6), ("ms", -3), ("s", 0)][min((exponent + 9) // 3, 3)]
    return f"{10 ** (exponent - of)} {unit}"


def main():
    lines = measured(sys.argv[1])
    points = [point for line in lines.values() for point in line]
    xs, ys = (axis(min(p[i] for p in points), max(p[i] for p in points)) for i in (0, 1))
    across = lambda x: LEFT + (math.log10(x) - xs[0]) / (xs[-1] - xs[0]) * (WIDTH - LEFT - RIGHT)
    up = lambda y: HEIGHT - BOTTOM - (math.log10(y) - ys[0]) / (ys[-1] - ys[0]) * (HEIGHT - TOP - BOTTOM)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14">Time of a first plan by the size of the network</text>',
    ]
    for x in xs:
        at = across(10**x)
        out.append(f'<path d="M{at:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        out.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{power(x)}</text>')
    for y in ys:
        at = up(10**y)
        out.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{duration(y)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    out.append(f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">entries of all recipes</text>')
    # Linear growth, to hold the lines against.
    x0, x1 = 10 ** xs[0], 10 ** xs[-1]
    y0 = 10 ** ys[0] * 2
    end = min(x1, x0 * 10 ** ys[-1] / y0)
    out.append(
        f'<path d="M{across(x0):.1f} {up(y0):.1f}L{across(end):.1f} {up(y0 * end / x0):.1f}" stroke="#999" stroke-dasharray="4 4"/>'
    )
    labels = []
    for colour, (name, line) in zip(COLOURS, sorted(lines.items(), key=lambda item: item[1][-1][1])):
        path = "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y, _ in line)
        out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        out.extend(f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="2.4" fill="{colour}"/>' for x, y, _ in line)
        # Names one below the other, in the order of their lines' ends.
        labels.append((up(line[-1][1]), name, colour))
        sizes = {size: (x, y) for x, y, size in line}
        if {"50x3", "2000x3"} <= sizes.keys():
            (ax, ay), (bx, by) = sizes["50x3"], sizes["2000x3"]
            slope = math.log(by / ay) / math.log(bx / ax)
            print(f"{name}: from 50 to 2,000 items as the recipes' entries to the {slope:.2f}", file=sys.stderr)
    at = HEIGHT
    for y, name, colour in sorted(labels, reverse=True):
        at = min(y, at - 15)
        out.append(f'<text x="{WIDTH - RIGHT + 10}" y="{at + 4:.1f}" fill="{colour}">{name}</text>')
    out.append(f'<text x="{WIDTH - RIGHT + 10}" y="{HEIGHT - 12}" fill="#777">dashed: linear growth</text>')
    out.append("</svg>")
    print("\n".join(out))


main()
