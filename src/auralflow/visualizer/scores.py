"""Pictures of scores."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from auralflow.errors import UsageError
from auralflow.visualizer.canvas import COLORS, dress, new_figure, set_title, time_axis

__all__ = ["score_boxes", "scores_over_time"]


def score_boxes(
    scores: Mapping[str, Mapping[str, Sequence[float]]], *, label: str = "SI-SDR / dB", title: str = ""
) -> Figure:
    """Box plots of scores over tracks: a group for each target, a box for each system.

    A box spans the middle half of the tracks, its line is their median, its whiskers the range; every track
    is a dot.

    Args:
        scores: The score of each track, by system and target; NaN is omitted.
        label: Metric and unit.
        title: Above the picture.

    Returns:
        The figure.

    Raises:
        UsageError: If there is no score.

    Example:
        >>> score_boxes({"model": {"vocals": [1.0, 2.0, 4.0]}}).axes[0].get_ylabel()
        'SI-SDR / dB'
    """
    targets = list(dict.fromkeys(target for system in scores.values() for target in system))
    if not targets:
        raise UsageError("cannot draw scores", found="no target", expected="one or more")
    figure = new_figure(min(9.0, 3.0 + 0.35 * len(scores) * len(targets)), 3.6)
    axes = figure.subplots()
    width = 0.8 / max(1, len(scores))
    jitter = np.random.default_rng(0)
    for row, (system, columns) in enumerate(scores.items()):
        color = COLORS[row % len(COLORS)]
        for place, target in enumerate(targets):
            values = np.asarray(columns.get(target, ()), dtype=float)
            values = values[np.isfinite(values)]
            if not values.size:
                continue
            centre = place + (row - (len(scores) - 1) / 2) * width
            axes.boxplot(
                values,
                positions=[centre],
                widths=0.75 * width,
                whis=(0, 100),
                manage_ticks=False,
                patch_artist=True,
                boxprops={"facecolor": color, "alpha": 0.35, "edgecolor": color},
                medianprops={"color": color, "linewidth": 2},
                whiskerprops={"color": color},
                capprops={"color": color},
            )
            spread = jitter.uniform(-0.2, 0.2, values.size) * width
            axes.plot(centre + spread, values, ".", color=color, markersize=3.5)
        axes.plot([], [], "s", color=color, alpha=0.6, label=system)
    axes.set_xticks(range(len(targets)), targets)
    dress(axes, y=label, grid=True)
    axes.xaxis.grid(visible=False)
    figure.legend(loc="outside upper right", ncols=min(5, len(scores)), fontsize="small", frameon=False)
    set_title(axes, title)
    return figure


def scores_over_time(
    scores: Mapping[str, Sequence[float]], *, window: float = 1.0, label: str = "SDR / dB", title: str = ""
) -> Figure:
    """Scores of consecutive windows of a track: a line for each target, with gaps where there is no score.

    Args:
        scores: The score of each window, by target; NaN where there is none.
        window: Length of a window in seconds.
        label: Metric and unit.
        title: Above the picture.

    Returns:
        The figure.

    Raises:
        UsageError: If there is no score.

    Example:
        >>> scores_over_time({"bass": [1.0, float("nan"), 3.0]}).axes[0].get_xlabel()
        'time / s'
    """
    if not scores or not any(len(values) for values in scores.values()):
        raise UsageError("cannot draw scores over time", found="none", expected="one or more")
    figure = new_figure(8, 2.6)
    axes = figure.subplots()
    for row, (target, frames) in enumerate(scores.items()):
        values = np.asarray(frames, dtype=float)
        # The score of an exact or an empty estimate is infinite, which no axis can show.
        values = np.where(np.isfinite(values), values, np.nan)
        centres = (np.arange(values.size) + 0.5) * window
        color = COLORS[row % len(COLORS)]
        axes.plot(centres, values, color=color, marker="o", markersize=2.5, linewidth=1.0, label=target)
    dress(axes, y=label, grid=True)
    time_axis(axes, max(len(values) for values in scores.values()) * window)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small", frameon=False)
    set_title(axes, title)
    return figure
