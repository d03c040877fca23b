"""Recorded voices: cut into syllables, sung on the notes of a melody, taken apart only once."""

import numpy as np
import pytest
import soundfile

from auralflow.audio import resample
from auralflow.cli import main
from auralflow.errors import AudioError, DatasetError, NotFoundError
from auralflow.synth import Material, generate_song
from auralflow.synth.players import vocoder
from auralflow.synth.players.recorded_singers import RecordedSinger, VoiceBank
from auralflow.synth.players.vocals import speak
from auralflow.synth.players.vocoder import RATE, load_voice, synthesise, voice_cache
from auralflow.synth.players.voice import Timbre, sing
from auralflow.synth.score.melody import Syllable

pyworld = pytest.importorskip("pyworld", reason="recorded voices need the extra 'voices'")

PLAIN = Timbre(1.0, 1.0, 0.03, vibrato=0.0, vibrato_rate=5.0, glide=0.05)


def spoken(*, pitch=48, count=12, consonant="s", seed=0):
    """Somebody who says count syllables of 0.25 s, each 0.5 s after the other."""
    syllables = [
        Syllable(0.2 + index / 2, 0.25, pitch, 1.0, consonant, "aeio"[index % 4], "a", first=True)
        for index in range(count)
    ]
    sound = sing(syllables, PLAIN, round((0.5 + count / 2) * RATE), RATE, np.random.default_rng(seed))
    return 0.1 * sound


def save(path, sound, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, resample(sound[None], RATE, rate)[0], rate)
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AURALFLOW_HOME", str(tmp_path / "home"))
    load_voice.cache_clear()


@pytest.fixture(scope="module")
def sentence():
    return spoken()


def singer(voice, **manner):
    timbre = Timbre(
        **{
            "formant_scale": 1.0,
            "tilt": 1.0,
            "breath": 0.0,
            "vibrato": 0.0,
            "vibrato_rate": 5.0,
            "glide": 0.03,
        }
        | manner
    )
    return RecordedSinger((voice,), 48, timbre, 1.0)


def melody(*pitches, length=0.8):
    return [
        Syllable(0.5 + index, length, pitch, 1.0, "", "a", "a", first=True)
        for index, pitch in enumerate(pitches)
    ]


def test_syllables_are_found_with_their_unvoiced_consonants(tmp_path, sentence):
    voice = load_voice(save(tmp_path / "a.wav", sentence))
    assert abs(len(voice.units) - 12) <= 1
    starts = np.array([unit.nucleus for unit in voice.units]) / vocoder.FRAMES_PER_SECOND
    expected = 0.2 + np.arange(12) / 2
    assert np.median(np.abs(starts[:, None] - expected).min(axis=1)) < 0.05
    onsets = [unit.nucleus - unit.begin for unit in voice.units]
    assert np.median(onsets) > 8  # 40 ms of an s
    for before, after in zip(voice.units, voice.units[1:], strict=False):
        assert before.begin <= before.nucleus < before.end <= after.begin


@pytest.mark.parametrize("rate", [RATE, 16000])
def test_notes_are_sung_on_their_pitches(tmp_path, sentence, rate):
    voice = load_voice(save(tmp_path / "a.wav", sentence))
    pitches = (50, 57, 62, 55)
    song = singer(voice).sing(melody(*pitches), 5 * rate, rate, np.random.default_rng(0))
    assert song.shape == (5 * rate,)
    found, times = pyworld.harvest(
        resample(song[None], rate, 16000)[0].astype(np.float64), 16000, f0_ceil=600
    )
    for index, pitch in enumerate(pitches):
        inside = (times > 0.65 + index) & (times < 1.15 + index) & (found > 0)
        assert inside.sum() > 60
        cents = 1200 * np.log2(np.median(found[inside]) / (440 * 2 ** ((pitch - 69) / 12)))
        assert abs(cents) < 35


def test_a_consonant_is_noise_before_its_note_and_rests_are_silent(tmp_path, sentence):
    voice = load_voice(save(tmp_path / "a.wav", sentence))
    song = singer(voice).sing(melody(52, 55, 57), 4 * RATE, RATE, np.random.default_rng(0))
    before, inside = song[int(1.42 * RATE) : int(1.49 * RATE)], song[int(1.7 * RATE) : int(2.2 * RATE)]

    def share_of_highs(sound):
        power = np.abs(np.fft.rfft(sound)) ** 2
        return power[np.fft.rfftfreq(len(sound), 1 / RATE) > 4000].sum() / power.sum()

    assert share_of_highs(before) > 10 * share_of_highs(inside)
    assert np.abs(song[: int(0.2 * RATE)]).max() < 1e-3
    assert np.abs(song[int(3.7 * RATE) :]).max() < 0.02 * np.abs(song).max()


