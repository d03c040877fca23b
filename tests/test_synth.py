"""Generated songs: repeatable, well-formed, and shaped like the instruments that they imitate."""

import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from auralflow.effects.dynamics import active_rms
from auralflow.effects.signals import convolve
from auralflow.errors import SettingsError
from auralflow.synth import folders, generate_song, write_dataset
from auralflow.synth.desk.mixing import LEVEL_RANGE, RELATIVE_LEVELS
from auralflow.synth.players.instruments import play, subtractive
from auralflow.synth.players.voice import Timbre, sing
from auralflow.synth.score.composition import STEMS, Note, compose
from auralflow.synth.score.melody import Syllable, sung_melody
from auralflow.synth.signals import cycle_table, pluck_string, read_cycle

RATE = 16000
AUDIBLE = 10 ** (-50 / 20)


@cache
def song_of_20_seconds(seed):
    return generate_song(seed, seconds=20.0, sample_rate=RATE)


def share_of_energy(audio, low, high, rate=RATE):
    power = np.abs(np.fft.rfft(audio.mean(axis=0))) ** 2
    frequency = np.fft.rfftfreq(audio.shape[-1], 1 / rate)
    return power[(frequency >= low) & (frequency < high)].sum() / power.sum()


def crest(audio):
    return np.max(np.abs(audio)) / np.sqrt(np.mean(audio**2))


def test_same_seed_gives_same_bytes_whatever_the_global_random_state():
    np.random.seed(1)
    first = generate_song(7, seconds=4.0, sample_rate=RATE)
    np.random.seed(2)
    second = generate_song(7, seconds=4.0, sample_rate=RATE)
    assert {name: stem.tobytes() for name, stem in first.items()} == {
        name: stem.tobytes() for name, stem in second.items()
    }


def test_another_seed_changes_every_stem():
    for name in STEMS:
        assert not np.array_equal(song_of_20_seconds(0)[name], song_of_20_seconds(1)[name])


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**64 - 1),
    seconds=st.floats(0.5, 4.0),
    rate=st.integers(8000, 48000),
)
def test_any_short_song_is_finite_in_shape_and_within_the_peak(seed, seconds, rate):
    song = generate_song(seed, seconds=seconds, sample_rate=rate)
    assert tuple(song) == STEMS
    for stem in song.values():
        assert stem.shape == (2, round(seconds * rate))
        assert stem.dtype == np.float32
        assert np.isfinite(stem).all()
        assert np.max(np.abs(stem)) <= 0.95
    assert np.max(np.abs(sum(song.values()))) <= 0.95


@pytest.mark.parametrize("samples", [1, 2, 50, 700])
def test_song_of_a_few_samples_is_made(samples):
    song = generate_song(3, seconds=samples / 8000, sample_rate=8000)
    assert all(stem.shape == (2, samples) and np.isfinite(stem).all() for stem in song.values())


@pytest.mark.parametrize("seed", range(6))
def test_every_stem_is_audible_in_20_seconds(seed):
    for name, stem in song_of_20_seconds(seed).items():
        assert np.sqrt(np.mean(stem**2)) > AUDIBLE, name


@pytest.mark.parametrize("seed", range(6))
def test_active_levels_lie_within_the_drawn_range_of_the_drums(seed):
    song = song_of_20_seconds(seed)
    drums = active_rms(song["drums"], RATE)
    for name in ("vocals", "bass", "other"):
        decibels = 20 * np.log10(active_rms(song[name], RATE) / drums)
        assert abs(decibels - RELATIVE_LEVELS[name]) <= LEVEL_RANGE + 0.01, name


@pytest.mark.parametrize("seed", range(6))
def test_bass_lies_below_400_hz_and_near_the_centre(seed):
    bass = song_of_20_seconds(seed)["bass"]
    assert share_of_energy(bass, 25, 400) > 0.6
    assert np.std(bass[0] - bass[1]) < 0.3 * np.std(bass[0] + bass[1])


@pytest.mark.parametrize("seed", range(6))
def test_drums_are_broadband_and_more_transient_than_a_pad(seed):
    drums = song_of_20_seconds(seed)["drums"]
    assert share_of_energy(drums, 20, 250) > 0.2
    assert share_of_energy(drums, 2000, RATE / 2) > 0.005
    pad = subtractive(RATE, np.random.default_rng(seed), attack=0.1, decay=1.0, sustain=0.8)
    held = play([Note(0.0, 5.0, 60, 1.0), Note(0.0, 5.0, 64, 1.0)], pad, 5 * RATE, RATE)
    assert crest(drums) > 1.2 * crest(held)


