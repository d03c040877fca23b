"""Amplifiers, compressors, equalisers, rooms, width and metres do what they are named after."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import sosfreqz

from auralflow.effects.amplifiers import amplify, draw_amplifier
from auralflow.effects.dynamics import Compressor, active_rms, compress, saturate
from auralflow.effects.equalizers import high_shelf, low_shelf, peak
from auralflow.effects.rooms import ACOUSTICS, draw_room, echo, reverberate
from auralflow.effects.stereo import widen
from auralflow.synth.desk.channel_strip import record
from auralflow.synth.desk.mixing import LEVEL_RANGE, RELATIVE_LEVELS, balance, mastered
from auralflow.synth.players.band import Band
from auralflow.synth.players.drums import drum_hits
from auralflow.synth.players.instruments import brass
from auralflow.synth.players.programs import built_in
from auralflow.synth.players.singers import built_in_singer
from auralflow.synth.players.vocals import perform_vocals
from auralflow.synth.score.composition import STEMS, Note, compose
from auralflow.synth.score.melody import sung_melody
from auralflow.synth.score.parts import Part

RATE = 44100


def tone(frequency, seconds=1.0, rate=RATE):
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate).astype(np.float32)


def level_at(sound, frequency, rate=RATE):
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    place = round(frequency * len(sound) / rate)
    return 10 * np.log10(power[place - 3 : place + 4].sum() + 1e-12)


@pytest.mark.parametrize("kind", ["heavy", "light", "bass"])
@pytest.mark.parametrize("seed", range(4))
def test_an_amplifier_adds_overtones_that_its_loudspeaker_ends(kind, seed):
    amplifier = draw_amplifier(kind, np.random.default_rng(seed))
    heard = amplify(tone(220), amplifier, RATE)
    fundamental = level_at(heard, 220)
    assert max(level_at(heard, 440), level_at(heard, 660)) > fundamental - 45
    assert level_at(tone(220), 660) < level_at(tone(220), 220) - 60
    high = [level_at(heard, 220 * order) for order in range(round(2.2 * amplifier.cone / 220), 80)]
    assert max(high) < fundamental - 40


def test_heavier_amplifiers_distort_more():
    def overtones(kind):
        shares = []
        for seed in range(10):
            heard = amplify(tone(220), draw_amplifier(kind, np.random.default_rng(seed)), RATE)
            shares.append(max(level_at(heard, 220 * order) for order in (2, 3, 5)) - level_at(heard, 220))
        return np.median(shares)

    assert overtones("heavy") > overtones("light") + 6


def gain_computer(level, compressor):
    """Decibels out for decibels in, equation 4 of Giannoulis, Massberg and Reiss (2012)."""
    over = level - compressor.threshold
    if 2 * over < -compressor.knee:
        return level
    if 2 * over > compressor.knee:
        return compressor.threshold + over / compressor.ratio
    return level + (1 / compressor.ratio - 1) * (over + compressor.knee / 2) ** 2 / (2 * compressor.knee)


@given(
    threshold=st.floats(-40, 10),
    ratio=st.floats(1, 20),
    attack=st.floats(0.001, 0.05),
    release=st.floats(0.02, 0.1),
    step=st.floats(0, 35),
)
@settings(max_examples=50, deadline=None)
def test_a_compressor_that_has_settled_follows_its_curve(threshold, ratio, attack, release, step):
    compressor = Compressor(threshold, ratio, attack, release)
    settled = round(8000 * 12 * (attack + release))
    levels = np.repeat([0.5, 0.5 * 10 ** (-step / 20)], settled).astype(np.float32)
    stem = np.stack([levels, -levels])
    even = compress(stem, compressor, 8000)
    found = 20 * np.log10(even[0, settled - 50] / even[0, -50])
    ends = 20 * np.log10(stem[0, [0, -1]] / active_rms(stem, 8000))
    loud, quiet = (gain_computer(level, compressor) for level in ends)
    assert found == pytest.approx(loud - quiet, abs=0.02)
    # The gain never rises with the level, and never falls so much that what was louder gets quieter.
    assert step / ratio - 0.02 <= found <= step + 0.02
    assert np.array_equal(even[0], -even[1])


@given(
    threshold=st.floats(-20, 10),
    ratio=st.floats(1, 20),
    attack=st.floats(0.001, 0.05),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_a_compressor_keeps_the_level(threshold, ratio, attack, seed):
    rng = np.random.default_rng(seed)
    bursts = np.repeat(10 ** (rng.uniform(-1.5, 0, 20)), 800)
    stem = (bursts * rng.standard_normal((2, len(bursts)))).astype(np.float32)
    even = compress(stem, Compressor(threshold, ratio, attack, 0.05), 8000)
    assert active_rms(even, 8000) == pytest.approx(active_rms(stem, 8000), rel=1e-3)


def test_silence_stays_silence_through_the_whole_desk():
    dry = {name: np.zeros((2, 8000), dtype=np.float32) for name in STEMS}
    stems = record(dry, 120.0, 8000, np.random.default_rng(0))
    assert not any(np.any(stem) for stem in stems.values())
    assert not np.any(saturate(dry["bass"], 0.3, 8000))


@given(frequency=st.floats(60, 8000), gain=st.floats(-15, 15), quality=st.floats(0.3, 4))
def test_filters_reach_their_gain_and_leave_the_rest(frequency, gain, quality):
    def response(sections, *frequencies):
        _, found = sosfreqz(sections, frequencies, fs=RATE)
        return 20 * np.log10(np.abs(found))

    assert response(peak(frequency, gain, quality, RATE), frequency)[0] == pytest.approx(gain, abs=1e-6)
    assert response(peak(frequency, gain, quality, RATE), 1e-3)[0] == pytest.approx(0, abs=0.01)
    assert response(low_shelf(frequency, gain, RATE), 1e-3, frequency) == pytest.approx(
        [gain, gain / 2], abs=0.01
    )
    assert response(high_shelf(frequency, gain, RATE), 1e-3, frequency) == pytest.approx(
        [0, gain / 2], abs=0.01
    )
    assert response(high_shelf(frequency, gain, RATE), RATE / 2 - 1)[0] == pytest.approx(gain, abs=0.05)


@pytest.mark.parametrize("kind", ACOUSTICS)
def test_rooms_die_away_highs_first_and_sound_different_on_both_sides(kind):
    room = draw_room(kind, RATE, np.random.default_rng(1))
    assert np.sum(room**2, axis=1) == pytest.approx([1, 1], rel=1e-3)
    assert abs(np.corrcoef(room)[0, 1]) < 0.3
    quarters = np.array_split(np.sum(room**2, axis=0), 4)
    assert quarters[0].sum() > 10 * quarters[2].sum() > 10 * quarters[3].sum()
    early, late = (np.abs(np.fft.rfft(part, 1 << 18)) ** 2 for part in np.array_split(room[0], 2))
    highs = slice(int(6000 / RATE * (1 << 18)), None)
    assert late[highs].sum() / late.sum() < early[highs].sum() / early.sum()


def test_reverberation_comes_after_the_sound_and_echoes_in_their_time():
    click = np.zeros((2, RATE), dtype=np.float32)
    click[:, 100] = 1
    wet = reverberate(click, draw_room("hall", RATE, np.random.default_rng(0)), 0.3)
    assert not np.any(np.abs(wet[:, :100]) > 1e-4)  # the FFT leaves a trace
    assert np.abs(wet[:, 2000:]).max() > 1e-3
    repeated = echo(click, 0.25, 0.5, RATE)
    places = np.flatnonzero(np.abs(repeated[1]) > 0.1)
    assert {round((place - 100) / RATE, 2) for place in places} == {0.0, 0.25}


def test_widening_moves_highs_to_the_sides_and_keeps_the_middle():
    low, high = tone(80), tone(1000)
    for sound, least, most in ((low, 0.0, 0.1), (high, 0.3, 0.6)):
        wide = widen(np.stack([sound, sound]), 0.5, RATE, np.random.default_rng(0))
        assert np.allclose(wide.sum(axis=0), 2 * sound, atol=1e-5)
        side = np.std(wide[0] - wide[1]) / np.std(wide[0] + wide[1])
        assert least <= side <= most


def test_a_heavy_guitar_in_the_middle_is_often_played_twice_and_wide():
    part = Part(30, tuple(Note(beat / 2, 0.45, 40, 1.0) for beat in range(8)))
    widths = []
    for seed in range(12):
        sound = Band(RATE, np.random.default_rng(seed)).part(part, 4 * RATE, "other")
        assert active_rms(sound, RATE) == pytest.approx(1.0, rel=0.05)
        widths.append(np.std(sound[0] - sound[1]) / np.std(sound[0] + sound[1]))
    assert 3 <= sum(width > 0.2 for width in widths) <= 11


def test_what_is_written_for_choirs_is_played_by_strings():
    notes = (Note(0.0, 0.5, 60, 1.0),)
    choir, strings = (
        Band(RATE, np.random.default_rng(0)).part(Part(program, notes), RATE, "other") for program in (52, 50)
    )
    assert np.array_equal(choir, strings)


@pytest.mark.parametrize("program", range(0, 128, 3))
def test_every_program_has_an_instrument_that_sounds_and_ends(program):
    sound = built_in(program, RATE, np.random.default_rng(program))(220.0, RATE // 2)
    assert np.isfinite(sound).all()
    assert np.sqrt(np.mean(sound[: RATE // 2] ** 2)) > 0.01
    assert len(sound) < RATE * 1.5


def test_brass_grows_brighter_as_it_swells():
    sound = brass(RATE, np.random.default_rng(0))(220.0, RATE)
    start, full = sound[200:1800], sound[8000:24000]

    def centre(part):
        power = np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2
        return np.sum(np.fft.rfftfreq(len(part), 1 / RATE) * power) / power.sum()

    assert centre(full) > 1.2 * centre(start)


def test_levels_of_the_stems_stay_in_their_range_and_within_full_scale():
    rng = np.random.default_rng(0)
    for _ in range(20):
        stems = {
            name: rng.uniform(0.01, 1) * rng.standard_normal((2, 8000)).astype(np.float32) for name in STEMS
        }
        mixed = balance(stems, 8000, rng)
        assert np.abs(sum(mixed.values())).max() <= 0.951
        drums = active_rms(mixed["drums"], 8000)
        for name in STEMS:
            away = 20 * np.log10(active_rms(mixed[name], 8000) / drums) - RELATIVE_LEVELS[name]
            assert abs(away) <= LEVEL_RANGE + 0.01


def songs_in(metre, count=4):
    found = []
    for seed in range(400):
        score = compose(40.0, np.random.default_rng(seed))
        if score.metre == metre:
            found.append(score)
        if len(found) == count:
            return found
    raise AssertionError(f"no song in {metre}")


@pytest.mark.parametrize("metre", ["4/4", "3/4", "6/8"])
def test_every_part_keeps_to_the_bars_of_the_metre(metre):
    for score in songs_in(metre):
        bar = score.seconds(score.beats_per_bar)
        hits = drum_hits(score, np.random.default_rng(0))
        kicks = np.array([hit.start for hit in hits if hit.piece == "kick"]) / bar
        # Bars begin with a kick.
        assert np.mean(np.abs(kicks - np.round(kicks)) < 0.02) > 0.2
        line = sung_melody(score, 48, np.random.default_rng(0))
        assert line
        for before, after in pairwise(line):
            assert after.start > before.start


def test_sixteenths_are_swung_in_some_slow_songs():
    swung = [score for score in songs_in("4/4", 40) if score.swing and score.swung == 0.25]
    assert swung
    assert all(score.tempo < 105 for score in swung)
    score = swung[0]
    beat = 60 / score.tempo
    assert score.seconds(1.25) == pytest.approx((1.25 + score.swing / 4) * beat)
    assert score.seconds(1.5) == pytest.approx(1.5 * beat)


def test_vocals_are_at_times_doubled_wide_and_always_have_a_middle():
    rng = np.random.default_rng(0)
    line = sung_melody(songs_in("4/4")[0], 48, rng)
    widths = []
    for seed in range(10):
        generator = np.random.default_rng(seed)
        singer = built_in_singer(generator)
        voices = perform_vocals(line, singer, lambda: built_in_singer(generator), 80000, 8000, generator)  # noqa: B023
        assert np.isfinite(voices).all()
        widths.append(np.std(voices[0] - voices[1]) / np.std(voices[0] + voices[1]))
    assert min(widths) < 0.01
    assert 0.05 < max(widths) < 1


def test_a_mastered_song_is_denser_no_louder_and_one_gain_for_all_its_stems():
    rng = np.random.default_rng(0)
    envelope = np.repeat(10 ** rng.uniform(-1.5, 0, 20), 800)
    stems = {name: (0.1 * envelope * rng.standard_normal((2, 16000))).astype(np.float32) for name in "abcd"}
    changed = 0
    for seed in range(12):
        result = mastered(stems, 8000, np.random.default_rng(seed))
        if all(result[name] is stems[name] for name in stems):
            continue
        changed += 1
        before, after = sum(stems.values()), sum(result.values())
        peaks = [
            max(np.abs(part).max() for part in (*song.values(), sum(song.values())))
            for song in (stems, result)
        ]
        assert peaks[1] == pytest.approx(peaks[0], rel=1e-4)
        assert np.square(after).mean() > np.square(before).mean()
        gains = np.stack([result[name] / stems[name] for name in stems])
        assert np.ptp(gains, axis=(0, 1)).max() < 1e-3 * gains.max()
    assert 3 < changed < 12
