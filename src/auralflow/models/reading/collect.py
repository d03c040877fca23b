"""Collects the given files into one checkpoint."""

import dataclasses
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auralflow.errors import ModelError, NotFoundError, UsageError
from auralflow.models.reading.archives import extract_checkpoint, is_needed
from auralflow.models.reading.files import Kind, describe_file, kind_of, tail_md5
from auralflow.models.reading.onnx_file import read_onnx
from auralflow.models.reading.pytorch_file import read_pytorch
from auralflow.models.reading.safetensors_file import read_safetensors
from auralflow.models.reading.settings_file import read_settings_file
from auralflow.models.reading.tensorflow_bundle import bundle_files, read_bundle
from auralflow.nets.checkpoint import Checkpoint, CheckpointPart

__all__ = ["read_checkpoint"]

READERS = {"pytorch": read_pytorch, "safetensors": read_safetensors, "onnx": read_onnx}
MAX_PARTS = 64


def read_checkpoint(files: Iterable[Path], *, settings: Path | None = None) -> Checkpoint:
    """Read the files of a published model.

    Args:
        files: Weights files, archives or folders of them, optionally with the YAML or JSON file published
            with them.
        settings: The YAML or JSON file, if it is not among ``files``.

    Returns:
        The checkpoint.

    Raises:
        NotFoundError: If a file does not exist.
        UsageError: If no weights or several settings files are given.
        ModelError: If a file is damaged, has an unknown format, or would run code.
    """
    given = [file for path in files for file in _files_of(path)]
    with tempfile.TemporaryDirectory(prefix="auralflow-") as scratch:
        found = list(_open(given, Path(scratch)))
        texts = [one for one in found if one.kind == "settings"]
        weights = [one for one in found if one.kind != "settings"]
        chosen = [_Found(settings, "settings", settings.name)] if settings else texts
        parts, read = _read_parts(weights)
        archives = {one.archive: one.archive.name for one in read if one.archive}
        named = {**archives, **{one.path: one.name for one in (*read, *chosen)}}
        return Checkpoint(
            parts=parts,
            settings=_merged([one.path for one in chosen]),
            settings_file=", ".join(one.path.name for one in chosen),
            sources=tuple(
                dataclasses.replace(describe_file(path), name=name) for path, name in named.items()
            ),
        )


@dataclass(frozen=True)
class _Found:
    """A file to read.

    Attributes:
        path: Its path.
        kind: Its format.
        name: Its name, prefixed by that of its archive, if any.
        archive: The archive it comes from, if any.
    """

    path: Path
    kind: Kind
    name: str
    archive: Path | None = None


def _open(given: list[Path], scratch: Path) -> Iterator[_Found]:
    """The given files, with archives replaced by their contents."""
    for number, path in enumerate(given):
        kind = kind_of(path)
        if kind == "archive":
            yield from _in_archive(path, scratch / str(number))
        else:
            yield _Found(path, kind, path.name)


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.is_file() and is_needed(file.name))
        if not found:
            raise NotFoundError(f"no weights in the folder '{path}'")
        return found
    if not path.exists():
        raise NotFoundError(f"no such file: '{path}'")
    return [path]


def _in_archive(path: Path, folder: Path) -> Iterator[_Found]:
    """The weights files in an archive, and the settings files in the same folders."""
    folder.mkdir()
    known = {file: kind for file in extract_checkpoint(path, folder) if (kind := _kind_or_none(file))}
    homes = {file.parent for file, kind in known.items() if kind not in ("settings", "archive")}
    if not homes:
        raise ModelError(f"cannot import '{path}'", found="an archive without weights", expected="weights")
    for file, kind in known.items():
        if kind != "archive" and file.parent in homes:
            yield _Found(file, kind, f"{path.name}/{file.relative_to(folder).as_posix()}", path)


def _kind_or_none(path: Path) -> Kind | None:
    """The format of a file in an archive, if any; many files of programs only look like weights."""
    try:
        return kind_of(path)
    except ModelError:
        return None


def _read_parts(weights: list[_Found]) -> tuple[tuple[CheckpointPart, ...], list[_Found]]:
    """The parts, and the files they were read from."""
    if not weights:
        raise UsageError("no weights given", expected="one or more weights files")
    if len(weights) > MAX_PARTS:
        raise UsageError("too many files", found=str(len(weights)), expected=f"at most {MAX_PARTS}")
    parts: list[CheckpointPart] = []
    read: dict[Path, _Found] = {}
    for one in weights:
        if one.path in read:
            continue
        if one.kind == "tensorflow":
            index, data = bundle_files(one.path)
            folder = one.name.removesuffix(one.path.name)
            read |= {
                file: _Found(file, one.kind, f"{folder}{file.name}", one.archive) for file in (index, data)
            }
            parts.append(read_bundle(index, data))
        else:
            read[one.path] = one
            parts.append(dataclasses.replace(READERS[one.kind](one.path), file_md5=tail_md5(one.path)))
    return tuple(parts), list(read.values())


def _merged(files: list[Path]) -> dict[str, Any]:
    """The settings of one file, or of several files by name."""
    if len(files) == 1:
        return read_settings_file(files[0])
    return {file.stem: read_settings_file(file) for file in files}
