"""From the files that were given to one checkpoint."""

import dataclasses
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from auralflow.errors import ModelError, NotFoundError, UsageError
from auralflow.models.reading.archives import extract_checkpoint, is_needed
from auralflow.models.reading.files import describe_file, kind_of, tail_md5
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
        files: Files of weights, archives of them, folders with them, and perhaps the YAML or JSON that was
            published beside them.
        settings: That file, if it is not among the others.

    Raises:
        NotFoundError: If a file does not exist.
        UsageError: If no weights or several files of settings are given.
        ModelError: If a file is damaged, is nothing known, or would run code.
    """
    given = [file for path in files for file in _files_of(path)]
    with tempfile.TemporaryDirectory(prefix="auralflow-") as scratch:
        weights: list[Path] = []
        beside: list[Path] = []
        for number, path in enumerate(given):
            kind = kind_of(path)
            if kind == "archive":
                inner, texts = _open_archive(path, Path(scratch) / str(number))
                weights += inner
                beside += texts
            else:
                (beside if kind == "settings" else weights).append(path)
        parts = _read_parts(weights)
        chosen = _settings(beside, settings)
        return Checkpoint(
            parts=parts,
            settings=_merged(chosen),
            settings_file=", ".join(path.name for path in chosen),
            sources=tuple(describe_file(path) for path in [*given, *([settings] if settings else [])]),
        )


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.is_file() and is_needed(file.name))
        if not found:
            raise NotFoundError(f"no weights in the folder '{path}'")
        return found
    if not path.exists():
        raise NotFoundError(f"no such file: '{path}'")
    return [path]


def _open_archive(path: Path, folder: Path) -> tuple[list[Path], list[Path]]:
    """Files of weights in an archive, and the settings that lie in the same folders as these."""
    folder.mkdir()
    files = [(file, _kind_or_none(file)) for file in extract_checkpoint(path, folder)]
    weights = [file for file, kind in files if kind not in (None, "settings", "archive")]
    if not weights:
        raise ModelError(f"cannot import '{path}'", found="an archive without weights", expected="weights")
    homes = {file.parent for file in weights}
    return weights, [file for file, kind in files if kind == "settings" and file.parent in homes]


def _kind_or_none(path: Path) -> str | None:
    """What a file of an archive is; archives of programs hold much that only looks like weights."""
    try:
        return kind_of(path)
    except ModelError:
        return None


def _read_parts(weights: list[Path]) -> tuple[CheckpointPart, ...]:
    if not weights:
        raise UsageError("no weights were given", expected="one or more files of weights")
    if len(weights) > MAX_PARTS:
        raise UsageError("too many files", found=str(len(weights)), expected=f"at most {MAX_PARTS}")
    parts: list[CheckpointPart] = []
    bundles: set[Path] = set()
    for path in weights:
        kind = kind_of(path)
        if kind == "tensorflow":
            index, data = bundle_files(path)
            if index not in bundles:
                bundles.add(index)
                parts.append(read_bundle(index, data))
        else:
            parts.append(dataclasses.replace(READERS[kind](path), file_md5=tail_md5(path)))
    return tuple(parts)


def _settings(beside: list[Path], chosen: Path | None) -> list[Path]:
    return [chosen] if chosen else beside


def _merged(files: list[Path]) -> dict[str, Any]:
    """The settings of one file, or of several by their names."""
    if len(files) == 1:
        return read_settings_file(files[0])
    return {file.stem: read_settings_file(file) for file in files}