@pytest.mark.parametrize("pitch", [45, 57, 64])
def test_voice_is_harmonic_on_the_written_pitch(pitch):
    singer = Timbre(1.0, 1.0, 0.03, vibrato=0.0, vibrato_rate=5.0, glide=0.05)
    syllables = [Syllable(0.1, 1.8, pitch, 1.0, "", "a", "a", first=False)]
    voice = sing(syllables, singer, 2 * RATE, RATE, np.random.default_rng(0))[RATE // 2 : -RATE // 2]
    power = np.abs(np.fft.rfft(voice * np.hanning(len(voice)))) ** 2
    frequency = np.fft.rfftfreq(len(voice), 1 / RATE)
    band = (frequency > 80) & (frequency < 1000)
    position = frequency / (440 * 2 ** ((pitch - 69) / 12))
    # A third of the axis holds nearly all energy when it stands on multiples of the fundamental.
    harmonic = np.abs(position - np.round(position)) < 1 / 6
    assert power[band & harmonic].sum() > 0.9 * power[band].sum()


def test_vowels_move_the_energy_to_their_formants():
    singer = Timbre(1.0, 1.0, 0.03, vibrato=0.0, vibrato_rate=5.0, glide=0.05)

    def centre(vowel):
        syllables = [Syllable(0.1, 0.8, 45, 1.0, "", vowel, vowel)]
        voice = sing(syllables, singer, RATE, RATE, np.random.default_rng(0))
        power = np.abs(np.fft.rfft(voice)) ** 2
        return np.sum(np.fft.rfftfreq(RATE, 1 / RATE)[:1500] * power[:1500]) / power[:1500].sum()

    assert centre("u") < centre("o") < centre("a")


def test_vocals_have_their_energy_between_80_and_4000_hz():
    for seed in range(6):
        assert share_of_energy(song_of_20_seconds(seed)["vocals"], 80, 4000) > 0.8


def test_every_stem_rests_in_some_long_song_and_vocals_in_each():
    rested = set()
    for seed in range(4):
        for name, stem in generate_song(seed, seconds=60.0, sample_rate=8000).items():
            frames = np.sqrt(np.mean(stem.reshape(2, 60, -1) ** 2, axis=(0, 2)))
            if (frames < AUDIBLE).any():
                rested.add(name)
            assert (frames > AUDIBLE).mean() > 0.25
            assert name != "vocals" or (frames < AUDIBLE).any()
    assert rested == set(STEMS)


@given(seed=st.integers(0, 2**32), seconds=st.floats(0.1, 300))
def test_sections_follow_each_other_and_cover_the_song(seed, seconds):
    score = compose(seconds, np.random.default_rng(seed))
    bar = 0
    for section in score.sections:
        assert section.first_bar == bar
        bar += section.bars
    assert score.seconds(bar * score.beats_per_bar) >= seconds
    assert 70 <= score.tempo <= 160


@given(seed=st.integers(0, 2**32), floor=st.integers(43, 60))
def test_melody_keeps_to_the_scale_and_the_range_of_the_singer(seed, floor):
    rng = np.random.default_rng(seed)
    score = compose(40.0, rng)
    for syllable in sung_melody(score, floor, rng):
        assert floor <= syllable.pitch <= floor + 20
        assert (syllable.pitch - score.tonic) % 12 in score.scale


@given(frequency=st.floats(40.0, 1200.0), brightness=st.floats(0.0, 1.0))
def test_plucked_string_is_in_tune_within_ten_cents(frequency, brightness):
    rng = np.random.default_rng(0)
    string = pluck_string(frequency, RATE, RATE, damping=2.0, brightness=brightness, rng=rng)
    spectrum = np.abs(np.fft.rfft(string * np.hanning(RATE), 16 * RATE))
    low, high = (int(16 * frequency * factor) for factor in (0.8, 1.25))
    found = (low + int(np.argmax(spectrum[low:high]))) / 16
    assert abs(1200 * np.log2(found / frequency)) < 10 + 1200 * np.log2(1 + 0.25 / frequency)


@given(frequency=st.floats(30.0, 7000.0))
def test_oscillator_holds_no_alias(frequency):
    frequency = round(frequency)
    table = cycle_table(np.ones(200), frequency, RATE)
    spectrum = np.abs(np.fft.rfft(read_cycle(table, np.arange(RATE) * frequency / RATE)))
    spectrum[frequency::frequency] = 0
    assert spectrum.max() < 0.02 * RATE / 2


@given(samples=st.integers(1, 5000), taps=st.integers(1, 600), seed=st.integers(0, 99))
def test_blockwise_convolution_equals_the_direct_one(samples, taps, seed):
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal(samples).astype(np.float32)
    responses = rng.standard_normal((2, taps)).astype(np.float32)
    direct = np.stack([np.convolve(signal, response)[:samples] for response in responses])
    assert np.allclose(convolve(signal, responses), direct, atol=1e-3)


def test_convolution_is_right_across_blocks():
    rng = np.random.default_rng(0)
    signal = rng.standard_normal(100_000).astype(np.float32)
    response = rng.standard_normal((1, 300)).astype(np.float32)
    assert np.allclose(convolve(signal, response)[0], np.convolve(signal, response[0])[:100_000], atol=1e-2)


def write_small(folder, tracks=3, **options):
    write_dataset(folder, tracks=tracks, seed=5, seconds=1.0, sample_rate=8000, **options)


def tracks_of(folder):
    return sorted(str(track.relative_to(folder)) for track in folder.glob("*/*"))


def test_dataset_has_the_layout_of_musdb_and_mixture_is_the_exact_sum(tmp_path):
    calls = []
    write_small(tmp_path, tracks=4, on_track=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [len(list((tmp_path / split).iterdir())) for split in ("train", "valid", "test")] == [2, 1, 1]
    for track in tmp_path.glob("*/*"):
        assert track.name.startswith("Synth 000")
        assert {path.name for path in track.iterdir()} == {f"{name}.wav" for name in ("mixture", *STEMS)}
        audio = {
            name: soundfile.read(track / f"{name}.wav", dtype="int16")[0] for name in ("mixture", *STEMS)
        }
        assert soundfile.info(track / "mixture.wav").subtype == "PCM_16"
        assert audio["mixture"].shape == (8000, 2)
        total = sum(audio[name].astype(np.int64) for name in STEMS)
        assert np.array_equal(audio["mixture"], total)


@pytest.mark.parametrize(
    ("tracks", "expected"),
    [(1, (1, 0, 0)), (2, (2, 0, 0)), (3, (1, 1, 1)), (19, (17, 1, 1)), (50, (40, 5, 5))],
)
def test_tracks_are_split_eight_to_one_to_one(tracks, expected):
    assert folders._split_counts(tracks, None, None) == expected


def test_interrupted_dataset_resumes_and_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    write_small(tmp_path / "whole")
    real, calls = soundfile.write, []

    def failing(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 8:  # in the middle of the second track
            raise OSError("disk full")
        real(*arguments, **options)

    monkeypatch.setattr("auralflow.synth.folders.soundfile.write", failing)
    with pytest.raises(OSError, match="disk full"):
        write_small(tmp_path / "resumed")
    assert len(tracks_of(tmp_path / "resumed")) == 1
    kept = next((tmp_path / "resumed").glob("*/*/mixture.wav"))
    before = kept.stat().st_mtime_ns
    write_small(tmp_path / "resumed")
    assert kept.stat().st_mtime_ns == before
    assert len(calls) == 8 + 10
    assert tracks_of(tmp_path / "resumed") == tracks_of(tmp_path / "whole")
    for path in (tmp_path / "whole").rglob("*.wav"):
        twin = tmp_path / "resumed" / path.relative_to(tmp_path / "whole")
        assert twin.read_bytes() == path.read_bytes()


def test_left_over_of_a_kill_is_hidden_from_readers_and_does_not_disturb(tmp_path):
    left_over = tmp_path / "train" / ".0123.part"
    left_over.mkdir(parents=True)
    write_small(tmp_path, tracks=1)
    assert len([track for track in (tmp_path / "train").iterdir() if not track.name.startswith(".")]) == 1


def test_growing_a_dataset_keeps_every_song_in_its_split(tmp_path):
    write_small(tmp_path, tracks=3)
    before = set(tracks_of(tmp_path))
    write_small(tmp_path, tracks=6, valid=2, test=2)
    after = tracks_of(tmp_path)
    assert before < set(after)
    assert len(after) == 6
    contents = {(tmp_path / track / "mixture.wav").read_bytes() for track in after}
    assert len(contents) == 6


@pytest.mark.parametrize(
    "options",
    [{"tracks": 0}, {"tracks": 3, "valid": 3}, {"tracks": 3, "test": -1}, {"tracks": 1, "seed": -1}],
)
def test_bad_dataset_arguments_are_settings_errors_and_write_nothing(tmp_path, options):
    with pytest.raises(SettingsError):
        write_dataset(tmp_path / "data", **{"seed": 0, "seconds": 1.0, **options})
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "options", [{"seconds": 0}, {"seconds": -1}, {"seconds": float("nan")}, {"sample_rate": 0}, {"seed": -1}]
)
def test_bad_song_arguments_are_settings_errors(options):
    with pytest.raises(SettingsError):
        generate_song(**{"seed": 0, **options})


def test_generator_itself_loads_no_torch():
    # The package around it may; an empty one in its place shows what the generator loads on its own.
    program = """
import sys, types
import auralflow
around = types.ModuleType("auralflow.datasets")
around.__path__ = [auralflow.__path__[0] + "/datasets"]
sys.modules["auralflow.datasets"] = around
from auralflow.synth import generate_song
generate_song(0, seconds=0.5, sample_rate=8000)
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
