"""`auralflow data check`: every fault that it is there to find, and no fault where there is none."""

import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from dataset_makers import RATE, SOURCES, noise, write_dataset, write_track

from auralflow.cli import main
from auralflow.config import PrepareConfig
from auralflow.datasets.check import check_dataset
from auralflow.datasets.prepare import prepare
from auralflow.datasets.splits import training_tracks
from auralflow.errors import DatasetError, NotFoundError, UsageError


def found(report, severity=None):
    return [f"{item.place}: {item.text}" for item in report.findings if severity in (None, item.severity)]


def one(report, text):
    hits = [item for item in report.findings if text in f"{item.place}: {item.text}"]
    assert len(hits) == 1, found(report)
    return hits[0]


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "data", mixture=True, test=1)


def test_a_good_dataset_has_no_findings(dataset):
    report = check_dataset(dataset)
    assert found(report) == []
    assert report.can_train
    assert report.targets == SOURCES


def test_the_summary_counts_what_was_written(dataset):
    facts = check_dataset(dataset).summary("train")
    assert facts["tracks"] == 3
    assert facts["minutes"]["vocals"] == pytest.approx(3 * 2 / 60, abs=0.005)
    assert facts["sample_rates"] == [RATE]
    assert facts["channels"] == [2]
    assert facts["formats"] == ["WAV PCM_16"]


def test_levels_are_measured_to_the_end(tmp_path):
    folder = tmp_path / "data" / "train" / "A"
    write_dataset(tmp_path / "data")
    audio = np.zeros((40 * RATE, 2))
    audio[-1, 1] = 0.5
    for source in SOURCES:
        soundfile.write(tmp_path / f"{source}.wav", audio, RATE)
    shutil.copytree(tmp_path, folder, ignore=shutil.ignore_patterns("data"))
    report = check_dataset(tmp_path / "data")
    part = next(track for track in report.tracks["train"] if track.folder == folder).stems["drums"]
    assert part.peak == pytest.approx(20 * np.log10(0.5), abs=1e-3)
    assert part.rms == pytest.approx(10 * np.log10(0.25 / audio.size), abs=1e-2)


def test_a_missing_stem_is_a_warning(dataset):
    (dataset / "train" / "Song 1" / "bass.wav").unlink()
    report = check_dataset(dataset)
    assert one(report, "train/Song 1: no bass: unknown, not silent").severity == "warning"
    assert report.can_train


def test_unequal_lengths_beyond_a_codec_s_padding_are_an_error(dataset):
    soundfile.write(dataset / "train" / "Song 1" / "bass.wav", noise(1.5), RATE)
    report = check_dataset(dataset)
    assert one(report, "unequal lengths").severity == "error"
    assert not report.can_train


def test_lengths_that_differ_by_little_are_a_warning(dataset):
    soundfile.write(dataset / "train" / "Song 1" / "bass.wav", noise(1.95), RATE)
    assert one(check_dataset(dataset), "the shortest counts").severity == "warning"


def test_a_truncated_file_is_an_error_that_names_it(dataset):
    path = dataset / "train" / "Song 0" / "drums.wav"
    path.write_bytes(path.read_bytes()[:-1000])
    assert one(check_dataset(dataset), "drums.wav' ends early").severity == "error"