def test_longer_mouths_lower_the_resonances_and_leave_the_pitch(tmp_path, sentence):
    voice = load_voice(save(tmp_path / "a.wav", sentence))
    frames = 400
    place = voice.units[4].nucleus + 20
    envelope, noise = (
        np.repeat(part[place : place + 1], frames, axis=0) for part in (voice.envelope, voice.noise)
    )
    pitch = np.full(frames, 80.0, dtype=np.float32)

    def resonance(scale):
        sound = synthesise(pitch, envelope, noise, formants=scale, band=RATE / 2)[RATE // 2 : 3 * RATE // 2]
        power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2  # a hertz a bin
        assert 78 <= np.argmax(power[60:100]) + 60 <= 82
        smooth = np.convolve(power, np.hanning(160), mode="same")
        return np.argmax(smooth[300:1300]) + 300

    usual = resonance(1.0)
    assert resonance(1.14) / usual == pytest.approx(1.14, abs=0.06)
    assert resonance(0.88) / usual == pytest.approx(0.88, abs=0.06)


def test_a_recording_is_taken_apart_once_and_gives_the_same_from_the_cache(tmp_path, sentence, monkeypatch):
    path = save(tmp_path / "a.wav", sentence)
    fresh = load_voice(path)
    monkeypatch.setattr(vocoder, "_take_apart", lambda *_: pytest.fail("taken apart again"))
    load_voice.cache_clear()
    kept = load_voice(path)
    assert kept.units == fresh.units
    assert np.array_equal(kept.envelope, fresh.envelope)
    assert np.array_equal(kept.pitch, fresh.pitch)
    (tmp_path / "b.wav").write_bytes(path.read_bytes())
    assert load_voice(tmp_path / "b.wav").units == fresh.units  # known by content


@pytest.mark.parametrize(
    "damaged", [lambda data: data[: len(data) // 2], lambda data: data[:0], lambda data: data[1:9] * 99]
)
def test_a_damaged_cache_is_made_anew(tmp_path, sentence, damaged):
    path = save(tmp_path / "a.wav", sentence)
    fresh = load_voice(path)
    (kept,) = voice_cache().iterdir()
    kept.write_bytes(damaged(kept.read_bytes()))
    load_voice.cache_clear()
    assert load_voice(path).units == fresh.units
    assert len(kept.read_bytes()) > 1000


def test_short_recordings_of_a_folder_become_one_singer_and_narrow_ones_are_rarer(tmp_path):
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE * 16).astype(np.float32)
    for number in range(4):
        save(tmp_path / "v" / "phrases" / f"{number}.wav", noise[: 3 * RATE])
    save(tmp_path / "v" / "long.wav", noise)
    save(tmp_path / "v" / "narrow.wav", noise, 16000)
    bank = VoiceBank(tmp_path / "v")
    assert [len(files) for files in bank.singers] == [1, 1, 4]
    by_name = {files[0].stem: weight for files, weight in zip(bank.singers, bank.weights, strict=True)}
    assert by_name["narrow"] == pytest.approx(0.2 * by_name["long"])
    assert by_name["0"] == pytest.approx(by_name["long"] * (12 / 16) ** 0.5)


def test_songs_are_sung_by_the_recordings_and_repeat_with_their_seed(tmp_path, sentence):
    save(tmp_path / "v" / "a.wav", sentence)
    save(tmp_path / "v" / "b.wav", spoken(pitch=58, seed=1))
    bank = VoiceBank(tmp_path / "v")
    plain = generate_song(4, seconds=6.0, sample_rate=16000)
    fresh, again = (
        generate_song(4, seconds=6.0, sample_rate=16000, material=Material(voices=bank)) for _ in range(2)
    )
    assert {name: stem.tobytes() for name, stem in fresh.items()} == {
        name: stem.tobytes() for name, stem in again.items()
    }
    assert not np.array_equal(fresh["vocals"], plain["vocals"])
    assert all(np.isfinite(stem).all() for stem in fresh.values())


def test_voices_of_the_command_line_give_the_same_songs_from_two_processes(tmp_path, sentence, monkeypatch):
    monkeypatch.setattr("auralflow.cores.usable_workers", lambda wanted: wanted)
    save(tmp_path / "v" / "a.wav", sentence)
    options = ["--tracks", "2", "--seconds", "2", "--sample-rate", "8000", "--voices", str(tmp_path / "v")]
    for number in ("1", "2"):
        assert main(["synth", str(tmp_path / number), *options, "--num-workers", number]) == 0
    one, two = (
        {
            path.relative_to(tmp_path / number): path.read_bytes()
            for path in (tmp_path / number).rglob("*.wav")
        }
        for number in ("1", "2")
    )
    assert one == two


def test_folders_that_cannot_sing_are_told(tmp_path):
    with pytest.raises(NotFoundError):
        VoiceBank(tmp_path / "none")
    (tmp_path / "v").mkdir()
    with pytest.raises(DatasetError, match="no recording"):
        VoiceBank(tmp_path / "v")
    save(tmp_path / "v" / "silence.wav", np.zeros(RATE * 2, dtype=np.float32))
    with pytest.raises(DatasetError, match="no syllable"):
        VoiceBank(tmp_path / "v").singer(np.random.default_rng(0))
    (tmp_path / "v" / "silence.wav").write_bytes(b"RIFF")
    with pytest.raises(AudioError, match="silence"):
        VoiceBank(tmp_path / "v")


def test_a_missing_vocoder_is_told_with_the_command_that_installs_it(tmp_path, sentence, monkeypatch, capsys):
    save(tmp_path / "v" / "a.wav", sentence)
    vocoder._world.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "pyworld", None)
    assert main(["synth", str(tmp_path / "songs"), "--tracks", "1", "--voices", str(tmp_path / "v")]) == 1
    assert "pip install 'auralflow[voices]'" in capsys.readouterr().err
    vocoder._world.cache_clear()


def test_spoken_words_keep_the_rhythm_stay_low_and_fall():
    rng = np.random.default_rng(0)
    line = [
        Syllable(0.3 * n, 0.28, int(rng.integers(60, 84)), 0.9, "s", "a", "a", first=n % 8 == 0)
        for n in range(64)
    ]
    words = speak(line, 48, rng)
    assert [word.start for word in words] == [syllable.start for syllable in line]
    assert {word.first for word in words[::8]} == {True}
    assert all(word.length <= 0.22 for word in words)
    pitches = np.array([word.pitch for word in words]).reshape(8, 8)
    assert pitches.min() >= 48
    assert pitches.max() <= 56
    assert pitches[:, 0].mean() > pitches[:, -1].mean() + 1
