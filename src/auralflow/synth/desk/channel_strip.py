"""The mixing desk: each stem is filtered, compressed, driven and placed in a room, as records are mixed."""

import numpy as np
from scipy.signal import butter

from auralflow.effects.dynamics import Compressor, compress, saturate
from auralflow.effects.equalizers import Sections, filtered, high_shelf, low_shelf, peak
from auralflow.effects.rooms import RoomKind, draw_room, echo, reverberate
from auralflow.effects.signals import Signal

__all__ = ["record"]

# Common practice of mixing; where the songs for training showed something else, it is said.
LOW_CUTS = {"vocals": (70, 130), "drums": (25, 40), "bass": (28, 38), "other": (30, 110)}
RATIOS = {"vocals": (2.0, 5.0), "drums": (1.2, 3.0), "bass": (2.0, 5.0), "other": (1.3, 2.5)}
ATTACKS = {"vocals": (0.002, 0.01), "drums": (0.005, 0.03), "bass": (0.005, 0.03), "other": (0.005, 0.03)}
RELEASES = {"vocals": (0.05, 0.15), "drums": (0.05, 0.2), "bass": (0.08, 0.25), "other": (0.1, 0.3)}
# A drive leaves no higher crest factor than its inverse. In the songs for training it is 15 (vocals),
# 17 (drums), 12 (bass) and 17 dB (other) over a second, in the median.
DRIVES = {"vocals": (0.03, 0.15), "drums": (0.02, 0.15), "bass": (0.1, 0.35), "other": (0.03, 0.12)}
ROOMS: dict[str, tuple[RoomKind, ...]] = {
    "vocals": ("plate", "plate", "hall", "room"),
    "drums": ("room", "room", "booth", "plate", "hall"),
    "other": ("room", "hall", "hall", "plate"),
}
# The sides of the songs for training lie 7 dB (vocals), 16 dB (drums) and 3 dB (other) below their middles;
# part of the songs is therefore quite wet.
WET = {"vocals": (0.05, 0.6), "drums": (0.04, 0.3), "other": (0.05, 0.4)}
ECHOING = 0.35
SHELVES = {"vocals": 1.0, "drums": 1.0, "bass": -4.0, "other": 1.0}
"""Middle gain in dB of the highs. Basses of the songs for training have next to nothing above 1 kHz."""


def record(
    dry: dict[str, Signal], tempo: float, sample_rate: int, rng: np.random.Generator
) -> dict[str, Signal]:
    """Process the stems of a song as a mixing desk would.

    Args:
        dry: Audio [2, N] by stem.
        tempo: Beats per minute, for echoes.
        sample_rate: Samples per second.
        rng: Source of the randomness: all settings.

    Returns:
        The stems [2, N], at levels of their own.

    Example:
        >>> dry = {"bass": np.ones((2, 800), dtype=np.float32)}
        >>> record(dry, 100.0, 8000, np.random.default_rng(0))["bass"].shape
        (2, 800)
    """
    stems = {}
    # Vocals and accompaniment share a hall more often than not.
    shared = draw_room(ROOMS["other"][rng.integers(len(ROOMS["other"]))], sample_rate, rng)
    for name, dry_sound in dry.items():
        # Identical channels are processed once.
        sound = dry_sound[:1] if np.array_equal(dry_sound[0], dry_sound[1]) else dry_sound
        stem = filtered(_equalizer(name, sample_rate, rng), sound)
        stem = compress(stem, _compressor(name, rng), sample_rate)
        stem = saturate(stem, float(rng.uniform(*DRIVES[name])), sample_rate)
        stem = np.broadcast_to(stem, dry_sound.shape)
        if name == "vocals" and rng.random() < ECHOING:
            beats = float(rng.choice((0.25, 0.5, 0.75, 1.0)))
            stem = echo(stem, beats * 60 / tempo, float(rng.uniform(0.1, 0.4)), sample_rate)
        if name in ROOMS:
            kinds = ROOMS[name]
            own = draw_room(kinds[rng.integers(len(kinds))], sample_rate, rng)
            alone = name == "drums" or rng.random() < 0.4
            stem = reverberate(stem, own if alone else shared, float(rng.uniform(*WET[name])))
        stems[name] = np.ascontiguousarray(stem)
    return stems


def _equalizer(name: str, sample_rate: int, rng: np.random.Generator) -> Sections:
    """A low cut, shelves and two bells, all gentle."""
    top = 0.42 * sample_rate
    sections = [
        butter(2, rng.uniform(*LOW_CUTS[name]), "highpass", fs=sample_rate, output="sos"),
        low_shelf(rng.uniform(90, 250), rng.normal(0, 2), sample_rate),
        high_shelf(min(rng.uniform(3000, 8000), top), rng.normal(SHELVES[name], 2.5), sample_rate),
    ]
    for _ in range(2):
        frequency = min(float(np.exp(rng.uniform(np.log(150), np.log(6000)))), top)
        sections.append(peak(frequency, rng.normal(0, 2.5), rng.uniform(0.5, 2.0), sample_rate))
    return np.concatenate(sections)


def _compressor(name: str, rng: np.random.Generator) -> Compressor:
    return Compressor(
        threshold=rng.uniform(-4, 6),
        ratio=rng.uniform(*RATIOS[name]),
        attack=rng.uniform(*ATTACKS[name]),
        release=rng.uniform(*RELEASES[name]),
    )
