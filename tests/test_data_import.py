"""`auralflow data import`: MUSDB18, MUSDB18-HQ, and collections with a mapping file."""

import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from dataset_makers import RATE, SOURCES, noise, write_dataset, write_track

from auralflow.cli import main
from auralflow.config import ImportConfig
from auralflow.datasets import index_split
from auralflow.datasets.check import check_dataset
from auralflow.datasets.importers import import_dataset
from auralflow.errors import DatasetError, NotFoundError, SettingsError, UsageError

STREAMS = ("mixture", "drums", "bass", "other", "vocals")
PITCHES = dict(zip(STREAMS, (0, 220, 440, 880, 1760), strict=True))


def tone(frequency, seconds=1.0, rate=44100):
    return 0.2 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def write_stem_file(path: Path, seconds: float = 1.0, names=STREAMS) -> None:
    """A stem file as MUSDB18 has them: five AAC streams in stereo."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mixture = sum(tone(PITCHES[name], seconds) for name in STREAMS[1:])
    with av.open(str(path), "w", format="mp4") as container:
        streams = []
        for _ in names:
            stream = container.add_stream("aac", rate=44100, layout="stereo")
            stream.bit_rate = 256000
            streams.append(stream)
        for stream, name in zip(streams, names, strict=True):
            audio = mixture if name == "mixture" else tone(PITCHES[name], seconds)
            samples = np.ascontiguousarray(np.stack([audio, audio]).astype(np.float32))
            for start in range(0, samples.shape[1], 1024):
                frame = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(samples[:, start : start + 1024]), format="fltp", layout="stereo"
                )
                frame.sample_rate, frame.pts = 44100, start
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


def test_a_stem_file_becomes_its_five_stems(tmp_path):
    write_stem_file(tmp_path / "musdb18" / "train" / "Söng - Ünö.stem.mp4")
    write_stem_file(tmp_path / "musdb18" / "test" / "Two.stem.mp4")
    report = import_dataset(tmp_path / "musdb18", tmp_path / "data")
    assert sorted(report.made) == ["test/Two", "train/Söng - Ünö"]
    (track,) = index_split(tmp_path / "data", "train")
    assert track.sample_rate == 44100
    assert set(track.stems) == set(SOURCES)
    for stem, path in track.files.items():
        audio, _ = soundfile.read(path)
        assert audio.shape[1] == 2
        truth = sum(tone(PITCHES[name]) for name in STREAMS[1:]) if stem == "mixture" else tone(PITCHES[stem])
        # Not a sample late, and the right stream.
        assert np.mean((audio[: len(truth), 0] - truth) ** 2) < 0.01 * np.mean(truth**2)


def test_a_stem_file_with_too_few_streams_is_named_and_leaves_nothing(tmp_path):
    write_stem_file(tmp_path / "musdb18" / "train" / "Good.stem.mp4")
    write_stem_file(tmp_path / "musdb18" / "train" / "Bad.stem.mp4", names=STREAMS[:3])
    report = import_dataset(tmp_path / "musdb18", tmp_path / "data")
    assert report.made == ["train/Good"]
    assert "Bad.stem.mp4" in report.failed["train/Bad"]
    assert "3 audio streams" in report.failed["train/Bad"]
    assert [path.name for path in (tmp_path / "data" / "train").iterdir()] == ["Good"]


def test_the_hq_layout_is_copied_to_the_byte_with_its_customary_validation_tracks(tmp_path):
    for name in ("Meaxic - Take A Step", "Somebody - Something"):
        write_track(tmp_path / "hq" / "train" / name, mixture=True)
    write_track(tmp_path / "hq" / "test" / "T", mixture=True)
    assert main(["data", "import", str(tmp_path / "hq"), str(tmp_path / "data")]) == 0
    made = {str(path.relative_to(tmp_path / "data").parent) for path in (tmp_path / "data").rglob("bass.wav")}
    assert made == {"train/Somebody - Something", "valid/Meaxic - Take A Step", "test/T"}
    for path in (tmp_path / "hq" / "test" / "T").iterdir():
        assert (tmp_path / "data" / "test" / "T" / path.name).read_bytes() == path.read_bytes()
    assert main(["data", "import", str(tmp_path / "hq"), str(tmp_path / "all"), "--no-validation"]) == 0
    assert not (tmp_path / "all" / "valid").exists()


MEDLEYDB = """
tracks:
  train: "Audio/*"
  valid: ["Audio/B_Two"]
mixture: "*_MIX.wav"
labels:
  file: "{track}_METADATA.yaml"
  list: stems
  label: instrument
  audio: "{track}_STEMS/{filename}"
stems:
  vocals: ["*singer*", "vocalists"]
  drums: ["drum*", "*percussion*"]
  bass: ["*bass*"]
  other: ["*"]
