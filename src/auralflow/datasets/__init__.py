"""Datasets of music: the index of a folder, chunks for training and validation, generated songs."""

from auralflow.datasets.chunks import Chunk, ValidationChunks
from auralflow.datasets.loader import EpochSampler, train_loader, valid_loader
from auralflow.datasets.remix import TrainingChunks
from auralflow.datasets.splits import training_tracks
from auralflow.datasets.tracks import Split, Track, index_split, read_track, sources_of

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
