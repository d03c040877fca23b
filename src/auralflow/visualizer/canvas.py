"""Figures without a window: making, styling and saving them."""

import warnings
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator
from numpy.typing import NDArray

from auralflow.errors import UsageError
from auralflow.storage import atomic_path

__all__ = [
    "COLORS",
    "PICTURE_SUFFIXES",
    "dress",
    "new_figure",
    "save_figure",
    "set_title",
    "time_axis",
    "to_image",
]

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Line colours that stay apart for colour-blind readers (Okabe and Ito, 2008)."""
PICTURE_SUFFIXES = (".png", ".svg", ".pdf")
DOTS_PER_INCH = 150
MINUTES_FROM = 120.0
"""From this many seconds on, a time axis counts minutes."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure that draws itself without a window.

    Args:
        width: In inches.
        height: In inches.

    Returns:
        The figure, with a layout that keeps labels inside it.

    Example:
        >>> new_figure(6, 3).get_size_inches().tolist()
        [6.0, 3.0]
    """
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def set_title(axes: Axes, title: str) -> None:
    """Set a title literally: a dollar sign in a song's name would otherwise start a formula."""
    if title:
        axes.set_title(title, fontsize="medium", loc="left", parse_math=False)


def dress(axes: Axes, *, x: str = "", y: str = "", grid: bool = False) -> None:
    """Label axes, with units, and remove what they do not need."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize="small")
    if grid:
        axes.grid(visible=True, color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)


def time_axis(axes: Axes, seconds: float, *, start: float = 0.0) -> None:
    """Label the time axis in seconds, or in minutes and seconds for a long signal.

    Args:
        axes: The axes.
        seconds: Length of the signal.
        start: Time of its first sample.
    """
    axes.set_xlim(start, start + seconds)
    if start + seconds < MINUTES_FROM:
        axes.set_xlabel("time / s")
        return
    axes.set_xlabel("time / min:s")
    axes.xaxis.set_major_locator(_minute_locator(seconds))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{int(value) // 60}:{int(value) % 60:02d}")
    )


def _minute_locator(seconds: float) -> MultipleLocator:
    steps = (15, 30, 60, 120, 300, 600, 1200, 3600)
    return MultipleLocator(next((step for step in steps if seconds / step <= 10), steps[-1]))


def save_figure(figure: Figure, path: str | Path) -> None:
    """Save a figure atomically.

    Args:
        figure: The figure.
        path: The file; its extension, .png, .svg or .pdf, determines the format.

    Raises:
        UsageError: If the extension is any other.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in PICTURE_SUFFIXES:
        raise UsageError(
            f"cannot draw to '{path}'", found=suffix or "no ending", expected=".png, .svg or .pdf"
        )
    with atomic_path(path) as part, _any_script():
        figure.savefig(part, format=suffix[1:])


def to_image(figure: Figure) -> NDArray[np.uint8]:
    """Draw a figure to pixels.

    Args:
        figure: The figure.

    Returns:
        ``[height, width, 3]``, red, green and blue from 0 to 255.

    Example:
        >>> to_image(new_figure(2, 1)).shape
        (150, 300, 3)
    """
    canvas = FigureCanvasAgg(figure)
    with _any_script():
        pixels, (columns, rows) = canvas.print_to_buffer()  # type: ignore[no-untyped-call]
    return np.frombuffer(pixels, dtype=np.uint8).reshape(rows, columns, 4)[..., :3].copy()


def _any_script() -> warnings.catch_warnings:
    # Characters that the font lacks are drawn as boxes; that is no reason to fail.
    return warnings.catch_warnings(action="ignore", category=UserWarning)
