"""Voices as on records: each effect does what its name says, and all together keep the level."""

import numpy as np
import pytest

from auralflow.effects.dynamics import Compressor, active_rms, gain_curve, master
from auralflow.effects.voices import Production, Take, draw_production, harmonise, produce, slap, take

RATE = 16000


def tone(frequency, seconds=2.0):
    return np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE).astype(np.float32)


def noise(seconds=1.0, channels=2, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal((channels, int(seconds * RATE))).astype(
        np.float32
    )


def spectrum(sound):
    return np.abs(np.fft.rfft(sound * np.hanning(len(sound))))


def test_the_same_seed_gives_the_same_voice_and_others_give_others():
    voice = noise()
    drawn = [draw_production(np.random.default_rng(seed)) for seed in range(200)]
    assert drawn[3] == draw_production(np.random.default_rng(3))
    assert len(set(drawn)) == 200
    first, again = (produce(voice, drawn[3], RATE) for _ in range(2))
    assert np.array_equal(first, again)
    # Every effect occurs.
    for field in ("takes", "telephone", "compressor", "drive", "rides", "slap", "echoes", "room"):
        share = np.mean([bool(getattr(production, field)) for production in drawn])
        assert 0.01 < share < 0.95, field
    assert {take.semitones for production in drawn for take in production.takes} >= {0, 3, 4, 7, 12}


@pytest.mark.parametrize("channels", [1, 2])
def test_any_production_keeps_level_shape_and_silence(channels):
    voice = noise(channels=channels)
    before = voice.copy()
    for seed in range(40):
        produced = produce(voice, draw_production(np.random.default_rng(seed)), RATE)
        assert produced.shape == voice.shape
        assert produced.dtype == np.float32
        assert np.isfinite(produced).all()
        assert active_rms(produced, RATE) == pytest.approx(active_rms(voice, RATE), rel=1e-3)
        silence = np.zeros_like(voice)
        assert not produce(silence, draw_production(np.random.default_rng(seed)), RATE).any()
    assert np.array_equal(voice, before)


def test_a_take_is_late_and_its_pitch_wanders_no_further_than_it_should():
    line = tone(500, 8.0)
    late = take(line, Take(0.03, 20.0, 0.0, 0.0, phase=0.2), RATE)
    assert not late[: int(0.02 * RATE)].any()
    phase = np.unwrap(
        np.angle(np.fft.ifft(np.where(np.arange(len(late)) < len(late) // 2, np.fft.fft(late), 0)))
    )
    cents = 1200 * np.log2(np.diff(phase[RATE:-RATE]) * RATE / (2 * np.pi) / 500)
    # Averaged over 10 ms: the interpolation leaves a ripple.
    cents = np.convolve(cents, np.full(160, 1 / 160), "valid")
    assert 10 < np.abs(cents).max() < 21


@pytest.mark.parametrize("semitones", [-12, -5, 3, 4, 7, 12])
def test_a_harmony_sounds_at_its_interval(semitones):
    moved = spectrum(harmonise(tone(330), semitones, RATE))
    wanted = 330 * 2 ** (semitones / 12)
    found = np.argmax(moved) * RATE / (2 * (len(moved) - 1))
    assert found == pytest.approx(wanted, rel=0.03)
    assert moved[2 * 330] < 0.1 * moved.max()


def test_stacked_takes_are_wide_and_a_telephone_is_narrow():
    voice = np.repeat(noise(channels=1), 2, axis=0)
    takes = (Take(0.02, 8.0, -1.0, -3.0), Take(0.03, 8.0, 1.0, -3.0, phase=0.5))
    wide = produce(voice, Production(takes=takes), RATE)
    side = np.mean((wide[0] - wide[1]) ** 2) / np.mean((wide[0] + wide[1]) ** 2)
    assert 0.05 < side < 0.5
    narrow = produce(voice, Production(telephone=(300, 3000)), RATE)
    power = spectrum(narrow[0]) ** 2
    hertz = np.arange(len(power)) * RATE / (2 * (len(power) - 1))
    assert power[hertz > 6000].sum() + power[hertz < 100].sum() < 0.02 * power.sum()


def test_a_slap_comes_when_and_as_loud_as_it_should():
    click = np.zeros((2, RATE), dtype=np.float32)
    click[:, 100] = 1
    heard = slap(click, 0.1, 0.3, RATE)
    assert np.flatnonzero(heard[0]).tolist() == [100, 1700]
    assert heard[1, 1700] == pytest.approx(0.3)
    # An echo later than the end is not heard.
    assert np.array_equal(slap(click, 2.0, 0.3, RATE), click)


def test_mastered_stems_still_sum_to_the_mastered_mixture():
    stems = np.stack([noise(seed=seed) for seed in range(4)])
    stems[:, :, : RATE // 2] *= 10
    limiter = Compressor(threshold=-6, ratio=20, attack=0.001, release=0.05)
    mastered = master(stems, limiter, RATE)
    curve = gain_curve(stems.sum(axis=0), limiter, RATE)
    assert np.allclose(mastered.sum(axis=0), stems.sum(axis=0) * curve, atol=1e-5)
    # The gain is common: every stem falls by the same, and loud parts fall most.
    with np.errstate(invalid="ignore"):
        gains = mastered / stems
    assert np.nanmax(np.ptp(gains[:, :, 1000:-1000], axis=(0, 1))) < 1e-4
    assert curve[RATE // 4] < 0.7 * curve[-1]
