"""Training chunks: random, remixed and augmented.

Chunk number ``p`` is a pure function of the seed and of ``p``: it depends neither on the process that makes
it nor on the chunks before it. Everything random is drawn first, which reads nothing; then the chunk is
rendered from the draw.

Shape letters: ``S`` source, ``C`` channel, ``N`` sample.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.utils.data import Dataset

from auralflow.audio import Audio
from auralflow.config import AugmentConfig, ModelConfig
from auralflow.datasets.augment import apply_change, draw_change
from auralflow.datasets.chunks import Chunk, check_statements, read_chunk, read_moment, to_tensors
from auralflow.datasets.draws import (
    LARGEST_MATCH_DB,
    Moment,
    Place,
    Pool,
    Remix,
    StemDraw,
    draw_master,
    draw_stem,
    level,
    read_stem_draw,
)
from auralflow.datasets.over_mixture import Overlay, OverMixture
from auralflow.datasets.tracks import Track, sources_of
from auralflow.effects.coding import CODED_RATES, draw_coding
from auralflow.effects.dynamics import master
from auralflow.errors import DatasetError, SettingsError

__all__ = ["Moment", "Place", "Remix", "StemDraw", "TrainingChunks"]


class TrainingChunks(Dataset[Chunk]):
    """Random chunks for training, from files or from a cache.

    Some of the chunks are remixes: every stem comes from its own track and moment, at a level that makes the
    mix plausible. Real stems seldom all play at once; in a remix they do, and the number of mixes is endless.
    A track with unknown stems contributes those it has. Some of the remixes lay a voice over an instrumental
    recording instead, see `OverMixture`. The other chunks are excerpts of one track whose targets are all
    known, or whose unknown targets are together what is left of the mixture.

    Args:
        tracks: Training tracks.
        config: Settings of the model: targets, chunk length, rate, channels.
        augment: How chunks are remixed and augmented. Default: the defaults of `AugmentConfig`.
        seed: Seed of all draws.

    Raises:
        DatasetError: If the tracks allow no kind of chunk, or a target is known nowhere.
        SettingsError: If ``lossy`` is on and no codec knows the model's sample rate.
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
        check_statements(tracks, config.targets, self.sources)
        self.whole = Pool([track for track in tracks if track.sums_up(config.targets, self.sources)])
        self.pools = {name: Pool([track for track in tracks if name in track.stems]) for name in self.sources}
        missing = [name for name, pool in self.pools.items() if not pool]
        if missing and not self.whole:
            raise DatasetError(
                "no chunk can be made of the training tracks",
                found=f"no track with {', '.join(missing)}, and none whose mixture and targets are all there",
                expected=f"the targets {', '.join(config.targets)}, with a mixture or all other stems",
            )
        self._check_targets(tracks)
        self._check_coding()
        self.over = OverMixture.of(self.whole, self.pools, self.sources, config, self.augment)
        self.remix = self.augment.remix if self.whole else 1.0
        self.over_share = self.augment.over_mixture if self.over else 0.0
        if missing:
            # Stems that no track has cannot be remixed; a voice over a recording does not need them.
            self.remix, self.over_share = (self.remix, 1.0) if self.over_share else (0.0, 0.0)

    @property
    def are_partial(self) -> bool:
        """Whether there are chunks whose targets are not all known."""
        used = self.whole if self.remix < 1 else self.over.recordings if self.over_share and self.over else ()
        return any(not track.knows(self.config.targets, self.sources) for track in used)

    @property
    def only_mixed(self) -> list[Track]:
        """Tracks of which nothing is used: they have a mixture but no stems, and every chunk is a remix."""
        if self.remix < 1 or self.over_share:
            return []
        return [track for track in self.whole if not any(name in track.stems for name in self.sources)]

    def _check_coding(self) -> None:
        low, high = CODED_RATES
        if self.augment.lossy and not low <= self.config.sample_rate <= high:
            raise SettingsError(
                f"--lossy {self.augment.lossy:g} cannot code this sample rate",
                found=f"{self.config.sample_rate} Hz",
                expected=f"{low} to {high} Hz",
                advice="Leave --lossy out.",
            )

    def _check_targets(self, tracks: Sequence[Track]) -> None:
        for target in self.config.targets:
            if not any(target in track.stems for track in tracks):
                silent = any(target in track.silent for track in tracks)
                raise DatasetError(
                    f"no training track has a file for {target}",
                    found=f"{len(tracks)} tracks in which it is {'silent or ' * silent}unknown",
                    expected="at least one track with it",
                    advice=f"Add a track with {target}, or train without this target.",
                )

    def __getitem__(self, position: int) -> Chunk:
        """Make chunk number ``position``, counted from 0 without an upper limit."""
        return self.render(self.draw(position))

    def draw(self, position: int) -> Moment | Overlay | Remix:
        """Draw what chunk number ``position`` will be, without reading anything.

        Args:
            position: A whole number from 0.

        Returns:
            An excerpt of one track, a voice over one, or the stems of a remix.
        """
        generator = np.random.default_rng((self.seed, position))
        drawn = self._draw_kind(generator)
        # Last, so that existing chunks do not change.
        coded = generator.random() < self.augment.lossy
        return replace(drawn, coding=draw_coding(generator)) if coded else drawn

    def _draw_kind(self, generator: np.random.Generator) -> Moment | Overlay | Remix:
        if generator.random() >= self.remix:
            return self._draw_moment(generator)
        # Without such recordings nothing is drawn here, so that existing chunks do not change.
        if self.over and self.over_share and generator.random() < self.over_share:
            return self.over.draw(generator)
        rate = self.config.sample_rate
        stems = {
            source: draw_stem(self.pools[source], source, generator, self.augment, rate)
            for source in self.sources
        }
        return Remix(stems, draw_master(generator, self.augment))

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

    def render(self, draw: Moment | Overlay | Remix) -> Chunk:
        """Render a drawn chunk: read it and apply the augmentations.

        Args:
            draw: What `draw` returned.

        Raises:
            AuralflowError: If a file cannot be read.
        """
        chunk = self._render_kind(draw)
        if not draw.coding:
            return chunk
        # The targets stay as they were: the best that can be asked of an estimate.
        coded = draw.coding.applied(chunk.mixture.numpy(), self.config.sample_rate)
        return chunk._replace(mixture=torch.from_numpy(coded))

    def _render_kind(self, draw: Moment | Overlay | Remix) -> Chunk:
        if isinstance(draw, Moment):
            return self._render_moment(draw)
        if isinstance(draw, Overlay):
            assert self.over is not None
            return self.over.render(draw)
        config = self.config
        stems = np.empty((len(draw.stems), config.num_channels, config.chunk_samples), dtype=np.float32)
        for row, (source, stem) in zip(stems, draw.stems.items(), strict=True):
            row[:] = self._render_stem(source, stem)
        for compressor in draw.master:
            stems = master(stems, compressor, config.sample_rate)
        return self._chunk(stems.sum(axis=0), stems)

    def _render_stem(self, source: str, draw: StemDraw) -> Audio:
        stem, loudness = read_stem_draw(self.pools[source], source, draw, self.config, self.augment)
        if loudness > self.augment.silence_threshold:
            match = np.clip(self.augment.remix_level - loudness, -LARGEST_MATCH_DB, LARGEST_MATCH_DB)
            stem = stem * np.float32(10 ** (match / 20))
        return apply_change(stem, draw.change, self.config.sample_rate)

    def _render_moment(self, draw: Moment) -> Chunk:
        config = self.config
        for place in draw.places:
            track = self.whole.tracks[place.track]
            mixture, targets = read_moment(track, self.sources, place.position, config)
            if draw.keep_silence or max(map(level, targets)) > self.augment.silence_threshold:
                break
        if draw.stems and set(self.sources) <= track.known:
            return self._render_apart(track, place, draw)
        audio = [apply_change(part, draw.change, config.sample_rate) for part in (mixture, *targets)]
        certain = track.certain(config.targets, self.sources)
        return to_tensors(audio[0], np.stack(audio[1:]), (name in certain for name in config.targets))

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
