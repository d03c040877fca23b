"""Plots of audio, masks and training runs, with units on every axis and fixed limits.

Every function returns a new ``matplotlib`` figure, drawn without a window and without ``pyplot``, so it works
on a server, in a thread and in a notebook alike. The colours suit colour-blind readers too. Levels are in dB
relative to full scale, with the same limits in every plot, so that any two can be compared.

Example:
    >>> import numpy as np
    >>> figure = spectrogram(np.random.default_rng(0).uniform(-1, 1, (2, 44100)), 44100, title="noise")
    >>> figure.axes[0].get_ylabel()
    'frequency / kHz'
"""

from auralflow.visualizer.canvas import new_figure, save_figure, to_image
from auralflow.visualizer.comparing import comparison, difference, mask
from auralflow.visualizer.files import PlotKind, plot_files
from auralflow.visualizer.scores import score_boxes, scores_over_time
from auralflow.visualizer.signals import Signal, mel_spectrogram, spectrogram, waveform
from auralflow.visualizer.training import read_history, training_curves

__all__ = [
    "PlotKind",
    "Signal",
    "comparison",
    "difference",
    "mask",
    "mel_spectrogram",
    "new_figure",
    "plot_files",
    "read_history",
    "save_figure",
    "score_boxes",
    "scores_over_time",
    "spectrogram",
    "to_image",
    "training_curves",
    "waveform",
]
