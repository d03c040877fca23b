"""Songs from MIDI files: notes at their times, players in their stems, broken files told, splits apart."""

from itertools import pairwise
from typing import Any

import mido
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from auralflow.cli import main
from auralflow.errors import DatasetError, NotFoundError
from auralflow.synth import generate_song
from auralflow.synth.score.composition import Note
from auralflow.synth.score.midi_arrangement import _Window, arrange
from auralflow.synth.score.midi_files import read_midi
from auralflow.synth.score.midi_lines import low_line, sung
from auralflow.synth.score.midi_roles import is_bass, pick_melody
from auralflow.synth.score.midi_songs import MidiLibrary, index_midi
from auralflow.synth.score.parts import Part

PER_BEAT = 480


def track(*messages):
    """A track of messages at absolute ticks."""
    result, last = mido.MidiTrack(), 0
    for tick, message in sorted(messages, key=lambda pair: pair[0]):
        result.append(message.copy(time=tick - last))
        last = tick
    return result


def notes(channel, pitches, *, start=0, step=PER_BEAT, length=PER_BEAT, program=None, velocity=100):
    found = [] if program is None else [(0, mido.Message("program_change", channel=channel, program=program))]
    for index, pitch in enumerate(pitches):
        tick = start + index * step
        found.append((tick, mido.Message("note_on", channel=channel, note=pitch, velocity=velocity)))
        found.append((tick + length, mido.Message("note_off", channel=channel, note=pitch)))
    return found


def save(path, *tracks, per_beat=PER_BEAT):
    file = mido.MidiFile(ticks_per_beat=per_beat)
    file.tracks.extend(tracks)
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save(path)
    return path


