"""Plots of a training run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from auralflow.config import read_settings
from auralflow.errors import NotFoundError, UsageError
from auralflow.visualizer.canvas import COLORS, dress, new_figure, set_title

__all__ = ["read_history", "training_curves"]

HISTORY_FILE = "summary.json"
MODEL_FILE = "model.json"
RATE = "learning rate"


def read_history(path: str | Path) -> list[dict[str, Any]]:
    """Read the epochs of a training run.

    Args:
        path: A model folder, or its ``summary.json``.

    Returns:
        A record for each epoch.

    Raises:
        NotFoundError: If there is no such file, or the model is not trained yet.
        UsageError: If it records no epoch.
    """
    path = Path(path)
    file = path / HISTORY_FILE if path.is_dir() else path
    if path.is_dir() and not file.is_file():
        raise _no_history(path)
    epochs = read_settings(file).get("epochs")
    if not isinstance(epochs, list) or not epochs or not all("train_loss" in epoch for epoch in epochs):
        raise UsageError(f"'{file}' records no training", expected='"epochs" with a "train_loss" each')
    return epochs


def _no_history(folder: Path) -> NotFoundError:
    if (folder / MODEL_FILE).is_file():
        return NotFoundError(
            f"the model '{folder}' has no record of a training",
            found=f"no {HISTORY_FILE}, which training writes",
            advice="Train it first: auralflow train.",
        )
    return NotFoundError(
        f"cannot plot the folder '{folder}'",
        found=f"neither {MODEL_FILE} nor {HISTORY_FILE}",
        expected="the folder of a trained model, or audio files",
    )


def training_curves(history: Sequence[Mapping[str, Any]], *, title: str = "") -> Figure:
    """Losses, improvement of each target and learning rate over the epochs.

    Args:
        history: A record for each epoch: ``train_loss``, and where known ``epoch``, ``valid_loss``,
            ``si_sdr_improvement`` (dB by target) and ``lr``.
        title: Above the picture.

    Returns:
        The figure, with one axes for each kind of curve present.

    Raises:
        UsageError: If the history is empty.

    Example:
        >>> figure = training_curves([{"train_loss": 0.5}, {"train_loss": 0.4}])
        >>> figure.axes[0].get_ylabel(), len(figure.axes)
        ('loss', 1)
    """
    if not history:
        raise UsageError("cannot draw a training", found="no epoch", expected="one or more")
    epochs = [record.get("epoch", number) for number, record in enumerate(history, start=1)]
    improvement = [record.get("si_sdr_improvement") or {} for record in history]
    # A target that never sounds in validation has no score.
    scored = (target for record in improvement for target, value in record.items() if value is not None)
    targets = list(dict.fromkeys(scored))
    loss_curves = {
        name: [record.get(key) for record in history]
        for key, name in (("train_loss", "training"), ("valid_loss", "validation"))
    }
    panels: list[tuple[str, dict[str, list[Any]]]] = [("loss", loss_curves)]
    if targets:
        curves = {target: [record.get(target) for record in improvement] for target in targets}
        panels.append(("SI-SDR improvement / dB", curves))
    if any(record.get("lr") is not None for record in history):
        panels.append((RATE, {RATE: [record.get("lr") for record in history]}))
    figure = new_figure(7, 0.6 + 2.0 * len(panels))
    rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (label, lines) in zip(rows, panels, strict=True):
        _draw_curves(axes, epochs, lines, label)
        if label == RATE:
            # A constant rate would fill the axes with its rounding errors.
            axes.set_ylim(bottom=0, top=1.1 * max(axes.get_ylim()))
    best = _best_epoch(epochs, loss_curves["validation"])
    if best is not None:
        rows[0].axvline(best, color="0.6", linewidth=0.8, linestyle=":", label=f"best: epoch {best}")
        rows[0].legend(fontsize="small", frameon=False)
    rows[-1].set_xlabel("epoch")
    rows[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    set_title(rows[0], title)
    return figure


def _draw_curves(axes: Axes, epochs: Sequence[int], lines: Mapping[str, Sequence[Any]], label: str) -> None:
    for color, (name, values) in zip(COLORS * (1 + len(lines) // len(COLORS)), lines.items(), strict=False):
        known = [(epoch, value) for epoch, value in zip(epochs, values, strict=True) if value is not None]
        if known:
            axes.plot(
                *zip(*known, strict=True), color=color, marker="o", markersize=3, linewidth=1.2, label=name
            )
    dress(axes, y=label, grid=True)
    if len(lines) > 1:
        axes.legend(fontsize="small", frameon=False)


def _best_epoch(epochs: Sequence[int], losses: Sequence[float | None]) -> int | None:
    known = [(loss, epoch) for loss, epoch in zip(losses, epochs, strict=True) if loss is not None]
    return min(known)[1] if known else None
