"""What a dataset can train, by the rules of training itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from auralflow.config import ModelConfig
from auralflow.datasets.chunks import ValidationChunks
from auralflow.datasets.remix import TrainingChunks
from auralflow.datasets.splits import training_tracks
from auralflow.datasets.tracks import Track, stem_order
from auralflow.errors import AuralflowError, DatasetError, SettingsError

__all__ = ["Trainable", "find_trainable"]


@dataclass(frozen=True)
class Trainable:
    """What a dataset can train.

    Attributes:
        targets: Stems that a model can be trained to estimate.
        problem: Why there are none.
        warnings: What training will do without.
    """

    targets: tuple[str, ...] = ()
    problem: str = ""
    warnings: list[str] = field(default_factory=list)


def find_trainable(dataset: Path) -> Trainable:
    """Find the stems that a model can be trained to estimate, each alone or all together.

    Args:
        dataset: A dataset whose files can be read.
    """
    try:
        train, valid = training_tracks(dataset)
    except AuralflowError as error:
        return Trainable(problem=str(error))
    stems = tuple(sorted({stem for track in train for stem in track.stems}, key=stem_order))
    alone = {stem: chunks for stem in stems if (chunks := _validation((stem,), train, valid))}
    together = _validation(stems, train, valid)
    if not alone and not together:
        needed = "tracks with the mixture, or with all other stems"
        return Trainable(problem=f"no stem can be trained: it needs {needed}")
    if not together:
        return Trainable(tuple(alone), warnings=_without_scores(list(alone.values())))
    warnings = _without_scores([together])
    only_together = [stem for stem in stems if stem not in alone]
    if only_together:
        names = ", ".join(only_together)
        warnings.append(f"a model of {names} must have all of {', '.join(stems)} as targets")
    return Trainable(stems, warnings=warnings)


def _validation(
    targets: tuple[str, ...], train: Sequence[Track], valid: Sequence[Track]
) -> ValidationChunks | None:
    """The chunks that a model of these targets would be validated on, None if it cannot be trained."""
    try:
        config = ModelConfig(targets=targets)
        TrainingChunks(train, config)
        return ValidationChunks(valid, config)
    except (DatasetError, SettingsError, ValueError):
        return None


def _without_scores(chunks: Sequence[ValidationChunks]) -> list[str]:
    return [text for text in dict.fromkeys(part.without_scores() for part in chunks) if text]