def test_a_file_that_fails_in_its_middle_is_an_error(dataset):
    folder = dataset / "train" / "Song 0"
    soundfile.write(folder / "drums.flac", noise(2.0), RATE)
    (folder / "drums.wav").unlink()
    content = bytearray((folder / "drums.flac").read_bytes())
    content[len(content) // 2 :] = b"\x55" * (len(content) - len(content) // 2)
    (folder / "drums.flac").write_bytes(content)
    report = check_dataset(dataset)
    assert any("drums.flac" in text for text in found(report, "error"))


def test_a_wrong_header_length_is_an_error(dataset):
    path = dataset / "train" / "Song 0" / "drums.wav"
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = (10**6).to_bytes(4, "little")
    path.write_bytes(content)
    assert one(check_dataset(dataset), "drums.wav").severity == "error"


def test_an_empty_file_is_an_error(dataset):
    (dataset / "train" / "Song 0" / "drums.wav").write_bytes(b"")
    assert one(check_dataset(dataset), "an empty file").severity == "error"


def test_nan_samples_are_an_error(dataset):
    audio = noise(2.0)
    audio[9000] = np.nan
    soundfile.write(dataset / "train" / "Song 0" / "drums.wav", audio, RATE, subtype="FLOAT")
    assert one(check_dataset(dataset), "NaN").severity == "error"


def test_the_same_faults_among_the_test_tracks_do_not_stop_training(dataset):
    (dataset / "test" / "Song 0" / "drums.wav").write_bytes(b"")
    report = check_dataset(dataset)
    assert one(report, "an empty file").severity == "warning"
    assert report.can_train


def test_a_silent_stem_is_a_warning(dataset):
    soundfile.write(dataset / "train" / "Song 0" / "drums.wav", np.zeros((2 * RATE, 2)), RATE)
    assert "train/Song 0/drums.wav: silent" in found(check_dataset(dataset), "warning")


def test_clipping_is_a_warning_and_a_single_peak_is_not(dataset):
    audio = noise(2.0)
    audio[100:110, 0] = 1.0
    audio[300, 0] = 1.0
    soundfile.write(dataset / "train" / "Song 0" / "drums.wav", audio, RATE)
    soundfile.write(dataset / "train" / "Song 1" / "drums.wav", np.roll(noise(2.0), 1), RATE)
    (texts,) = [text for text in found(check_dataset(dataset)) if "clipped" in text]
    assert "Song 0/drums.wav: clipped in 8 places" in texts


def test_the_residual_is_the_level_of_what_the_stems_do_not_explain(dataset):
    folder = dataset / "train" / "Song 0"
    stems = {source: soundfile.read(folder / f"{source}.wav")[0] for source in SOURCES}
    extra = noise(2.0, seed=77, level=0.05)
    mixture = np.sum(list(stems.values()), axis=0) + extra
    soundfile.write(folder / "mixture.wav", mixture, RATE, subtype="FLOAT")
    report = check_dataset(dataset)
    expected = 10 * np.log10(np.sum(extra**2) / np.sum(mixture**2))
    assert report.tracks["train"][0].residual == pytest.approx(expected, abs=0.01)
    assert one(report, "not the sum").severity == "warning"


def test_the_residual_of_an_exact_mixture_is_rounding(dataset):
    assert check_dataset(dataset).tracks["train"][0].residual < -70


def test_the_same_audio_in_two_splits_is_found_across_formats(dataset):
    audio, _ = soundfile.read(dataset / "train" / "Song 0" / "drums.wav", dtype="int16")
    (dataset / "test" / "Song 0" / "drums.wav").unlink()
    soundfile.write(dataset / "test" / "Song 0" / "drums.flac", audio, RATE)
    item = one(check_dataset(dataset), "the same audio as")
    assert item.severity == "warning"
    assert item.place == "train/Song 0/drums.wav"
    assert "test/Song 0/drums.flac" in item.text


def test_silence_in_two_splits_is_not_the_same_audio(dataset):
    for split in ("train", "test"):
        soundfile.write(dataset / split / "Song 0" / "drums.wav", np.zeros((2 * RATE, 2)), RATE)
    assert not [text for text in found(check_dataset(dataset)) if "same audio" in text]


def test_other_rates_and_channels_are_warnings(dataset):
    folder = dataset / "train" / "Song 0"
    soundfile.write(folder / "bass.wav", noise(2.0, rate=16000), 16000)
    soundfile.write(folder / "drums.wav", noise(2.0, channels=1), RATE)
    report = check_dataset(dataset)
    assert one(report, "different sample rates").severity == "warning"
    assert one(report, "different numbers of channels").severity == "warning"
    assert report.can_train


def test_stray_folders_and_files_are_named_and_hidden_ones_passed_over(dataset):
    (dataset / "backup").mkdir()
    (dataset / "validation").mkdir()
    (dataset / ".hidden").mkdir()
    soundfile.write(dataset / "loose.wav", noise(0.1), RATE)
    (dataset / "train" / "empty").mkdir()
    (dataset / "train" / "Song 0" / "._drums.wav").write_bytes(b"resource fork")
    report = check_dataset(dataset)
    assert report.can_train
    assert len(report.findings) == 4
    assert "rename it to valid" in one(report, "validation").text
    for place in ("backup", "loose.wav", "train/empty"):
        assert one(report, place).severity == "warning"


def test_val_upper_case_endings_and_other_alphabets_are_accepted(tmp_path):
    data = tmp_path / "données"
    write_track(data / "train" / "Björk - Jóga 音楽", suffix=".WAV", seed=1)
    write_track(data / "Train" / "Ünï", suffix=".FLAC", seed=2)
    write_track(data / "val" / "Å", suffix=".Wav", seed=3)
    report = check_dataset(data)
    assert found(report, "error") == []
    assert {split: len(tracks) for split, tracks in report.tracks.items()} == {"train": 2, "valid": 1}


def test_two_files_for_one_stem_are_an_error(dataset):
    shutil.copy(dataset / "train/Song 0/drums.wav", dataset / "train/Song 0/Drums.aiff")
    assert one(check_dataset(dataset), "two files for drums").severity == "error"


def test_a_folder_without_training_tracks_is_an_error(tmp_path):
    (tmp_path / "songs").mkdir()
    report = check_dataset(tmp_path)
    assert one(report, "no training track").severity == "error"


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("train", "This is one split of a dataset: give the folder that contains it, '{above}'."),
        (
            "train/Song 1",
            "This is a track: move it into a folder train, and give the folder that contains train.",
        ),
        ("music", "This is a folder of tracks: move them into a folder train in it."),
    ],
)
def test_a_split_a_track_or_tracks_in_place_of_a_dataset_say_what_to_do(dataset, capsys, given, advice):
    if given == "music":
        (dataset / "train").rename(dataset / "music")
    folder = dataset / given
    text = one(check_dataset(folder), "no training track").text
    assert "expected train/<track>/vocals.wav" in text
    assert text.endswith(advice.format(above=dataset))
    for use in (training_tracks, lambda folder: prepare(folder, dataset / "cache")):
        with pytest.raises(DatasetError) as refused:
            use(folder)
        assert str(refused.value).endswith(advice.format(above=dataset))
    assert main(["data", "check", str(folder)]) == 1
    out = capsys.readouterr().out
    assert out.startswith(f"error: '{folder}' has no training track: found ")
    assert len(out.splitlines()) == 2


