"""Separation of files: one song or a folder of them."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auralflow.audio import Audio, AudioWriter, is_audio, probe, stream_audio
from auralflow.errors import AudioError, AuralflowError, NotFoundError
from auralflow.separation.stream import SeparatedBlock, Separator

__all__ = ["OUTPUT_FOLDER", "Outcome", "Song", "find_songs", "separate_file", "separate_files"]

OUTPUT_FOLDER = "separated_audio"
MIXTURE = "mixture"


@dataclass(frozen=True)
class Song:
    """A file to be separated.

    Attributes:
        path: The file.
        name: Where its stems go, relative to ``separated_audio``.
    """

    path: Path
    name: Path


@dataclass(frozen=True)
class Outcome:
    """What became of a song.

    Attributes:
        song: The song.
        folder: The folder with its stems.
        seconds: Length of the audio that was separated.
        error: Why it failed, None if it did not.
    """

    song: Song
    folder: Path
    seconds: float = 0.0
    error: AuralflowError | None = None


def find_songs(paths: Iterable[Path]) -> list[Song]:
    """List the audio files under some paths.

    Folders are searched whole, and their tree is mirrored in the output. A folder with a ``mixture`` file, as
    in MUSDB18, is one song of the folder's name. Hidden files, and results of earlier runs, are left out.

    Args:
        paths: Files and folders. A file that is named is taken whatever its ending.

    Returns:
        The songs, each with a name of its own: where two would share one, their endings are added to it,
        then a number.

    Raises:
        NotFoundError: If a path does not exist, or there is no audio under any of them.
    """
    songs: list[Song] = []
    for path in paths:
        if path.is_dir():
            songs.extend(_songs_in(path, Path()))
        elif path.exists():
            songs.append(_song(path, Path()))
        else:
            raise NotFoundError(f"no such file or folder: '{path}'", expected="a song or a folder of songs")
    if not songs:
        raise NotFoundError(
            "there is nothing to separate",
            found="no audio file in " + ", ".join(f"'{path}'" for path in paths),
            expected="wav, flac, ogg, mp3, m4a and the like",
        )
    return _with_own_names(songs)


def _song(path: Path, parent: Path) -> Song:
    if path.stem.lower() == MIXTURE:
        return Song(path, parent / (path.resolve().parent.name or MIXTURE))
    return Song(path, parent / path.stem)


def _songs_in(folder: Path, parent: Path) -> Iterator[Song]:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    files = [entry for entry in entries if entry.is_file() and is_audio(entry)]
    mixtures = [file for file in files if file.stem.lower() == MIXTURE]
    if mixtures:
        yield Song(mixtures[0], parent.parent / folder.resolve().name)
    else:
        yield from (_song(file, parent) for file in files)
    for entry in entries:
        # A link to a folder could lead back up, and round and round.
        if entry.is_dir() and not entry.is_symlink() and entry.name != OUTPUT_FOLDER:
            yield from _songs_in(entry, parent / entry.name)


def _with_own_names(songs: Sequence[Song]) -> list[Song]:
    def key(name: Path) -> str:
        # Some file systems do not tell upper from lower case.
        return os.fspath(name).casefold()

    shared = Counter(key(song.name) for song in songs)
    taken: set[str] = set()
    result = []
    for song in songs:
        base = song.name if shared[key(song.name)] == 1 else song.name.with_name(song.path.name)
        name, number = base, 1
        while key(name) in taken:
            number += 1
            name = base.with_name(f"{base.name} ({number})")
        taken.add(key(name))
        result.append(Song(song.path, name))
    return result


def separate_file(
    separator: Separator,
    path: Path,
    folder: Path,
    *,
    residual: bool = False,
    duration: float | None = None,
    on_progress: Callable[[float], None] = lambda _: None,
) -> float:
    """Separate a file into ``original.wav``, a file for each target and, if asked for, ``residual.wav``.

    The stems have the file's sample rate, channels and length, as 32-bit float WAV: nothing clips, nothing is
    rescaled, and the residual is the original minus the targets to the last bit. No file is there before it
    is whole.

    Args:
        separator: The separator.
        path: The audio file.
        folder: The folder for the stems, made when missing.
        residual: Whether to write the residual.
        duration: Separate the first seconds only.
        on_progress: Is told the share that is done, 0 to 1.

    Returns:
        Seconds of audio separated.

    Raises:
        AudioError: If the file cannot be read, holds no samples, or the stems cannot be written.
    """
    info = probe(path)
    frames = info.frames if duration is None else min(info.frames, round(duration * info.sample_rate))
    if frames == 0:
        raise AudioError(f"'{path}' holds no samples", expected="at least one")
    names = ["original", *separator.targets, *(["residual"] if residual else [])]
    done = 0
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(
                AudioWriter(folder / f"{name}.wav", info.sample_rate, info.channels, frames=frames)
            )
            for name in names
        }
        blocks = stream_audio(path, frames=frames)
        for block in separator.stream(blocks, info.sample_rate, info.channels):
            for name, audio in zip(names, _stems(block, residual=residual), strict=True):
                writers[name].write(audio)
            done += block.original.shape[-1]
            on_progress(done / frames)
    return done / info.sample_rate


def _stems(block: SeparatedBlock, *, residual: bool) -> Iterator[Audio]:
    yield block.original
    yield from block.targets
    if residual:
        # In double precision, so that the difference is rounded once.
        yield (block.original - block.targets.sum(axis=0, dtype=np.float64)).astype(np.float32)


def separate_files(
    separator: Separator,
    songs: Sequence[Song],
    save: Path,
    *,
    residual: bool = False,
    duration: float | None = None,
    on_progress: Callable[[Song, float], None] = lambda *_: None,
) -> Iterator[Outcome]:
    """Separate songs one after the other; one that fails does not stop the others.

    Args:
        separator: The separator.
        songs: The songs, as `find_songs` lists them.
        save: Folder in which ``separated_audio`` is made.
        residual: Whether to write the residuals.
        duration: Separate the first seconds of each only.
        on_progress: Is told the song under way and the share of it that is done.

    Yields:
        The outcome of each song.
    """
    for song in songs:
        folder = save / OUTPUT_FOLDER / song.name
        try:
            seconds = separate_file(
                separator,
                song.path,
                folder,
                residual=residual,
                duration=duration,
                on_progress=lambda share, song=song: on_progress(song, share),  # type: ignore[misc]
            )
        except AuralflowError as error:
            yield Outcome(song, folder, error=error)
        except OSError as error:
            failure = AudioError(f"cannot write the stems of '{song.path}'", found=str(error))
            yield Outcome(song, folder, error=failure)
        else:
            yield Outcome(song, folder, seconds)
