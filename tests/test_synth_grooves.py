"""Drum performances in generated songs: on the song's beats, with the drummer's timing and dynamics."""

import zipfile

import mido
import numpy as np
import pytest

from auralflow.errors import DatasetError, NotFoundError
from auralflow.synth.score.composition import compose
from auralflow.synth.score.grooves import GrooveBank
from auralflow.synth.song import Material, generate_song

TICKS = 480
LATE = 24
"""Ticks by which the drummer of these tests is behind the beat: a twentieth of it."""


def write_groove(path, *, bars=2, per_bar=4, key=38, bpm=100):
    """A stroke on every beat, each louder than the one before, a little late."""
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm)))
    track.append(mido.MetaMessage("time_signature", numerator=per_bar, denominator=4))
    for beat in range(bars * per_bar):
        wait = LATE if beat == 0 else TICKS - 10
        track.append(mido.Message("note_on", channel=9, note=key, velocity=20 + 4 * beat, time=wait))
        track.append(mido.Message("note_off", channel=9, note=key, time=10))
    track.append(mido.MetaMessage("end_of_track", time=TICKS))
    path.parent.mkdir(parents=True, exist_ok=True)
    mido.MidiFile(ticks_per_beat=TICKS, tracks=[track]).save(path)
    return path


@pytest.fixture
def grooves(tmp_path):
    write_groove(tmp_path / "grooves" / "1_rock_100_beat_4-4.mid", bars=4)
    return tmp_path / "grooves"


def song(metre):
    for seed in range(200):
        score = compose(40.0, np.random.default_rng(seed))
        if score.metre == metre and not score.swing:
            return score
    raise AssertionError(metre)


def test_a_performance_keeps_its_timing_and_dynamics_on_the_beats_of_the_song(grooves):
    score = song("4/4")
    hits = GrooveBank(grooves).hits(score, np.random.default_rng(0))
    beats = np.array([hit.start for hit in hits]) * score.tempo / 60
    wanted = sum(section.bars for section in score.played("drums")) * 4
    # One stroke on every beat of the sections with drums, a twentieth of a beat late.
    assert len(hits) == wanted
    np.testing.assert_allclose(beats % 1, LATE / TICKS, atol=0.01)
    # Each is louder than the one before, until the performance begins again.
    steps = np.diff([hit.velocity for hit in hits])
    assert np.mean(steps > 0) > 0.9
    assert (steps < 0).sum() >= len(hits) // 16 - 1


def test_a_song_gets_a_performance_of_its_metre_or_none(grooves):
    bank = GrooveBank(grooves)
    waltz = song("3/4")
    assert bank.hits(waltz, np.random.default_rng(0)) is None
    write_groove(grooves / "2_waltz_120_beat_3-4.mid", per_bar=3, bars=8)
    write_groove(grooves / "3_rock_120_fill_4-4.mid")
    bank = GrooveBank(grooves)
    assert {metre: len(places) for metre, places in bank.places.items()} == {"4/4": 1, "3/4": 1}
    assert bank.hits(waltz, np.random.default_rng(0))


def test_a_zip_file_holds_the_same_as_its_folder(grooves, tmp_path):
    packed = tmp_path / "packed" / "grooves.zip"
    packed.parent.mkdir()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in grooves.iterdir():
            archive.write(path, f"groove/drummer1/{path.name}")
    score = song("4/4")
    expected = GrooveBank(grooves).hits(score, np.random.default_rng(3))
    for place in (packed, packed.parent):
        assert GrooveBank(place).hits(score, np.random.default_rng(3)) == expected


@pytest.mark.parametrize("key", [22, 26])
def test_strokes_that_only_electronic_kits_know_are_played_on_their_piece(tmp_path, key):
    write_groove(tmp_path / "a_beat_4-4.mid", key=key, bars=4)
    hits = GrooveBank(tmp_path).hits(song("4/4"), np.random.default_rng(0))
    assert {(hit.piece, hit.key) for hit in hits} == {({22: "hat", 26: "open_hat"}[key], 0)}


def test_broken_or_empty_material_is_refused_in_one_line(tmp_path):
    with pytest.raises(NotFoundError, match="no such folder"):
        GrooveBank(tmp_path / "missing")
    with pytest.raises(DatasetError, match="no drum performance in"):
        GrooveBank(tmp_path)
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(DatasetError, match=r"cannot read '.*broken\.zip'"):
        GrooveBank(tmp_path)


def test_the_drums_of_songs_change_and_the_voice_does_not(grooves):
    plain = [generate_song(seed, seconds=8, sample_rate=8000) for seed in range(4)]
    material = Material(grooves=GrooveBank(grooves))
    played = [generate_song(seed, seconds=8, sample_rate=8000, material=material) for seed in range(4)]
    changed = 0
    for before, after in zip(plain, played, strict=True):
        same = np.corrcoef(before["drums"].ravel(), after["drums"].ravel())[0, 1] > 0.999
        changed += not same
        # The voice is what it was, up to the gain of the mix.
        if before["vocals"].any():
            assert np.corrcoef(before["vocals"].ravel(), after["vocals"].ravel())[0, 1] > 0.9
    assert changed >= 1
