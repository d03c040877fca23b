"""Which tracks a model is trained on and which it is validated on."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from auralflow.datasets.cache import cached_tracks, is_cache
from auralflow.datasets.layout import no_tracks
from auralflow.datasets.tracks import Split, Track, index_split
from auralflow.errors import DatasetError

__all__ = ["has_validation", "training_tracks"]

HELD_OUT_EVERY = 7
"""Without a validation folder one training track in this many is held out."""


def training_tracks(dataset: str | Path) -> tuple[list[Track], list[Track]]:
    """List the tracks for training and for validation.

    Without a validation folder, one training track in seven is held out, but at least one, and always the
    same: of every seven the first that has all stems, or lacks the fewest.

    Args:
        dataset: The dataset folder, or a cache that was prepared from one.

    Returns:
        Training tracks and validation tracks.

    Raises:
        NotFoundError: If ``dataset`` is no folder.
        DatasetError: If there is nothing to train on or nothing left to validate on, or a cache is stale.
        AudioError: If a file is no audio.
    """
    dataset = Path(dataset)
    train, valid = _tracks_in(dataset, "train"), _tracks_in(dataset, "valid")
    if not train:
        raise no_tracks(dataset, f"'{dataset}' has no training track")
    if valid:
        return train, valid
    if len(train) == 1:
        raise DatasetError(
            f"'{dataset}' has one training track and no validation track",
            advice="Add a second track, or a folder valid/ with one.",
        )
    held_out = _hold_out(train)
    return [track for track in train if track not in held_out], held_out


def has_validation(dataset: str | Path) -> bool:
    """Whether a dataset has tracks for validation; if not, `training_tracks` holds out training tracks.

    Args:
        dataset: The dataset folder, or a cache that was prepared from one.

    Raises:
        NotFoundError: If ``dataset`` is no folder.
        DatasetError: If the files of a track contradict each other, or a cache is stale.
        AudioError: If a file is no audio.
    """
    return bool(_tracks_in(Path(dataset), "valid"))


def _tracks_in(dataset: Path, split: Split) -> list[Track]:
    return (cached_tracks if is_cache(dataset) else index_split)(dataset, split)


def _hold_out(train: Sequence[Track]) -> list[Track]:
    stems = {stem for track in train for stem in track.stems}
    left = Counter(stem for track in train for stem in track.stems)
    held_out = []
    # Each of every seven, also of the last ones: with fewer than seven tracks one is held out too.
    for first in range(0, len(train), HELD_OUT_EVERY):
        chosen = min(
            train[first : first + HELD_OUT_EVERY],
            # Only what is known can be scored, but never the only track with a stem, which could not be
            # learned without it.
            key=lambda track: (any(left[stem] == 1 for stem in track.stems), len(stems - track.stems.keys())),
        )
        held_out.append(chosen)
        left.subtract(chosen.stems.keys())
    return held_out