def save_song(path, *, seed=0, beats=64, drums=True, bass=True, name="song"):
    """A melody over chords, with drums and a bass, in 120 beats a minute."""
    rng = np.random.default_rng(seed)
    tune = [int(60 + pitch) for pitch in rng.integers(0, 12, beats)]
    tracks = [
        track((0, mido.MetaMessage("track_name", name=name)), *notes(0, tune, program=80)),
        track(
            *notes(1, [48] * (beats // 4), step=4 * PER_BEAT, length=4 * PER_BEAT, program=48),
            *notes(1, [55] * (beats // 4), step=4 * PER_BEAT, length=4 * PER_BEAT),
        ),
    ]
    if drums:
        tracks.append(track(*notes(9, [36, 38] * (beats // 2), length=60)))
    if bass:
        tracks.append(track(*notes(2, [36] * beats, program=33)))
    return save(path, *tracks)


def test_notes_keep_their_times_through_changes_of_tempo(tmp_path):
    tempos = [
        (0, mido.MetaMessage("set_tempo", tempo=500_000)),
        (960, mido.MetaMessage("set_tempo", tempo=1_000_000)),
    ]
    path = save(tmp_path / "a.mid", track(*tempos, *notes(0, [60, 62, 64, 65])))
    played = read_midi(path).parts[0].notes
    assert [note.start for note in played] == pytest.approx([0.0, 0.5, 1.0, 2.0])
    assert [note.length for note in played] == pytest.approx([0.5, 0.5, 1.0, 1.0])
    assert [note.pitch for note in played] == [60, 62, 64, 65]


def test_pedal_holds_notes_and_volume_weakens_them(tmp_path):
    path = save(
        tmp_path / "a.mid",
        track(
            (0, mido.Message("control_change", control=64, value=127)),
            *notes(0, [60], length=10),
            (960, mido.Message("control_change", control=64, value=0)),
            (1440, mido.Message("control_change", control=11, value=63)),
            *notes(0, [67], start=1440),
        ),
    )
    first, second = read_midi(path).parts[0].notes
    assert first.length == pytest.approx(1.0)
    assert second.velocity == pytest.approx(first.velocity * 63 / 127)


def test_notes_that_are_never_let_go_end_with_the_song(tmp_path):
    path = save(
        tmp_path / "a.mid", track(*notes(0, [60, 62]), (0, mido.Message("note_on", note=40, velocity=9)))
    )
    low = min(read_midi(path).parts[0].notes, key=lambda note: note.pitch)
    assert low.start + low.length == pytest.approx(1.0)


@pytest.mark.parametrize(("top", "bottom", "ticks"), [(3, 4, 1440), (6, 8, 1440), (4, 4, 1920), (7, 8, 1680)])
def test_bars_follow_the_metre(tmp_path, top, bottom, ticks):
    signature = mido.MetaMessage("time_signature", numerator=top, denominator=bottom)
    song = read_midi(save(tmp_path / "a.mid", track((0, signature), *notes(0, [60] * 32))))
    starts = [song.beats[beat] for beat in song.bars]
    assert np.diff(starts) == pytest.approx(ticks / PER_BEAT / 2)


def test_strokes_and_striking_programs_become_drums_and_noises_are_left_out(tmp_path):
    path = save(
        tmp_path / "a.mid",
        track(*notes(9, [36, 38, 42, 49])),
        track(*notes(0, [40], program=116)),
        track(*notes(1, [60], program=126)),
        track(*notes(2, [60], program=0)),
    )
    song = read_midi(path)
    assert sorted(hit.piece for hit in song.hits) == ["crash", "hat", "kick", "snare", "tom_low"]
    assert [part.program for part in song.parts] == [0]


@pytest.mark.parametrize(
    "content", [b"", b"MThd", b"RIFF" + bytes(40), b"MThd\0\0\0\6\0\2\0\1\1\xe0MTrk\0\0\0\4\0\xff\x2f\0"]
)
def test_a_file_that_is_no_song_is_told_in_one_line_that_names_it(tmp_path, content):
    path = tmp_path / "broken.mid"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"broken\.mid") as raised:
        read_midi(path)
    assert "\n" not in str(raised.value)


@pytest.fixture(scope="module")
def whole_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return save_song(folder / "a.mid"), folder / "damaged.mid"


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_gives_a_song_or_one_error_and_never_anything_else(whole_file, data):
    path, damaged = whole_file
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        song = read_midi(damaged)
    except DatasetError as error:
        assert "damaged.mid" in str(error)  # noqa: PT017 - both ends are right
    else:
        assert all(note.start >= 0 and note.length > 0 for part in song.parts for note in part.notes)


def test_the_same_music_is_found_whatever_its_texts_and_order_of_tracks(tmp_path):
    one, two = track(*notes(0, range(60, 92))), track(*notes(1, range(40, 72), program=33))
    name = mido.MetaMessage("track_name", name="copy")
    save(tmp_path / "a.mid", one, two)
    save(tmp_path / "sub" / "b.mid", track((0, name), *notes(1, range(40, 72), program=33)), one)
    save(tmp_path / "c.mid", track(*notes(0, range(61, 93))))
    library = index_midi(tmp_path)
    assert sorted(path.name for _, path in library.files) == ["a.mid", "c.mid"]
    assert len(library.notes) == 1
    assert "b.mid' is left out: it sounds the same as" in library.notes[0]


def test_short_files_are_left_out_with_a_note_and_broken_ones_with_a_failure(tmp_path):
    save_song(tmp_path / "song.MID")
    save(tmp_path / "jingle.mid", track(*notes(0, [60] * 4)))
    (tmp_path / "broken.mid").write_bytes(b"no")
    (tmp_path / ".hidden.mid").write_bytes(b"no")
    library = index_midi(tmp_path)
    assert [path.name for _, path in library.files] == ["song.MID"]
    assert len(library.notes) == len(library.failures) == 1


def test_a_folder_without_songs_or_no_folder_is_an_error(tmp_path):
    with pytest.raises(DatasetError, match="no MIDI file"):
        index_midi(tmp_path)
    with pytest.raises(NotFoundError):
        index_midi(tmp_path / "none")


def test_no_composition_is_in_two_splits_and_all_come_before_one_comes_again():
    rng = np.random.default_rng(0)
    files = tuple(sorted((rng.bytes(32).hex(), f"{number}.mid") for number in range(60)))
    library = MidiLibrary(files)
    used = [{library.file(3, split, number) for number in range(100)} for split in range(3)]
    assert sum(map(len, used)) == len(set.union(*used)) == 60
    train = len(used[0])
    assert {library.file(3, 0, number) for number in range(train)} == used[0]
    assert [library.file(3, 0, number) for number in range(9)] != [
        library.file(4, 0, number) for number in range(9)
    ]


def part(program, pitches, *, step=0.5, length=0.45, name=""):
    return Part(
        program,
        tuple(Note(index * step, length, pitch, 1.0) for index, pitch in enumerate(pitches)),
        name=name,
    )


def test_basses_are_told_by_program_and_range():
    assert is_bass(part(33, [36]))
    assert is_bass(part(43, [36]))
    assert not is_bass(part(43, [60]))
    assert not is_bass(part(36, [72]))
    assert not is_bass(part(0, [36]))


def test_the_melody_is_the_single_line_in_the_range_of_voices():
    tune = part(73, [60, 62, 64, 67] * 10)
    chords = Part(0, tuple(Note(float(bar), 1.0, pitch, 1.0) for bar in range(20) for pitch in (60, 64, 67)))
    trill = part(80, [72, 74] * 200, step=0.05, length=0.05)
    deep = part(30, [40] * 40)
    assert pick_melody([chords, trill, tune, deep], 20.0) == 2


def test_without_a_melody_the_upper_line_is_taken():
    chords = Part(0, tuple(Note(float(bar), 1.0, pitch, 1.0) for bar in range(20) for pitch in (60, 64, 67)))
    line = pick_melody([chords], 20.0)
    assert {note.pitch for note in line} == {67}
    assert len(line) == 20


@given(
    pitches=st.lists(st.integers(0, 127), min_size=1, max_size=40),
    steps=st.lists(st.floats(0, 3), min_size=40, max_size=40),
    floor=st.integers(41, 60),
)
def test_whatever_is_sung_lies_in_the_range_and_one_at_a_time(pitches, steps, floor):
    starts = np.cumsum(steps)
    line = [Note(float(start), 1.0, pitch, 1.0) for start, pitch in zip(starts, pitches, strict=False)]
    syllables = sung(line, floor, np.random.default_rng(0))
    assert all(floor <= syllable.pitch <= floor + 20 for syllable in syllables)
    assert {syllable.pitch % 12 for syllable in syllables} <= {pitch % 12 for pitch in pitches}
    for before, after in pairwise(syllables):
        assert before.start + before.length <= after.start + 1e-9
    assert syllables[0].first


def test_a_song_is_cut_to_its_length_and_moved_in_key_as_a_whole(tmp_path):
    song = read_midi(save_song(tmp_path / "a.mid", beats=400))
    for seed in range(5):
        arrangement = arrange(song, 20.0, 50, np.random.default_rng(seed))
        starts = [note.start for part in (*arrangement.bass, *arrangement.other) for note in part.notes]
        assert min(starts) >= 0
        assert max(starts) < 20
        (bass,) = {note.pitch % 12 for part in arrangement.bass for note in part.notes}
        pads = {note.pitch for part in arrangement.other if part.program == 48 for note in part.notes}
        assert pads == {48 + (bass + 3) % 12 - 3, 55 + (bass + 3) % 12 - 3}
        assert 1 / 1.12 < 120 / arrangement.tempo < 1.12
        assert arrangement.vocals


@pytest.mark.parametrize("seed", range(12))
def test_something_is_sung_in_every_stretch_that_has_notes(tmp_path, seed):
    late = track(*notes(0, [72, 74, 76] * 20, start=200 * PER_BEAT, program=73))
    chords = track(*(message for pitch in (60, 64) for message in notes(1, [pitch] * 260, program=48)))
    song = read_midi(save(tmp_path / "a.mid", late, chords))
    arrangement = arrange(song, 10.0, 50, np.random.default_rng(seed))
    assert len(arrangement.vocals) >= 5


def test_a_song_that_is_too_short_is_repeated(tmp_path):
    song = read_midi(save_song(tmp_path / "a.mid", beats=24))
    arrangement = arrange(song, 60.0, 50, np.random.default_rng(0))
    parts = (*arrangement.bass, *arrangement.other)
    notes = [note for part in parts for note in part.notes]
    events: tuple[Any, ...] = (*arrangement.drums, *notes, *arrangement.vocals)
    seconds = {int(event.start) for event in events}
    assert seconds >= set(range(1, 59))


def test_missing_drums_and_bass_are_added_in_time_and_in_key(tmp_path):
    song = read_midi(save_song(tmp_path / "a.mid", drums=False, bass=False, beats=128))
    arrangement = arrange(song, 30.0, 50, np.random.default_rng(1))
    beat = 60 / arrangement.tempo
    kicks = [hit.start / beat for hit in arrangement.drums if hit.piece == "kick"]
    assert len(kicks) > 10
    off = np.abs(np.array(kicks) * 4 - np.round(np.array(kicks) * 4))
    assert np.median(off) < 0.2
    assert all(28 <= note.pitch < 40 for part in arrangement.bass for note in part.notes)
    assert arrangement.bass


def test_the_added_bass_plays_the_lowest_notes(tmp_path):
    chords = Part(
        48, tuple(Note(4.0 * bar, 4.0, pitch, 1.0) for bar in range(4) for pitch in (57 + bar, 60 + bar))
    )
    song = read_midi(save_song(tmp_path / "a.mid", drums=False, bass=False))
    score = arrange_score(song)
    line = low_line([chords], score, np.random.default_rng(0))
    assert {note.pitch % 12 for note in line if note.start < 3.9} == {57 % 12}
    assert {note.pitch % 12 for note in line if 4.1 < note.start < 7.9} == {58 % 12}


def arrange_score(song):
    return _Window(song, 0, 16.0, 1.0, 0).score(np.random.default_rng(0))


@pytest.mark.parametrize(("drums", "bass"), [(True, True), (False, False)])
def test_every_stem_of_a_song_from_a_file_sounds(tmp_path, drums, bass):
    song = read_midi(save_song(tmp_path / "a.mid", drums=drums, bass=bass))
    stems = generate_song(2, seconds=12.0, sample_rate=16000, composition=song)
    assert all(np.sqrt(np.mean(stem**2)) > 10 ** (-45 / 20) for stem in stems.values())
    assert np.abs(sum(stems.values())).max() <= 0.951


def test_a_broken_file_is_skipped_in_one_line_and_the_exit_code_is_1(tmp_path, capsys):
    for seed in range(3):
        save_song(tmp_path / "midi" / f"{seed}.mid", seed=seed)
    (tmp_path / "midi" / "broken.mid").write_bytes(b"MThd")
    options = ["--tracks", "3", "--seconds", "1", "--sample-rate", "8000", "--midi", str(tmp_path / "midi")]
    assert main(["synth", str(tmp_path / "songs"), *options]) == 1
    told = [line for line in capsys.readouterr().err.splitlines() if "broken.mid" in line]
    assert len(told) == 1
    assert told[0].startswith("error: cannot read")
    assert len(list((tmp_path / "songs").glob("*/*"))) == 3
    assert main(["data", "check", str(tmp_path / "songs")]) == 0


def test_only_broken_files_write_nothing(tmp_path, capsys):
    (tmp_path / "midi").mkdir()
    (tmp_path / "midi" / "broken.mid").write_bytes(b"MThd")
    assert main(["synth", str(tmp_path / "songs"), "--midi", str(tmp_path / "midi")]) == 1
    assert "no MIDI file" in capsys.readouterr().err
    assert not (tmp_path / "songs").exists()


def test_songs_of_files_are_the_same_from_any_number_of_processes(tmp_path, monkeypatch):
    monkeypatch.setattr("auralflow.cores.usable_workers", lambda wanted: wanted)
    for seed in range(4):
        save_song(tmp_path / "midi" / f"{seed}.mid", seed=seed)
    options = ["--tracks", "4", "--seconds", "1", "--sample-rate", "8000", "--midi", str(tmp_path / "midi")]
    for number in ("1", "2"):
        assert main(["synth", str(tmp_path / number), *options, "--num-workers", number]) == 0
    one, two = (
        {
            path.relative_to(tmp_path / number): soundfile.read(path)[0].tobytes()
            for path in (tmp_path / number).rglob("*.wav")
        }
        for number in ("1", "2")
    )
    assert len(one) == 20
    assert one == two
