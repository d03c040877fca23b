"""The song generator: several processes, and recordings as instruments."""

import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import soundfile
from dataset_makers import RATE

from auralflow.cli import main
from auralflow.synth import Material, generate_song
from auralflow.synth.players.samples import SampleBank


def test_several_processes_make_the_same_songs_as_one(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("auralflow.cores.usable_workers", lambda wanted: asked.append(wanted) or wanted)
    options = ["--tracks", "4", "--seconds", "1", "--sample-rate", str(RATE), "--seed", "3"]
    for number in ("1", "2"):
        assert main(["synth", str(tmp_path / number), *options, "--num-workers", number]) == 0
    assert asked == [1, 2]
    one, two = (
        {
            path.relative_to(tmp_path / number): path.read_bytes()
            for path in (tmp_path / number).rglob("*.wav")
        }
        for number in ("1", "2")
    )
    assert len(one) == 4 * 5
    assert one == two


def test_workers_end_when_their_parent_is_killed(tmp_path):
    # So many songs that it cannot be over before it is killed.
    options = ["--tracks", "500", "--seconds", "5", "--num-workers", "2"]
    command = [sys.executable, "-m", "auralflow", "synth", tmp_path / "songs", *options]
    parent = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 300
        while not list(tmp_path.glob("songs/train/Synth*")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        children = psutil.Process(parent.pid).children(recursive=True)
    finally:
        parent.kill()
        parent.wait()
    assert len(children) >= 2
    _, alive = psutil.wait_procs(children, timeout=60)
    for process in alive:
        process.kill()
    assert not alive


def write_sound(folder, name, audio, rate=44100):
    folder.mkdir(exist_ok=True)
    soundfile.write(folder / name, audio, rate)


def decaying_tone(frequency, rate=44100, seconds=1.0):
    time = np.arange(round(rate * seconds)) / rate
    return (
        0.5
        * np.exp(-3 * time)
        * (np.sin(2 * np.pi * frequency * time) + 0.5 * np.sin(4 * np.pi * frequency * time))
    )


def pitch(note):
    return 440 * 2 ** ((note - 69) / 12)


@pytest.fixture
def samples(tmp_path):
    """A kick that is a tone at 3 kHz, and a bass whose maker counts octaves one too high."""
    folder = tmp_path / "samples"
    write_sound(folder, "drums_Kick_v1.wav", decaying_tone(3000, seconds=0.2))
    for octave in (2, 3):
        for name, step in (("c", 0), ("eb", 3), ("f#", 6), ("a", 9)):
            note = 12 * octave + step + 12
            write_sound(folder, f"bass_upright_{name}{octave + 1}_f.wav", decaying_tone(pitch(note)))
    write_sound(folder, "readme_nothing.wav", decaying_tone(100))
    return folder


def loudest(audio, rate):
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 8 * len(audio)))
    return spectrum.argmax() * rate / (8 * len(audio))


@pytest.mark.parametrize("note", [30, 36, 40, 47, 52, 66])
def test_a_recorded_instrument_plays_the_note_that_is_written(samples, note):
    bank = SampleBank(samples)
    instruments = (bank.instrument("bass", 44100, np.random.default_rng(seed)) for seed in range(20))
    instrument = next(instrument for instrument in instruments if instrument)
    sound = instrument(pitch(note), 22050)
    found = loudest(sound, 44100)
    # Too far from any recording, the instrument plays an octave off rather than become another one.
    octaves = 0 if note <= 60 else -1
    assert np.log2(found / pitch(note)) == pytest.approx(octaves, abs=0.01)
    assert len(sound) <= 22050 + 0.06 * 44100


def test_recordings_are_heard_in_the_songs_and_leave_the_voice_alone(samples, monkeypatch):
    # The gain of the mastering hears the whole song, so it would let the drums be heard in the voice's level.
    monkeypatch.setattr("auralflow.synth.song.mastered", lambda stems, *_, **__: stems)
    bank = SampleBank(samples)
    pairs = [
        (
            generate_song(seed, seconds=20.0),
            generate_song(seed, seconds=20.0, material=Material(samples=bank)),
        )
        for seed in (0, 1, 2)
    ]
    heard = 0
    for plain, recorded in pairs:
        spectra = [np.abs(np.fft.rfft(song["drums"][0])) for song in (plain, recorded)]
        band = slice(2900 * 20, 3100 * 20)
        shares = [float((spectrum[band] ** 2).sum() / (spectrum**2).sum()) for spectrum in spectra]
        heard += shares[1] > 3 * shares[0]
        # The voice is the same but for the level of the whole song.
        voices = [song["vocals"][0] for song in (plain, recorded)]
        assert np.corrcoef(*voices)[0, 1] > 0.999
        assert np.abs(sum(recorded.values())).max() <= 0.951
    assert heard >= 2


def test_songs_with_recordings_are_the_same_for_the_same_seed_and_other_than_without(samples, tmp_path):
    options = ["--tracks", "1", "--seconds", "4", "--seed", "3"]
    for name in ("a", "b"):
        assert main(["synth", str(tmp_path / name), *options, "--samples", str(samples)]) == 0
    assert main(["synth", str(tmp_path / "plain"), *options]) == 0
    one, two, plain = (
        [path.read_bytes() for path in sorted((tmp_path / name).rglob("*.wav"))]
        for name in ("a", "b", "plain")
    )
    assert one == two
    assert one != plain


def test_a_folder_without_usable_recordings_is_refused_before_anything_is_written(tmp_path, capsys):
    (tmp_path / "none").mkdir()
    assert main(["synth", str(tmp_path / "out"), "--samples", str(tmp_path / "none")]) == 1
    assert "no recording" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