"""


def write_medleydb(root: Path) -> dict[str, np.ndarray]:
    audio = {}
    for track in ("A_One", "B_Two"):
        folder = root / "Audio" / track / f"{track}_STEMS"
        folder.mkdir(parents=True)
        lines = ["artist: A", "stems:"]
        for number, instrument in enumerate(
            ("male singer", "female singer", "drum set", "Double Bass", "piano")
        ):
            name = f"{track}_STEM_{number + 1:02d}.wav"
            audio[f"{track}/{instrument}"] = noise(1.0, seed=number, level=0.05)
            soundfile.write(folder / name, audio[f"{track}/{instrument}"], RATE, subtype="PCM_24")
            lines += [f"  S{number + 1:02d}:", f"    filename: {name}", f"    instrument: {instrument}"]
        (root / "Audio" / track / f"{track}_METADATA.yaml").write_text("\n".join(lines))
        soundfile.write(root / "Audio" / track / f"{track}_MIX.wav", noise(1.0, seed=9), RATE)
    return audio


def test_medleydb_is_imported_by_the_labels_of_its_metadata(tmp_path):
    audio = write_medleydb(tmp_path / "MedleyDB")
    (tmp_path / "mapping.yaml").write_text(MEDLEYDB)
    options = ["--mapping", str(tmp_path / "mapping.yaml"), "--sample-type", "float"]
    assert main(["data", "import", str(tmp_path / "MedleyDB"), str(tmp_path / "data"), *options]) == 0
    (track,) = index_split(tmp_path / "data", "train")
    assert track.name == "A_One"
    assert track.mixture is not None
    assert set(track.stems) == set(SOURCES)
    vocals, _ = soundfile.read(track.stems["vocals"])
    np.testing.assert_allclose(vocals, audio["A_One/male singer"] + audio["A_One/female singer"], atol=1e-6)
    # A stem of one file is that file.
    source = tmp_path / "MedleyDB/Audio/A_One/A_One_STEMS/A_One_STEM_04.wav"
    assert track.stems["bass"].read_bytes() == source.read_bytes()
    assert [track.name for track in index_split(tmp_path / "data", "valid")] == ["B_Two"]


SLAKH = """
tracks: {train: "train/Track*", valid: "validation/Track*", test: "test/Track*"}
mixture: mix.flac
labels: {file: metadata.yaml, list: stems, label: inst_class, audio: "stems/{key}.flac"}
stems:
  drums: Drums
  bass: Bass
  other: "*"
absent: silent
"""


def write_slakh(root: Path) -> None:
    for split in ("train", "validation", "test"):
        folder = root / split / "Track00001"
        (folder / "stems").mkdir(parents=True)
        classes = {"S00": "Guitar", "S01": "Bass", "S02": "Piano", "S03": "Strings"}
        lines = ["UUID: x", "stems:"]
        for number, (key, kind) in enumerate(classes.items()):
            if key != "S03":
                soundfile.write(folder / "stems" / f"{key}.flac", noise(1.0, seed=number, channels=1), RATE)
            lines += [f"  {key}:", f"    inst_class: {kind}"]
        (folder / "metadata.yaml").write_text("\n".join(lines))
        soundfile.write(folder / "mix.flac", noise(1.0, channels=1), RATE)


def test_slakh_is_imported_and_what_is_absent_can_be_silence(tmp_path):
    write_slakh(tmp_path / "slakh")
    (tmp_path / "mapping.yaml").write_text(SLAKH)
    settings = ImportConfig(mapping=tmp_path / "mapping.yaml")
    report = import_dataset(tmp_path / "slakh", tmp_path / "data", settings)
    assert len(report.made) == 3
    assert any("S03.flac' is listed but not there" in text for text in report.notes)
    (track,) = index_split(tmp_path / "data", "valid")
    drums, _ = soundfile.read(track.stems["drums"])
    assert len(drums) == RATE
    assert not drums.any()


def test_a_stem_without_files_stays_unknown_by_default(tmp_path):
    write_slakh(tmp_path / "slakh")
    (tmp_path / "mapping.yaml").write_text(SLAKH.replace("absent: silent", ""))
    import_dataset(tmp_path / "slakh", tmp_path / "data", ImportConfig(mapping=tmp_path / "mapping.yaml"))
    (track,) = index_split(tmp_path / "data", "test")
    assert set(track.stems) == {"bass", "other"}


def test_files_are_matched_by_pattern_without_labels_and_resampled_to_be_summed(tmp_path):
    folder = tmp_path / "source" / "Song"
    (folder / "Vox").mkdir(parents=True)
    soundfile.write(folder / "Vox" / "Lead.wav", tone(300, rate=16000), 16000)
    soundfile.write(folder / "Vox" / "Back.AIFF", np.stack([tone(300, 0.5, 32000)] * 2, 1), 32000)
    soundfile.write(folder / "kick.wav", tone(60, rate=32000), 32000)
    soundfile.write(folder / "noise.wav", tone(60, rate=32000), 32000)
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text('tracks: {train: "*"}\nstems: {vocals: "vox/*", drums: ["kick*", "snare*"]}\n')
    report = import_dataset(tmp_path / "source", tmp_path / "data", ImportConfig(mapping=mapping))
    assert report.notes == ["Song: no stem takes 'noise.wav'"]
    vocals, rate = soundfile.read(tmp_path / "data" / "train" / "Song" / "vocals.wav")
    assert (rate, vocals.shape) == (32000, (32000, 2))
    expected = tone(300, rate=32000)
    expected[:16000] *= 2
    middle = np.r_[1000:15000, 17000:31000]
    np.testing.assert_allclose(vocals[middle, 1], expected[middle], atol=1e-3)


def test_a_sum_that_clips_is_told_and_float_keeps_it(tmp_path):
    folder = tmp_path / "source" / "Song"
    folder.mkdir(parents=True)
    for number in range(2):
        soundfile.write(folder / f"vocal {number}.wav", 4 * tone(300), 44100)
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text('tracks: {train: "*"}\nstems: {vocals: "vocal*"}\n')
    report = import_dataset(tmp_path / "source", tmp_path / "data", ImportConfig(mapping=mapping))
    assert "clipped by 4.1 dB" in report.notes[0]
    settings = ImportConfig(mapping=mapping, sample_type="float")
    assert not import_dataset(tmp_path / "source", tmp_path / "float", settings).notes
    audio, _ = soundfile.read(tmp_path / "float" / "train" / "Song" / "vocals.wav")
    assert np.abs(audio).max() == pytest.approx(1.6, abs=1e-3)


# Never ends its third track.
HANGING = """
import sys, time
from pathlib import Path
from auralflow.datasets import importers
write, begun = importers._write_stems, []
def hang(*arguments):
    begun.append(arguments)
    notes = write(*arguments)
    if len(begun) == 3:
        print("busy", flush=True)
        time.sleep(3600)
    return notes
