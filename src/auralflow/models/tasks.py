"""Tasks such as karaoke, and the published quality of each model at them. Does not import torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from auralflow.models.card import ModelCard
from auralflow.models.public_card import PublicCard

__all__ = ["SCALES", "TASKS", "Quality", "Scale", "Task", "find_task", "main_task"]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A data set and a metric, within which scores can be compared.

    Attributes:
        letter: Its letter in tables.
        dataset: The data set.
        metric: The metric, and how it was averaged.
    """

    letter: str
    dataset: str
    metric: str


OWN = Scale(
    letter="S",
    dataset="this project's test songs, see docs/pretrained.md",
    metric="mean SI-SDR improvement",
)
SCALES = (
    Scale(letter="M", dataset="Multisong of MVSEP", metric="SDR of whole songs, mean"),
    Scale(letter="H", dataset="MUSDB18-HQ, test", metric="SDR of whole songs, mean"),
    Scale(letter="C", dataset="MUSDB18, test", metric="SDR of museval, median"),
    Scale(letter="A", dataset="songs of audio-separator's comparison", metric="median SDR"),
    OWN,
)
"""The scales, starting with the one used for most models."""


@dataclass(frozen=True)
class Quality:
    """The score of a model at a task.

    Attributes:
        value: Mean over the stems of the task, in dB.
        scale: The scale within which it can be compared.
    """

    value: float
    scale: Scale

    def __str__(self) -> str:
        return f"{self.value:.2f} {self.scale.letter}"


@dataclass(frozen=True, kw_only=True)
class Task:
    """A purpose for which people separate songs.

    Attributes:
        name: Name for ``auralflow models --task``.
        title: Description.
        label: Short description, for a narrow column.
        words: Synonyms of the name.
        stems: A model is suitable if it estimates all stems of any of these sets.
        scored: The quality is the mean score of the first of these sets that a table contains.
        option: Option to add to ``auralflow separate MODEL song.mp3``.
    """

    name: str
    title: str
    label: str
    words: tuple[str, ...] = ()
    stems: tuple[frozenset[str], ...]
    scored: tuple[frozenset[str], ...]
    option: str = ""

    def is_served_by(self, targets: Sequence[str]) -> bool:
        """Whether a model with these targets is suitable."""
        return any(stems <= set(targets) for stems in self.stems)

    def qualities(self, card: ModelCard | PublicCard) -> list[Quality]:
        """The known qualities of a model at this task, in the order of the scales."""
        found = [self._quality(card, scale) for scale in SCALES]
        return [quality for quality in found if quality]

    def _quality(self, card: ModelCard | PublicCard, scale: Scale) -> Quality | None:
        for values in _values(card, scale):
            for stems in self.scored:
                if stems <= values.keys():
                    return Quality(math.fsum(values[stem] for stem in stems) / len(stems), scale)
        return None


def _values(card: ModelCard | PublicCard, scale: Scale) -> list[dict[str, float]]:
    if isinstance(card, PublicCard):
        return [
            table.values
            for table in card.scores
            if (table.dataset, table.metric) == (scale.dataset, scale.metric)
        ]
    if scale is not OWN:
        return []
    tables = [table for table in card.scores if table.subset == "test"]
    means = [{target: table.mean(target, known_artist=False) for target in card.targets} for table in tables]
    return [{name: value for name, value in mean.items() if value is not None} for mean in means]


def _sets(*names: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(name.split()) for name in names)


FOUR = "vocals drums bass other"
TASKS = (
    Task(
        name="four-stems",
        title="Four stems: vocals, drums, bass, other",
        label="4 stems",
        words=("4-stems", "stems"),
        stems=_sets(FOUR),
        scored=_sets(FOUR, "mean"),
    ),
    Task(
        name="vocals",
        title="Vocals (a cappella)",
        label="vocals",
        words=("acapella", "acappella", "a-cappella"),
        stems=_sets("vocals"),
        scored=_sets("vocals"),
        option="--targets vocals",
    ),
    Task(
        name="instrumental",
        title="Instrumental (karaoke)",
        label="karaoke",
        words=("karaoke", "accompaniment", "backing-track"),
        stems=_sets("instrumental", "accompaniment", "vocals", "lead_vocals"),
        scored=_sets("instrumental", "accompaniment"),
        option="--instrumental",
    ),
    Task(
        name="six-stems",
        title="Six stems: guitar and piano too",
        label="6 stems",
        words=("6-stems", "piano", "guitar"),
        stems=_sets("vocals drums bass other guitar piano"),
        scored=_sets("vocals drums bass other guitar piano"),
    ),
    Task(
        name="dereverb",
        title="Less reverb",
        label="dereverb",
        words=("de-reverb", "reverb", "dry"),
        stems=_sets("noreverb"),
        scored=_sets("noreverb"),
    ),
    Task(
        name="denoise",
        title="Less noise",
        label="denoise",
        words=("de-noise", "noise"),
        stems=_sets("denoised"),
        scored=_sets("denoised"),
    ),
    Task(
        name="crowd",
        title="Crowd and applause",
        label="crowd",
        words=("applause",),
        stems=_sets("crowd"),
        scored=_sets("crowd"),
        option="--two-stems crowd",
    ),
    Task(
        name="speech",
        title="Speech in noise",
        label="speech",
        words=("speech-enhancement",),
        stems=_sets("speech noise"),
        scored=_sets("speech"),
    ),
)
"""The tasks, most common first."""


def find_task(word: str) -> Task | None:
    """Find a task by name or synonym; None if there is no such task.

    Example:
        >>> find_task("karaoke").name
        'instrumental'
    """
    word = word.lower().replace("_", "-").replace(" ", "-")
    return next((task for task in TASKS if word in (task.name, *task.words)), None)


def main_task(targets: Sequence[str]) -> Task | None:
    """The main task of a model: the one that uses most of its stems; None if there is none.

    Example:
        >>> main_task(("vocals", "drums", "bass", "other")).name, main_task(("noreverb",)).name
        ('four-stems', 'dereverb')
    """

    def size(task: Task) -> int:
        return max(len(stems) for stems in task.stems if stems <= set(targets))

    return max((task for task in TASKS if task.is_served_by(targets)), key=size, default=None)
