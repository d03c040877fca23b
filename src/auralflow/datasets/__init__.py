"""Datasets of music: the index of a folder, chunks for training and validation.

The index does not need torch; chunks and loaders do, and are imported on first use.
"""

from typing import TYPE_CHECKING

from auralflow.datasets.splits import training_tracks
from auralflow.datasets.tracks import Split, Track, index_split, read_track, sources_of
from auralflow.lazy import load_later

if TYPE_CHECKING:
    from auralflow.datasets.chunks import Chunk, ValidationChunks
    from auralflow.datasets.loader import EpochSampler, train_loader, valid_loader
    from auralflow.datasets.remix import TrainingChunks

__all__ = [
    "Chunk",
    "EpochSampler",
    "Split",
    "Track",
    "TrainingChunks",
    "ValidationChunks",
    "index_split",
    "read_track",
    "sources_of",
    "train_loader",
    "training_tracks",
    "valid_loader",
]

_LATER = {
    "Chunk": "auralflow.datasets.chunks",
    "EpochSampler": "auralflow.datasets.loader",
    "TrainingChunks": "auralflow.datasets.remix",
    "ValidationChunks": "auralflow.datasets.chunks",
    "train_loader": "auralflow.datasets.loader",
    "valid_loader": "auralflow.datasets.loader",
}
"""Modules of the names that need torch."""

if not TYPE_CHECKING:  # see `load_later`
    __getattr__, __dir__ = load_later(__name__, _LATER, __all__)
