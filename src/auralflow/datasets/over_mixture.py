"""Voices laid over instrumental recordings: the voice is known, and the accompaniment as a whole.

An instrumental recording is a track whose ``track.json`` states that its vocals are silent. Its other stems
need not be known: what is left of the mixture without the voice is their sum.

Shape letters: ``S`` source, ``C`` channel, ``N`` sample.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auralflow.audio import Audio
from auralflow.config import AugmentConfig, ModelConfig
from auralflow.datasets.augment import Change, apply_change, draw_change
from auralflow.datasets.chunks import Chunk, read_moment, to_tensors
from auralflow.datasets.draws import (
    LARGEST_MATCH_DB,
    VOICE,
    Place,
    Pool,
    StemDraw,
    draw_stem,
    level,
    read_stem_draw,
)
from auralflow.effects.augmentations import Gain
from auralflow.effects.coding import LossyCoding
from auralflow.errors import DatasetError

__all__ = ["VOICE_LEVELS", "OverMixture", "Overlay"]

VOICE_LEVELS = (-12.0, 6.0)
"""Level of the voice relative to the accompaniment in dB, as in real mixes."""
MIX_OVER_STEM_DB = 6.0
"""Level of four unrelated stems together relative to one, in dB: that of a mixture to a stem."""


@dataclass(frozen=True)
class Overlay:
    """A voice over an instrumental recording.

    Attributes:
        places: Candidates for the excerpt of the recording; the first that is not silent is taken.
        keep_silence: Take the first candidate even if it is silent.
        change: What is done to the recording, and to all its known stems alike.
        voice: Where the voice comes from and what is done to it; None: there is none.
        level: Level of the voice relative to the recording in dB.
        coding: What the mixture is coded with, in the end.
    """

    places: tuple[Place, ...]
    keep_silence: bool
    change: Change
    voice: StemDraw | None
    level: float
    coding: LossyCoding | None = None


class OverMixture:
    """Makes chunks of a voice from one track and the mixture of another.

    Args:
        recordings: Tracks with a mixture, without a voice, whose unknown stems are all targets.
        voices: Tracks with a voice.
        sources: The stems that a mixture is the sum of.
        config: Settings of the model.
        augment: How chunks are changed, and how often there is no voice.
    """

    def __init__(
        self,
        recordings: Pool,
        voices: Pool,
        sources: Sequence[str],
        config: ModelConfig,
        augment: AugmentConfig,
    ) -> None:
        self.recordings = recordings
        self.voices = voices
        self.sources = tuple(sources)
        self.config = config
        self.augment = augment

    @classmethod
    def of(
        cls,
        whole: Pool,
        pools: Mapping[str, Pool],
        sources: Sequence[str],
        config: ModelConfig,
        augment: AugmentConfig,
    ) -> "OverMixture | None":
        """Make it from the available tracks; None where the settings do not ask for it.

        Args:
            whole: Tracks whose own mix can be used.
            pools: By source, the tracks that have it.
            sources: The stems that a mixture is the sum of.
            config: Settings of the model.
            augment: How often a voice is laid over a mixture.

        Raises:
            DatasetError: If they do, but there is no recording without a voice, or no voice.
        """
        if not augment.over_mixture:
            return None
        recordings = Pool([track for track in whole if VOICE in track.silent])
        voices = pools.get(VOICE)
        if not recordings or not voices:
            lacking = f"no training track with {VOICE}" if recordings else "no instrumental training track"
            raise DatasetError(
                f"--over-mixture {augment.over_mixture:g} lays voices over instrumental recordings",
                found=lacking,
                expected=f"tracks with {VOICE}, and tracks with a mixture whose track.json states "
                f'{{"silent": ["{VOICE}"]}}',
            )
        return cls(recordings, voices, sources, config, augment)

    def draw(self, generator: np.random.Generator) -> Overlay:
        """Draw a chunk, without reading anything.

        Args:
            generator: Where chance comes from; it is advanced by the same number of draws whatever comes out.
        """
        keep, voiceless, where = generator.random(3).tolist()
        low, high = VOICE_LEVELS
        rate = self.config.sample_rate
        places = self.recordings.draw(generator)
        change = draw_change(self.augment, generator, rate)
        voice = draw_stem(self.voices, VOICE, generator, self.augment, rate)
        return Overlay(
            places,
            keep_silence=keep < self.augment.keep_silence,
            change=change,
            voice=None if voiceless < self.augment.over_mixture_voiceless else voice,
            level=low + (high - low) * where,
        )

    def render(self, draw: Overlay) -> Chunk:
        """Make the chunk that was drawn.

        Args:
            draw: What `draw` returned.

        Raises:
            AuralflowError: If a file cannot be read.
        """
        config, augment = self.config, self.augment
        for place in draw.places:
            track = self.recordings.tracks[place.track]
            mixture, targets = read_moment(track, self.sources, place.position, config)
            loudness = level(mixture)
            if loudness > augment.silence_threshold or draw.keep_silence:
                break
        parts = np.concatenate([mixture[np.newaxis], targets])
        if loudness > augment.silence_threshold:
            wanted = augment.remix_level + MIX_OVER_STEM_DB
            parts = _louder(parts, _bounded(wanted - loudness))
        parts = np.stack([apply_change(part, draw.change, config.sample_rate) for part in parts])
        if draw.voice:
            voice = self._render_voice(draw.voice, draw.level, parts[0])
            parts[0] += voice
            if VOICE in config.targets:
                parts[1 + config.targets.index(VOICE)] += voice
        certain = track.certain(config.targets, self.sources)
        return to_tensors(parts[0], parts[1:], (name in certain for name in config.targets))

    def _render_voice(self, draw: StemDraw, relative: float, accompaniment: Audio) -> Audio:
        config, augment = self.config, self.augment
        voice, loudness = read_stem_draw(self.voices, VOICE, draw, config, augment)
        # The level is drawn relative to the accompaniment; another random gain would leave its range.
        voice = apply_change(voice, draw.change.without(Gain), config.sample_rate)
        if loudness <= augment.silence_threshold:
            return voice
        against = level(accompaniment)
        if against <= augment.silence_threshold:
            against = augment.remix_level
        # Unbounded downwards; upwards not so far that the tail of a reverberation becomes a solo.
        return _louder(voice, min(against + relative - level(voice), LARGEST_MATCH_DB))


def _bounded(decibels: float) -> float:
    return min(max(decibels, -LARGEST_MATCH_DB), LARGEST_MATCH_DB)


def _louder(audio: Audio, decibels: float) -> Audio:
    return audio * np.float32(10 ** (decibels / 20))