importers._write_stems = hang
importers.import_dataset(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_an_import_that_was_killed_goes_on_and_no_track_is_half_there(tmp_path):
    write_dataset(tmp_path / "hq", train=5, seconds=0.5)
    arguments = [str(tmp_path / "hq"), str(tmp_path / "data")]
    with subprocess.Popen([sys.executable, "-c", HANGING, *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"busy\n"
        process.kill()
    there = list((tmp_path / "data").glob("*/Song*"))
    assert all(len(list(track.iterdir())) == 4 for track in there)
    report = import_dataset(tmp_path / "hq", tmp_path / "data")
    assert len(report.kept) == len(there) == 2
    assert len(report.made) == 4
    assert check_dataset(tmp_path / "data").can_train


def test_one_bad_track_does_not_stop_the_others(tmp_path, capsys):
    write_dataset(tmp_path / "hq")
    (tmp_path / "hq" / "train" / "Song 1" / "bass.wav").write_bytes(b"RIFF")
    assert main(["data", "import", str(tmp_path / "hq"), str(tmp_path / "data")]) == 1
    output = capsys.readouterr()
    assert "bass.wav" in output.err
    assert "3 imported, 1 failed" in output.out
    shutil.copy(tmp_path / "hq/train/Song 0/bass.wav", tmp_path / "hq/train/Song 1/bass.wav")
    assert main(["data", "import", str(tmp_path / "hq"), str(tmp_path / "data")]) == 0
    assert "1 imported, 3 kept" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("tracks: {train: '*'}", "neither stems nor a mixture"),
        ("tracks: {training: '*'}\nstems: {vocals: '*'}", "tracks.training"),
        ("tracks: {train: '*'}\nstems: {vocals: '*'}\ncolour: red", "colour"),
        ("- a list", "cannot use"),
    ],
)
def test_a_wrong_mapping_is_one_line_that_says_where(tmp_path, content, message):
    (tmp_path / "mapping.yaml").write_text(content)
    with pytest.raises(SettingsError, match=message):
        import_dataset(tmp_path, tmp_path / "data", ImportConfig(mapping=tmp_path / "mapping.yaml"))


def test_broken_yaml_and_missing_metadata_are_named(tmp_path):
    (tmp_path / "mapping.yaml").write_text("tracks: [")
    settings = ImportConfig(mapping=tmp_path / "mapping.yaml")
    with pytest.raises(DatasetError, match=r"mapping\.yaml"):
        import_dataset(tmp_path, tmp_path / "data", settings)
    write_slakh(tmp_path / "slakh")
    (tmp_path / "slakh/train/Track00001/metadata.yaml").write_text("stems: {S00: {plays: Bass}}")
    (tmp_path / "mapping.yaml").write_text(SLAKH)
    with pytest.raises(DatasetError, match=r"train/Track00001/metadata\.yaml.*inst_class"):
        import_dataset(tmp_path / "slakh", tmp_path / "data", settings)


def test_what_is_no_collection_is_refused(tmp_path):
    with pytest.raises(NotFoundError, match="no collection"):
        import_dataset(tmp_path / "nowhere", tmp_path / "data")
    with pytest.raises(NotFoundError, match="nothing to import"):
        import_dataset(tmp_path, tmp_path / "data")
    with pytest.raises(UsageError, match="`mapping`"):
        import_dataset(tmp_path, tmp_path / "data", ImportConfig(layout="mapping"))
