"""The random part of a training chunk as plain data: which excerpts, and how they are augmented."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auralflow.audio import Audio
from auralflow.config import AugmentConfig, ModelConfig
from auralflow.datasets.augment import Change, draw_change
from auralflow.datasets.chunks import read_chunk
from auralflow.datasets.tracks import Track
from auralflow.effects.coding import LossyCoding
from auralflow.effects.dynamics import Compressor
from auralflow.effects.voices import Production, draw_production, produce

__all__ = [
    "LARGEST_MATCH_DB",
    "VOICE",
    "Moment",
    "Place",
    "Pool",
    "Remix",
    "StemDraw",
    "draw_master",
    "draw_stem",
    "level",
    "read_stem_draw",
]

LARGEST_MATCH_DB = 12.0
"""Largest gain of level matching in dB: beyond it, the tail of a reverberation would become a solo."""
VOICE = "vocals"
CANDIDATES = 4
"""How many places are tried to find one that is not silent."""


@dataclass(frozen=True)
class Place:
    """Where a chunk begins: the track's number, and the start as a fraction of those possible there."""

    track: int
    position: float


@dataclass(frozen=True)
class StemDraw:
    """Where one stem of a mix comes from and what is done to it.

    Attributes:
        places: The candidates, in the pool of that stem; the first that sounds is taken.
        keep_silence: Take the first candidate even if it is silent.
        variant: None for the track itself, or a fraction that selects one of its cached variants.
        change: What is done to it after its level is matched.
        production: How a voice is produced, before anything else; None: as it was recorded.
    """

    places: tuple[Place, ...]
    keep_silence: bool
    variant: float | None
    change: Change
    production: Production | None = None


@dataclass(frozen=True)
class Moment:
    """An excerpt of one track in its own mix.

    Attributes:
        places: The candidates; the first with a target that sounds is taken.
        keep_silence: Take the first candidate even if all targets are silent there.
        change: What is done to the mixture and all targets alike.
        stems: By source, by how many seconds it is shifted and what is done to it; empty if the mix is left
            as it is. Ignored for tracks whose sources are not all known.
        coding: What the mixture is coded with, in the end.
    """

    places: tuple[Place, ...]
    keep_silence: bool
    change: Change
    stems: Mapping[str, tuple[float, Change]]
    coding: LossyCoding | None = None


@dataclass(frozen=True)
class Remix:
    """A mix of stems from different tracks.

    Attributes:
        stems: Where the stem of each source comes from and what is done to it.
        master: What compresses the mix as a whole, in order.
        coding: What the mixture is coded with, in the end.
    """

    stems: Mapping[str, StemDraw]
    master: tuple[Compressor, ...] = ()
    coding: LossyCoding | None = None


class Pool:
    """Tracks to draw from, in proportion to their length."""

    def __init__(self, tracks: Sequence[Track]) -> None:
        self.tracks = list(tracks)
        self._ends = np.cumsum([track.seconds for track in tracks])

    def __len__(self) -> int:
        return len(self.tracks)

    def __iter__(self) -> Iterator[Track]:
        return iter(self.tracks)

    def draw(self, generator: np.random.Generator) -> tuple[Place, ...]:
        """Draw the candidates for a chunk."""
        chance = generator.random((CANDIDATES, 2))
        numbers = np.searchsorted(self._ends, chance[:, 0] * self._ends[-1], side="right")
        return tuple(
            Place(int(number), float(where)) for number, where in zip(numbers, chance[:, 1], strict=True)
        )


def draw_stem(
    pool: Pool, stem: str, generator: np.random.Generator, augment: AugmentConfig, sample_rate: int
) -> StemDraw:
    """Draw where a stem comes from and what is done to it.

    Args:
        pool: The tracks that have the stem.
        stem: Its name.
        generator: Where chance comes from.
        augment: Probabilities and ranges.
        sample_rate: Of the model, in hertz.
    """
    keep, repitch, variant = generator.random(3)
    return StemDraw(
        places=pool.draw(generator),
        keep_silence=bool(keep < augment.keep_silence),
        variant=float(variant) if repitch < augment.repitch else None,
        change=draw_change(augment, generator, sample_rate),
        production=_draw_production(stem, generator, augment),
    )


def _draw_production(stem: str, generator: np.random.Generator, augment: AugmentConfig) -> Production | None:
    # Where none is wanted nothing is drawn, so that existing chunks do not change.
    if stem != VOICE or not augment.produce:
        return None
    own = generator.spawn(1)[0]
    return draw_production(own) if generator.random() < augment.produce else None


def draw_master(generator: np.random.Generator, augment: AugmentConfig) -> tuple[Compressor, ...]:
    """Draw what compresses a mix as a whole: a compressor and a limiter, or nothing.

    Args:
        generator: Where chance comes from.
        augment: How often.
    """
    if not augment.master:
        return ()
    chance, *where = generator.random(6).tolist()
    bus = Compressor(
        threshold=-2 + 6 * where[0],
        ratio=1.5 + 2 * where[1],
        attack=0.005 + 0.025 * where[2],
        release=0.08 + 0.22 * where[3],
    )
    limiter = Compressor(threshold=3 + 6 * where[4], ratio=20.0, attack=0.001, release=0.06)
    return (bus, limiter) if chance < augment.master else ()


def read_stem_draw(
    pool: Pool, stem: str, draw: StemDraw, config: ModelConfig, augment: AugmentConfig
) -> tuple[Audio, float]:
    """Read a drawn stem, producing it if it is a voice, before any other change.

    Args:
        pool: The tracks that it was drawn from.
        stem: Its name.
        draw: What `draw_stem` returned.
        config: Settings of the model.
        augment: What counts as silent.

    Returns:
        ``[C, N]``, and its level in dBFS.
    """
    for place in draw.places:
        track = pool.tracks[place.track]
        if draw.variant is not None and track.variants:
            track = track.variants[int(draw.variant * len(track.variants))]
        audio = read_chunk(track, stem, place.position, config)
        loudness = level(audio)
        if loudness > augment.silence_threshold or draw.keep_silence:
            break
    if draw.production and loudness > augment.silence_threshold:
        audio = produce(audio, draw.production, config.sample_rate) if len(audio) <= 2 else audio
        loudness = level(audio)
    return audio, loudness


def level(audio: Audio) -> float:
    """RMS in dBFS.

    Example:
        >>> round(level(np.full((2, 8), 0.1, dtype=np.float32)))
        -20
    """
    # Not a scalar product of BLAS, whose rounding depends on the number of threads.
    energy = float(np.einsum("cn,cn->", audio, audio))
    return 10 * math.log10(energy / max(1, audio.size) + 1e-12)
