"""Soundfonts: every note at its time and pitch, parts apart, the same each time; what is missing is told."""

import sys
from ctypes.util import find_library
from pathlib import Path

import numpy as np
import pytest

from auralflow.cli import main
from auralflow.errors import DatasetError, NotFoundError
from auralflow.synth import Material, generate_song
from auralflow.synth.players import soundfonts
from auralflow.synth.players.soundfonts import Soundfont, soundfont
from auralflow.synth.score.composition import Note
from auralflow.synth.score.parts import Hit, Part

FONTS = [
    path
    for path in map(
        Path, ("/usr/share/sounds/sf2/FluidR3_GM.sf2", "/usr/share/sounds/sf3/MuseScore_General_Full.sf3")
    )
    if path.is_file()
]
RATE = 44100

needs_library = pytest.mark.skipif(
    not find_library("fluidsynth"), reason="no FluidSynth here: run make tools as root"
)
needs_font = pytest.mark.skipif(
    not FONTS or not find_library("fluidsynth"),
    reason="no soundfont here: run make tools as root",
)


@pytest.fixture(scope="module")
def font():
    pytest.importorskip("fluidsynth", reason="needs the extra 'soundfont'", exc_type=ImportError)
    return soundfont(FONTS[0], RATE)


def loudest(sound):
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 4 * len(sound)))
    return spectrum.argmax() * RATE / (4 * len(sound))


@needs_font
@pytest.mark.parametrize("pitch", [57, 60, 72])
def test_a_flute_plays_the_note_that_is_written(font, pitch):
    sound = font.play(Part(73, (Note(0.2, 1.0, pitch + 12, 0.8),)), RATE * 2)
    inside = sound[0, int(0.5 * RATE) : RATE]
    assert np.log2(loudest(inside) / (440 * 2 ** ((pitch - 57) / 12))) == pytest.approx(0, abs=0.02)


@needs_font
def test_a_note_begins_at_its_time_and_ends_after_it(font):
    sound = font.play(Part(16, (Note(0.5, 0.5, 60, 1.0),)), RATE * 3)
    loud = np.abs(sound).max(axis=0) > 0.02 * np.abs(sound).max()
    assert np.argmax(loud) / RATE == pytest.approx(0.5, abs=0.02)
    assert np.flatnonzero(loud)[-1] / RATE < 2.0
    assert not np.any(sound[:, : int(0.49 * RATE)])


@needs_font
def test_bends_move_the_pitch(font):
    part = Part(80, (Note(0.0, 2.0, 69, 1.0),), bends=((1.0, 2.0),))
    sound = font.play(part, RATE * 2)[0]
    before, after = loudest(sound[int(0.3 * RATE) : RATE]), loudest(sound[int(1.1 * RATE) : int(1.9 * RATE)])
    assert 12 * np.log2(after / before) == pytest.approx(2.0, abs=0.1)


@needs_font
def test_what_was_played_before_leaves_no_trace(font):
    part = Part(30, tuple(Note(beat / 4, 0.5, 40 + beat, 1.0) for beat in range(8)))
    first = font.play(part, RATE * 2)
    font.drum([Hit(0.1, "crash", 1.0)], RATE, 0)
    assert np.array_equal(font.play(part, RATE * 2), first)
    assert np.array_equal(Soundfont(FONTS[0], RATE).play(part, RATE * 2), first)


@needs_font
@pytest.mark.parametrize("kit", soundfonts.KITS)
def test_every_kit_strikes_every_piece_or_the_standard_one_does(font, kit):
    for piece in ("kick", "snare", "hat", "crash"):
        sound = font.drum([Hit(0.1, piece, 1.0)], RATE, kit)
        assert np.abs(sound).max() > 1e-3, piece
        assert np.abs(sound[:, : int(0.09 * RATE)]).max() == 0


@needs_font
def test_an_instrument_that_is_not_there_is_silent_and_empty_parts_too(font):
    assert not np.any(font.play(Part(0, ()), 1000))
    assert font.play(Part(0, (Note(0, 1, 60, 1.0),)), 1).shape == (2, 1)


@needs_font
def test_songs_with_soundfonts_repeat_with_their_seed(font):
    material = Material(soundfonts=tuple(FONTS))
    for seed in (0, 1, 2):
        first, again = (generate_song(seed, seconds=3.0, material=material) for _ in range(2))
        assert {name: stem.tobytes() for name, stem in first.items()} == {
            name: stem.tobytes() for name, stem in again.items()
        }
        assert np.abs(sum(first.values())).max() <= 0.951


@needs_font
def test_the_command_mixes_several_soundfonts(tmp_path):
    options = [word for path in FONTS for word in ("--soundfont", str(path))]
    assert main(["synth", str(tmp_path / "songs"), "--tracks", "3", "--seconds", "2", *options]) == 0
    assert main(["data", "check", str(tmp_path / "songs")]) == 0


@needs_library
@pytest.mark.parametrize("content", [b"no", b"RIFF\x99\0\0\0sfbk", b"RIFF\4\0\0\0WAVE", b""])
def test_a_file_that_is_no_soundfont_is_told_before_anything_is_written(tmp_path, capfd, content):
    (tmp_path / "font.sf2").write_bytes(content)
    assert main(["synth", str(tmp_path / "songs"), "--soundfont", str(tmp_path / "font.sf2")]) == 1
    (error,) = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("songs ")]
    assert "font.sf2" in error
    assert "expected a soundfont" in error
    assert not (tmp_path / "songs").exists()


def test_a_soundfont_that_is_not_there_is_told_with_the_command_that_installs_one(tmp_path):
    with pytest.raises(NotFoundError, match="apt-get install fluid-soundfont-gm"):
        Soundfont(tmp_path / "none.sf2", RATE)


def test_a_missing_library_is_told_with_the_command_that_installs_it(tmp_path, monkeypatch):
    (tmp_path / "font.sf2").write_bytes(b"RIFF\4\0\0\0sfbk")
    soundfonts._library.cache_clear()
    monkeypatch.setitem(sys.modules, "fluidsynth", None)
    with pytest.raises(DatasetError, match="apt-get install libfluidsynth3"):
        Soundfont(tmp_path / "font.sf2", RATE)
    soundfonts._library.cache_clear()


def test_the_package_of_nearly_the_same_name_is_told(tmp_path, monkeypatch):
    (tmp_path / "font.sf2").write_bytes(b"RIFF\4\0\0\0sfbk")
    soundfonts._library.cache_clear()
    monkeypatch.setitem(sys.modules, "fluidsynth", type(sys)("fluidsynth"))
    with pytest.raises(DatasetError, match="pip uninstall fluidsynth"):
        Soundfont(tmp_path / "font.sf2", RATE)
    soundfonts._library.cache_clear()
