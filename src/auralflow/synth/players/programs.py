"""Built-in instruments for General MIDI's programs."""

import numpy as np

from auralflow.synth.players.instruments import (
    Instrument,
    brass,
    electric_piano,
    organ,
    plucked,
    subtractive,
)

__all__ = ["DISTORTED", "HELD", "built_in"]

DISTORTED = {29, 30}
"""Overdriven and distorted guitar."""

HELD = {*range(16, 24), *range(40, 46), *range(48, 56), *range(88, 104)}
"""Programs whose sound lasts as long as the note: organs, strings, choirs, pads."""

CLEAN_GUITAR = 27


def built_in(  # noqa: PLR0911 - one for each family
    program: int, sample_rate: int, rng: np.random.Generator
) -> Instrument:
    """The instrument that plays a program, drawn for each part.

    Args:
        program: General MIDI's number, from 0.
        sample_rate: In hertz.
        rng: Source of the randomness.

    Returns:
        The instrument; a dry guitar for the distorted ones.

    Example:
        >>> len(built_in(0, 8000, np.random.default_rng(0))(220.0, 800)) >= 800
        True
    """
    family = program // 8
    if family in {0, 1, 14}:  # pianos, bells
        return electric_piano(sample_rate, rng)
    if family == 2:
        return organ(sample_rate, rng)
    if family in {3, 13} or program in {45, 46}:  # guitars, lutes, pizzicato, harp
        return plucked(sample_rate, rng, damping=rng.uniform(0.6, 2.0), brightness=rng.uniform(0.3, 0.8))
    if family == 4:
        return _bass(program, sample_rate, rng)
    if family in {7, 8}:  # brass, reeds
        return brass(sample_rate, rng)
    if family in {9, 10}:  # pipes, leads
        return subtractive(
            sample_rate, rng, attack=0.008, decay=rng.uniform(0.1, 0.5), sustain=0.7, release=0.12,
            cutoff=rng.uniform(1200, 5000),
        )  # fmt: skip
    return subtractive(
        sample_rate, rng, attack=rng.uniform(0.05, 0.4), decay=1.5, sustain=0.8, release=0.4,
        cutoff=rng.uniform(500, 2500), voices=3,
    )  # fmt: skip


def _bass(program: int, sample_rate: int, rng: np.random.Generator) -> Instrument:
    if program >= 38:
        return subtractive(
            sample_rate, rng, attack=0.006, decay=rng.uniform(0.15, 0.8), sustain=rng.uniform(0.5, 0.9),
            release=0.05, cutoff=rng.uniform(120, 450), voices=1,
        )  # fmt: skip
    # A pick and a slapping thumb leave the string brighter than fingers do.
    bright = rng.uniform(0.15, 0.4) if program in {34, 36, 37} else rng.uniform(0.0, 0.15)
    return plucked(sample_rate, rng, damping=rng.uniform(0.6, 2.0), brightness=bright)