def test_a_split_given_as_the_current_folder_names_the_one_above(dataset, monkeypatch):
    monkeypatch.chdir(dataset / "train")
    assert f"contains it, '{dataset}'." in one(check_dataset(Path()), "no training track").text
    monkeypatch.chdir(dataset)
    assert f"contains it, '{dataset}'." in one(check_dataset(Path("train")), "no training track").text


def test_stems_that_no_mixture_explains_cannot_be_trained(tmp_path):
    write_dataset(tmp_path, sources=("vocals", "drums"))
    report = check_dataset(tmp_path)
    assert one(report, "no stem can be trained").severity == "error"


@contextmanager
def as_nobody():
    """Give up the right to read everything, where the tests run with it."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.name == "nt", reason="permissions are another matter there")
def test_a_folder_that_may_not_be_read_is_named():
    root = Path(tempfile.mkdtemp())
    try:
        root.chmod(0o755)
        data = write_dataset(root / "data")
        (data / "train" / "Song 1").chmod(0)
        (data / "valid").chmod(0)
        with as_nobody():
            report = check_dataset(data)
        assert one(report, "Song 1': found").severity == "error"
        assert one(report, "valid': found").severity == "error"
    finally:
        shutil.rmtree(root)


def test_a_dataset_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(NotFoundError):
        check_dataset(tmp_path / "nowhere")


def test_a_prepared_cache_is_not_taken_for_a_dataset(dataset, tmp_path):
    prepare(dataset, tmp_path / "cache", PrepareConfig(sample_rate=RATE))
    with pytest.raises(UsageError, match="is a prepared cache"):
        check_dataset(tmp_path / "cache")


def test_the_command_exits_with_1_when_training_would_fail_and_writes_json(dataset, tmp_path, capsys):
    target = tmp_path / "report.json"
    assert main(["data", "check", str(dataset), "--save", str(target)]) == 0
    report = json.loads(target.read_text())
    assert report["can_train"] is True
    assert report["splits"]["train"]["details"][0]["stems"]["drums"]["frames"] == 2 * RATE
    (dataset / "train" / "Song 0" / "drums.wav").write_bytes(b"")
    assert main(["data", "check", str(dataset)]) == 1
    assert "training would fail" in capsys.readouterr().out


def test_the_silence_threshold_decides_what_is_silent(dataset, capsys):
    soundfile.write(dataset / "train" / "Song 0" / "drums.wav", noise(2.0, level=0.001), RATE)
    main(["data", "check", str(dataset)])
    assert "silent" not in capsys.readouterr().out
    main(["data", "check", str(dataset), "--silence-threshold", "-40"])
    assert "drums.wav: silent" in capsys.readouterr().out


def test_without_valid_a_complete_track_is_held_out_and_everything_can_be_trained(tmp_path):
    write_track(tmp_path / "train" / "1 no bass", sources=("vocals", "drums", "other"))
    karaoke = tmp_path / "train" / "2 karaoke"
    write_track(karaoke, sources=("mixture",))
    no_voice = tmp_path / "train" / "3 no voice"
    write_track(no_voice, sources=("drums", "bass", "other"))
    for folder in (karaoke, no_voice):
        (folder / "track.json").write_text('{"silent": ["vocals"]}')
    write_track(tmp_path / "train" / "4 complete")
    assert [track.name for track in training_tracks(tmp_path)[1]] == ["4 complete"]
    report = check_dataset(tmp_path)
    assert report.targets == SOURCES
    assert found(report) == ["train/1 no bass: no bass: unknown, not silent"]


def test_the_only_track_with_a_stem_is_not_held_out(tmp_path):
    write_track(tmp_path / "train" / "1 complete")
    for name in ("2 karaoke", "3 karaoke"):
        write_track(tmp_path / "train" / name, sources=("mixture",))
        (tmp_path / "train" / name / "track.json").write_text('{"silent": ["vocals"]}')
    assert [track.name for track in training_tracks(tmp_path)[1]] == ["2 karaoke"]
    report = check_dataset(tmp_path)
    assert report.can_train
    assert report.targets == SOURCES
    texts = found(report, "warning")
    assert (
        ".: no scores for vocals, drums, bass, other: the validation track '2 karaoke' lacks vocals, drums, "
        "bass, other; add a track with all stems to valid/"
    ) in texts
    assert any("a model of drums, bass, other must have all of vocals, drums" in text for text in texts)


def test_a_validation_track_that_lacks_a_stem_costs_scores_not_training(dataset):
    (dataset / "valid" / "Song 0" / "bass.wav").unlink()
    report = check_dataset(dataset)
    assert report.can_train
    assert report.targets == SOURCES
    item = one(report, "no scores for bass, other: the validation track 'Song 0' lacks bass;")
    assert item.severity == "warning"


def test_the_folder_above_a_dataset_says_which_to_give(dataset):
    write_track(dataset.parent / "output" / "song")
    write_track(dataset.parent / "song")
    text = one(check_dataset(dataset.parent), "no training track").text
    assert text.endswith(f"This is the folder above a dataset: give '{dataset}'.")


def test_a_statement_about_a_stem_that_there_is_nowhere_is_a_warning(dataset):
    (dataset / "train" / "Song 0" / "track.json").write_text('{"silent": ["vocal", "piano"]}')
    report = check_dataset(dataset)
    item = one(report, "'vocal' is no stem of this dataset (did you mean 'vocals'?)")
    assert (item.severity, item.place) == ("warning", "train/Song 0/track.json")
    assert not [text for text in found(report) if "piano" in text]


def test_folders_named_like_stems_are_no_tracks(tmp_path):
    for stem in ("vocals", "drums"):
        write_track(tmp_path / "train" / stem, sources=("a", "b"))
    item = one(check_dataset(tmp_path), "named like stems")
    assert (item.severity, item.place) == ("warning", "train")
    assert item.text.startswith("drums, vocals: ")
    assert item.text.endswith("expected train/<track>/drums.wav")


def test_mixtures_that_are_the_exact_sums_are_said_to_be(tmp_path, capsys):
    write_dataset(tmp_path, sources=("vocals", "drums"), seconds=0.5)
    for folder in [*(tmp_path / "train").iterdir(), *(tmp_path / "valid").iterdir()]:
        (folder / "drums.wav").rename(folder / "mixture.wav")
        shutil.copy(folder / "mixture.wav", folder / "vocals.wav")
        (folder / "track.json").write_text('{"silent": ["drums", "bass", "other"]}')
    assert main(["data", "check", str(tmp_path)]) == 0
    assert "mixtures are the sums of their stems\n" in capsys.readouterr().out
