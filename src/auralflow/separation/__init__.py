"""Separation of signals, streams, files and folders.

- `Separator`: separates signals and streams; `SeparatedBlock`: a block that `Separator.stream` has finished
- `separate_file`, `separate_files`: separate files and folders, and write stems
- `plan_files`, `find_songs`: show in advance what would be separated
"""

from auralflow.separation.folder import separate_files
from auralflow.separation.plan import Plan, PlannedSong, plan_files
from auralflow.separation.song import SongReport, separate_file
from auralflow.separation.songs import Song, find_songs
from auralflow.separation.stream import SeparatedBlock, Separator
from auralflow.separation.work import Outcome

__all__ = [
    "Outcome",
    "Plan",
    "PlannedSong",
    "SeparatedBlock",
    "Separator",
    "Song",
    "SongReport",
    "find_songs",
    "plan_files",
    "separate_file",
    "separate_files",
]
