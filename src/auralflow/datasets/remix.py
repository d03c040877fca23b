"""Training chunks: random, remixed and changed.

Chunk number ``p`` is a pure function of the seed and of ``p``: it does not depend on the process that makes
it, or on the chunks before it. First everything random is drawn, which reads nothing; then the chunk is made
of what was drawn.

Shape letters: ``S`` source, ``C`` channel, ``N`` sample.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Dataset

from auralflow.audio import Audio
from auralflow.config import AugmentConfig, ModelConfig
from auralflow.datasets.augment import Change, apply_change, draw_change
from auralflow.datasets.chunks import Chunk, read_chunk, read_moment, to_tensors
from auralflow.datasets.tracks import Track, sources_of
from auralflow.errors import DatasetError

__all__ = ["Moment", "Place", "StemDraw", "TrainingChunks"]

LARGEST_MATCH_DB = 12.0
"""Level matching goes no further than this, or the end of a reverberation would become a solo."""
CANDIDATES = 4
"""How many places are tried for one that is not silent."""


@dataclass(frozen=True)
class Place:
    """Where a chunk begins: track number, and 0 to 1 of the starts that are possible there."""

    track: int
    position: float


@dataclass(frozen=True)
class StemDraw:
    """Where one stem of a remix comes from and what is done to it.

    Attributes:
        places: The candidates, in the pool of that stem; the first that sounds is taken.
        keep_silence: Take the first candidate even if it is silent.
        variant: None for the track itself, or 0 to 1 of the variants that its cache has.
        change: What is done after the level was matched.
    """

    places: tuple[Place, ...]
    keep_silence: bool
    variant: float | None
    change: Change


@dataclass(frozen=True)
class Moment:
    """A moment of one track, its own mix.

    Attributes:
        places: The candidates; the first with a target that sounds is taken.
        keep_silence: Take the first candidate even if all targets are silent there.
        change: What is done to the mixture and all targets alike.
        stems: By source, how many seconds it is moved and what is done to it; empty if the mix is left as it
            is. Only a track whose sources are all known can be taken apart like this; another ignores it.
    """

    places: tuple[Place, ...]
    keep_silence: bool
    change: Change
    stems: Mapping[str, tuple[float, Change]]


class _Pool:
    """Tracks that have something, drawn in proportion to their length."""

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


class TrainingChunks(Dataset[Chunk]):
    """Random chunks for training, from files or from a cache.

    A share of the chunks is remixed: every stem comes from a track and a moment of its own, at a level that
    makes the mix plausible. Real stems seldom sound together; remixed they do, and there are endlessly many
    mixes. A track with unknown stems contributes those it has. The other chunks are moments of one track,
    from tracks whose mixture and targets are all known.

    Args:
        tracks: Training tracks.
        config: Settings of the model: targets, chunk length, rate, channels.
        augment: How chunks are remixed and changed. Default: `AugmentConfig`'s defaults.
        seed: Seed of all draws.

    Raises:
        DatasetError: If neither kind of chunk can be made of the tracks.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        config: ModelConfig,
        augment: AugmentConfig | None = None,
        *,
        seed: int = 0,
    ) -> None:
        self.config = config
        self.augment = augment or AugmentConfig()
        self.seed = seed
        self.sources = sources_of(tracks, config.targets)
        self.whole = _Pool([track for track in tracks if track.knows(config.targets, self.sources)])
        self.pools = {
            name: _Pool([track for track in tracks if name in track.stems]) for name in self.sources
        }
        missing = [name for name, pool in self.pools.items() if not pool]
        if missing and not self.whole:
            raise DatasetError(
                "no chunk can be made of the training tracks",
                found=f"no track with {', '.join(missing)}, and none whose mixture and targets are all there",
                expected=f"the targets {', '.join(config.targets)}, with a mixture or all other stems",
            )
        self.remix = self.augment.remix if self.whole else 1.0
        if missing:
            self.remix = 0.0

    def __getitem__(self, position: int) -> Chunk:
        """Make chunk number ``position``, a whole number from 0 without an upper end."""
        return self.render(self.draw(position))

    def draw(self, position: int) -> Moment | dict[str, StemDraw]:
        """Draw what chunk number ``position`` will be, without reading anything.

        Args:
            position: A whole number from 0.

        Returns:
            A moment of one track, or what each stem of a remix will be.
        """
        generator = np.random.default_rng((self.seed, position))
        if generator.random() >= self.remix:
            return self._draw_moment(generator)
        return {source: self._draw_stem(source, generator) for source in self.sources}

    def _draw_stem(self, source: str, generator: np.random.Generator) -> StemDraw:
        keep, repitch, variant = generator.random(3)
        return StemDraw(
            places=self.pools[source].draw(generator),
            keep_silence=bool(keep < self.augment.keep_silence),
            variant=float(variant) if repitch < self.augment.repitch else None,
            change=draw_change(self.augment, generator, self.config.sample_rate),
        )

    def _draw_moment(self, generator: np.random.Generator) -> Moment:
        keep, loose = generator.random(2)
        places = self.whole.draw(generator)
        change = draw_change(self.augment, generator, self.config.sample_rate)
        reach = self.augment.time_shift_range
        stems = {
            source: (
                float(generator.uniform(-reach, reach)),
                draw_change(self.augment, generator, self.config.sample_rate),
            )
            for source in self.sources
        }
        return Moment(
            places,
            keep_silence=bool(keep < self.augment.keep_silence),
            change=change,
            stems=stems if loose < self.augment.time_shift else {},
        )

    def render(self, draw: Moment | Mapping[str, StemDraw]) -> Chunk:
        """Make the chunk that was drawn: read it, and apply the changes.

        Args:
            draw: What `draw` returned.

        Raises:
            AuralflowError: If a file cannot be read.
        """
        if isinstance(draw, Moment):
            return self._render_moment(draw)
        config = self.config
        stems = np.empty((len(draw), config.num_channels, config.chunk_samples), dtype=np.float32)
        for row, (source, stem) in zip(stems, draw.items(), strict=True):
            row[:] = self._render_stem(source, stem)
        return self._chunk(stems.sum(axis=0), stems)

    def _render_stem(self, source: str, draw: StemDraw) -> Audio:
        for place in draw.places:
            track = self.pools[source].tracks[place.track]
            if draw.variant is not None and track.variants:
                track = track.variants[int(draw.variant * len(track.variants))]
            stem = read_chunk(track, source, place.position, self.config)
            level = _level(stem)
            if level > self.augment.silence_threshold or draw.keep_silence:
                break
        if level > self.augment.silence_threshold:
            match = np.clip(self.augment.remix_level - level, -LARGEST_MATCH_DB, LARGEST_MATCH_DB)
            stem = stem * np.float32(10 ** (match / 20))
        return apply_change(stem, draw.change, self.config.sample_rate)

    def _render_moment(self, draw: Moment) -> Chunk:
        config = self.config
        for place in draw.places:
            track = self.whole.tracks[place.track]
            mixture, targets = read_moment(track, self.sources, place.position, config)
            if draw.keep_silence or max(map(_level, targets)) > self.augment.silence_threshold:
                break
        if draw.stems and set(self.sources) <= track.stems.keys():
            return self._render_apart(track, place, draw)
        audio = [apply_change(part, draw.change, config.sample_rate) for part in (mixture, *targets)]
        return to_tensors(audio[0], np.stack(audio[1:]))

    def _render_apart(self, track: Track, place: Place, draw: Moment) -> Chunk:
        stems = [
            apply_change(
                read_chunk(track, source, place.position, self.config, shift=shift),
                change,
                self.config.sample_rate,
            )
            for source, (shift, change) in draw.stems.items()
        ]
        together = np.stack(stems)
        return self._chunk(together.sum(axis=0), together)

    def _chunk(self, mixture: Audio, stems: Audio) -> Chunk:
        """The mixture and, of all stems ``[S, C, N]``, the targets."""
        if self.config.targets == self.sources:
            return to_tensors(mixture, stems)
        return to_tensors(mixture, stems[[self.sources.index(name) for name in self.config.targets]])


def _level(audio: Audio) -> float:
    """RMS in dBFS."""
    # Not a scalar product of BLAS, whose rounding depends on the number of threads.
    energy = float(np.einsum("cn,cn->", audio, audio))
    return 10 * math.log10(energy / max(1, audio.size) + 1e-12)
