"""What to say about a folder that is no dataset: what it contains, what was expected, and what to do."""

from pathlib import Path

from auralflow.audio import is_audio
from auralflow.datasets.tracks import Split, list_folder, split_of
from auralflow.errors import DatasetError, first_of

__all__ = ["no_tracks"]

SHOWN = 8
"""Number of entries of the folder to name."""


def no_tracks(dataset: Path, what: str, *, split: Split = "train") -> DatasetError:
    """Create the error for a dataset without tracks.

    Args:
        dataset: Its folder.
        what: What could not be done.
        split: The split that was expected. Default: ``"train"``.

    Returns:
        The error, which names what the folder contains instead. Its advice is for the usual mistakes: a
        split, a track, a folder of tracks or the folder above in place of a dataset.
    """
    names = [entry.name for entry in list_folder(dataset)]
    return DatasetError(
        what,
        found=first_of(names, SHOWN) or "an empty folder",
        expected=f"{split}/<track>/vocals.wav and so on",
        advice=_advice(dataset, split),
    )


def _advice(dataset: Path, split: Split) -> str:
    if _has_audio(dataset):
        return f"This is a track: move it into a folder {split}, and give the folder that contains {split}."
    folders = _folders(dataset)
    if any(split_of(folder.name) for folder in folders):
        return ""
    datasets = [folder for folder in folders if any(split_of(part.name) for part in _folders(folder))]
    if datasets:
        names = " or ".join(f"'{folder}'" for folder in datasets[:SHOWN])
        return f"This is the folder above {'a dataset' if len(datasets) == 1 else 'datasets'}: give {names}."
    if not any(map(_has_audio, folders)):
        return ""
    whole = dataset.resolve()
    if split_of(whole.name):
        # As it was given, if it was given by its name: 'dataset/train', but not '.'.
        above = dataset.parent if dataset.name == whole.name and dataset.parent.name else whole.parent
        return f"This is one split of a dataset: give the folder that contains it, '{above}'."
    return f"This is a folder of tracks: move them into a folder {split} in it."


def _folders(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in list_folder(folder) if entry.is_dir()]


def _has_audio(folder: Path) -> bool:
    return any(entry.is_file() and is_audio(Path(entry.name)) for entry in list_folder(folder))
