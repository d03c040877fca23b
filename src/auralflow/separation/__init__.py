"""Separation of signals, streams, files and folders."""

from auralflow.separation.files import Outcome, Song, find_songs, separate_file, separate_files
from auralflow.separation.stream import SeparatedBlock, Separator

__all__ = [
    "Outcome",
    "SeparatedBlock",
    "Separator",
    "Song",
    "find_songs",
    "separate_file",
    "separate_files",
]
