"""The growth of a box as one SVG, the same bytes for the same figures, so that it can be kept beside them."""

from pathlib import Path

import matplotlib

from . import place

matplotlib.use("svg")
from matplotlib import pyplot, ticker  # noqa: E402

SHOWN = (
    "accepts a second, 64 clients",
    "memory after the start, MiB",
    "start, s",
    "rebuild, events a second",
    "list of 100, p50 ms",
    "show, p50 ms",
)


def draw(counts: list[int], found: list[dict]) -> Path:
    # Text stays text, and ids do not change from one drawing to the next.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "growth", "font.family": "sans-serif"})
    figure, axes = pyplot.subplots(2, 3, figsize=(11, 6), layout="constrained")
    for name, axis in zip(SHOWN, axes.flat, strict=True):
        axis.plot(counts, [one[name] for one in found], marker="o")
        axis.set(title=name, xscale="log", ylim=(0, None), xlabel="items, and as many requests")
        axis.set_xticks(counts)
        axis.minorticks_off()
        axis.xaxis.set_major_formatter(ticker.EngFormatter())
        axis.yaxis.set_major_locator(ticker.MaxNLocator(4))
        axis.yaxis.set_major_formatter("{x:,.6g}")
        axis.grid(alpha=0.3)
    path = place.DATA / "growth.svg"
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    return path
