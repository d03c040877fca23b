"""`auralflow data prepare`: what a cache holds, and that it is never taken for what it is not."""

import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from dataset_makers import RATE, SOURCES, noise, write_dataset, write_track

from auralflow.audio import resample
from auralflow.cli import main
from auralflow.config import AugmentConfig, PrepareConfig
from auralflow.datasets import TrainingChunks, ValidationChunks, training_tracks
from auralflow.datasets.prepare import prepare
from auralflow.datasets.stems import read_stem
from auralflow.errors import AudioError, DatasetError, NotFoundError, UsageError
from auralflow.nets.unet import SpectrogramNetConfig

SETTINGS = PrepareConfig(sample_rate=RATE)
CONFIG = SpectrogramNetConfig(
    targets=SOURCES,
    sample_rate=RATE,
    sample_length=0.5,
    num_channels=2,
    num_fft=512,
    window_size=512,
    hop_length=256,
)


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "data", mixture=True)


@pytest.fixture
def cache(tmp_path, dataset):
    prepare(dataset, tmp_path / "cache", SETTINGS)
    return tmp_path / "cache"


def files_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_16_bit_samples_come_back_to_the_bit(dataset, cache):
    for from_files, from_cache in zip(*(training_tracks(path)[0] for path in (dataset, cache)), strict=True):
        assert from_files.name == from_cache.name
        for stem in ("mixture", *SOURCES):
            expected = read_stem(from_files, stem, 100, 5000)
            np.testing.assert_array_equal(read_stem(from_cache, stem, 100, 5000), expected)


def test_the_files_are_numpy_arrays_that_can_be_mapped(dataset, cache):
    mapped = np.load(cache / "train" / "Song 0" / "drums.npy", mmap_mode="r")
    expected, _ = soundfile.read(dataset / "train" / "Song 0" / "drums.wav", dtype="int16")
    np.testing.assert_array_equal(mapped, expected.T)


def test_training_and_validation_chunks_are_the_same_from_cache_and_files(dataset, cache):
    lists = [training_tracks(path) for path in (dataset, cache)]
    for remix in (0.0, 1.0):
        files, cached = (
            TrainingChunks(train, CONFIG, AugmentConfig(remix=remix), seed=3) for train, _ in lists
        )
        for number in range(5):
            for ours, theirs in zip(files[number], cached[number], strict=True):
                np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(*(ValidationChunks(valid, CONFIG)[1] for _, valid in lists), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_another_rate_is_resampled_once_for_all(dataset, tmp_path):
    prepare(dataset, tmp_path / "half", PrepareConfig(sample_rate=RATE // 2, sample_type="float32"))
    stem = np.load(tmp_path / "half" / "train" / "Song 0" / "bass.npy")
    audio, _ = soundfile.read(dataset / "train" / "Song 0" / "bass.wav", dtype="float32")
    np.testing.assert_allclose(stem, resample(audio.T, RATE, RATE // 2), atol=1e-6)


def test_a_stem_at_another_rate_is_brought_to_the_track_s(tmp_path, caplog):
    data = write_dataset(tmp_path / "data", rates={"bass": 16000})
    prepare(data, tmp_path / "cache", SETTINGS)
    assert "bass.wav' has 16000 Hz" in caplog.text
    track = training_tracks(tmp_path / "cache")[0][0]
    assert {read_stem(track, stem, 0, 16000).shape for stem in SOURCES} == {(2, 16000)}


def test_loud_float_samples_are_scaled_rather_than_clipped(tmp_path):
    data = write_dataset(tmp_path / "data")
    loud = noise(2.0, level=0.3) * 4
    soundfile.write(data / "train" / "Song 0" / "bass.wav", loud, RATE, subtype="FLOAT")
    prepare(data, tmp_path / "cache", SETTINGS)
    track = training_tracks(tmp_path / "cache")[0][0]
    found = read_stem(track, "bass", 0, len(loud))
    np.testing.assert_allclose(found.T, loud, atol=np.abs(loud).max() / 32768)
    assert np.abs(found).max() > 2


def test_a_second_run_keeps_everything(dataset, cache):
    before = files_of(cache)
    report = prepare(dataset, cache, SETTINGS)
    assert len(report.kept) == 4
    assert not report.made
    after = files_of(cache)
    before.pop("manifest.json"), after.pop("manifest.json")
    assert before == after


def test_a_changed_source_makes_the_cache_stale_and_only_its_track_is_made_anew(dataset, cache):
    soundfile.write(dataset / "train" / "Song 1" / "bass.wav", noise(2.0, seed=9), RATE)
    with pytest.raises(DatasetError, match=r"Song 1/bass\.wav.*prepare again"):
        training_tracks(cache)
    report = prepare(dataset, cache, SETTINGS)
    assert report.made == ["train/Song 1"]
    expected, _ = soundfile.read(dataset / "train" / "Song 1" / "bass.wav", dtype="int16")
    np.testing.assert_array_equal(np.load(cache / "train" / "Song 1" / "bass.npy"), expected.T)
    training_tracks(cache)


def test_a_touched_source_with_the_same_content_is_kept(dataset, cache):
    os.utime(dataset / "train" / "Song 1" / "bass.wav", (1, 1))
    with pytest.raises(DatasetError):
        training_tracks(cache)
    report = prepare(dataset, cache, SETTINGS)
    assert not report.made
    training_tracks(cache)


@pytest.mark.parametrize("change", ["new track", "new stem", "lost stem", "lost track"])
def test_tracks_and_stems_that_come_and_go_are_noticed(dataset, cache, change):
    if change == "new track":
        write_track(dataset / "train" / "Song 9", seed=9)
    elif change == "new stem":
        soundfile.write(dataset / "train" / "Song 1" / "piano.wav", noise(2.0), RATE)
    elif change == "lost stem":
        (dataset / "train" / "Song 1" / "bass.wav").unlink()
    else:
        shutil.rmtree(dataset / "train" / "Song 1")
    with pytest.raises(DatasetError, match="cannot be used"):
        training_tracks(cache)
    report = prepare(dataset, cache, SETTINGS)
    assert report.removed == (["train/Song 1"] if change == "lost track" else [])
    assert [track.name for track in training_tracks(cache)[0]] == [
        track.name for track in training_tracks(dataset)[0]
    ]


@pytest.mark.parametrize("damage", ["cut", "missing", "no record", "broken record"])
def test_a_broken_cache_is_noticed_and_mended(dataset, cache, damage):
    folder = cache / "train" / "Song 2"
    whole = (folder / "bass.npy").read_bytes()
    if damage == "cut":
        (folder / "bass.npy").write_bytes(whole[:-2])
    elif damage == "missing":
        (folder / "bass.npy").unlink()
    elif damage == "no record":
        (folder / "track.json").unlink()
    else:
        (folder / "track.json").write_text("{}")
    with pytest.raises(DatasetError, match="Song 2"):
        training_tracks(cache)
    assert prepare(dataset, cache, SETTINGS).made == ["train/Song 2"]
    assert (folder / "bass.npy").read_bytes() == whole


def test_verify_finds_a_flipped_bit(dataset, cache):
    path = cache / "train" / "Song 2" / "bass.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert not prepare(dataset, cache, SETTINGS).made
    assert prepare(dataset, cache, SETTINGS.model_copy(update={"verify": True})).made == ["train/Song 2"]
    assert path.read_bytes() == whole


def test_another_recipe_makes_other_files(dataset, cache):
    report = prepare(dataset, cache, PrepareConfig(sample_rate=RATE, sample_type="float32"))
    assert len(report.made) == 4
    assert np.load(cache / "train" / "Song 0" / "bass.npy", mmap_mode="r").dtype == np.float32


def test_a_cache_outlives_its_dataset(dataset, cache):
    expected = TrainingChunks(training_tracks(cache)[0], CONFIG)[0][0]
    shutil.rmtree(dataset)
    np.testing.assert_array_equal(TrainingChunks(training_tracks(cache)[0], CONFIG)[0][0], expected)


def test_a_cache_file_that_is_cut_or_removed_while_training_is_named(cache):
    chunks = TrainingChunks(training_tracks(cache)[0], CONFIG)
    for path in cache.rglob("vocals.npy"):
        os.truncate(path, 3000)
    with pytest.raises(AudioError, match=r"vocals\.npy.*ends early"):
        chunks[0]
    for path in cache.rglob("vocals.npy"):
        path.unlink()
    with pytest.raises(NotFoundError, match=r"vocals\.npy"):
        chunks[0]


def test_a_bad_track_does_not_stop_the_others_but_leaves_the_cache_unfinished(dataset, tmp_path, capsys):
    (dataset / "train" / "Song 1" / "bass.wav").write_bytes(b"")
    assert main(["data", "prepare", str(dataset), str(tmp_path / "cache"), "--sample-rate", str(RATE)]) == 1
    output = capsys.readouterr()
    assert "Song 1/bass.wav" in output.err
    assert "3 prepared, 1 failed" in output.out
    with pytest.raises(DatasetError, match="did not finish"):
        training_tracks(tmp_path / "cache")
    soundfile.write(dataset / "train" / "Song 1" / "bass.wav", noise(2.0), RATE)
    assert prepare(dataset, tmp_path / "cache", SETTINGS).made == ["train/Song 1"]
    training_tracks(tmp_path / "cache")


def test_a_folder_with_something_else_is_not_touched(dataset, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all my work")
    with pytest.raises(UsageError, match="not a cache"):
        prepare(dataset, tmp_path / "mine", SETTINGS)
    with pytest.raises(UsageError, match="would lie in the dataset"):
        prepare(dataset, dataset / "cache", SETTINGS)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def command(dataset: Path, cache: Path, *options: str) -> list[str]:
    arguments = ["data", "prepare", str(dataset), str(cache), "--sample-rate", str(RATE), *options]
    return [sys.executable, "-m", "auralflow", *arguments]


# Never ends its third track.
HANGING = """
import sys, time
from pathlib import Path
from auralflow.config import PrepareConfig
from auralflow.datasets import prepare_track
from auralflow.datasets.prepare import prepare
write, begun = prepare_track.write_record, []
def hang(*arguments):
    begun.append(arguments)
    if len(begun) == 3:
        print("busy", flush=True)
        time.sleep(3600)
    write(*arguments)
prepare_track.write_record = hang
prepare(Path(sys.argv[1]), Path(sys.argv[2]), PrepareConfig(sample_rate=int(sys.argv[3]), num_workers=1))
"""


def test_a_killed_preparation_goes_on_where_it_was(tmp_path):
    data = write_dataset(tmp_path / "data", train=5, seconds=0.5, sources=("vocals", "drums"))
    prepare(data, tmp_path / "whole", SETTINGS)
    arguments = [str(data), str(tmp_path / "cache"), str(RATE)]
    with subprocess.Popen([sys.executable, "-c", HANGING, *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"busy\n"
        process.kill()
    there = files_of(tmp_path / "cache")
    assert json.loads(there["manifest.json"][1])["complete"] is False
    report = prepare(data, tmp_path / "cache", SETTINGS)
    assert len(report.kept) == 2
    assert report.made
    made, whole = files_of(tmp_path / "cache"), files_of(tmp_path / "whole")
    for name in whole:
        assert made[name][1] == whole[name][1], name
    # What was finished when the process died was not written again.
    for name in report.kept:
        assert made[f"{name}/vocals.npy"] == there[f"{name}/vocals.npy"]


def test_two_processes_at_once_make_the_same_cache_as_one(tmp_path):
    data = write_dataset(tmp_path / "data", train=8, seconds=5.0)
    prepare(data, tmp_path / "one", SETTINGS)
    both = [subprocess.Popen(command(data, tmp_path / "two"), stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    one, two = files_of(tmp_path / "one"), files_of(tmp_path / "two")
    assert {name: content for name, (_, content) in one.items()} == {
        name: content for name, (_, content) in two.items()
    }


def _peak_memory(data: Path, cache: Path, answer) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    prepare(data, cache, PrepareConfig(sample_rate=44100, num_workers=1))
    answer.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in other units there")
def test_preparing_does_not_hold_a_track_in_memory(tmp_path):
    folder = tmp_path / "data" / "train" / "Long"
    folder.mkdir(parents=True)
    # Ten minutes of silence in stereo at 44100 Hz: 106 MB in 16 bits, 212 MB as floats, nothing on the disk.
    soundfile.write(folder / "vocals.wav", np.zeros((1, 2)), 44100)
    header = bytearray((folder / "vocals.wav").read_bytes())
    size = 600 * 44100 * 4
    place = header.index(b"data") + 4
    header[place : place + 4] = size.to_bytes(4, "little")
    header[4:8] = (place + 4 + size - 8).to_bytes(4, "little")
    (folder / "vocals.wav").write_bytes(header)
    os.truncate(folder / "vocals.wav", place + 4 + size)
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=_peak_memory, args=(tmp_path / "data", tmp_path / "cache", answer))
    process.start()
    grown = answer.get(timeout=300)
    process.join()
    assert grown < 60_000
    assert (tmp_path / "cache" / "train" / "Long" / "vocals.npy").stat().st_size > size


def spectral_peak(audio, rate):
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
    return spectrum.argmax() * rate / len(audio)


def test_variants_have_another_pitch_and_tempo(tmp_path):
    data, rate = tmp_path / "data", 22050
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(4 * rate) / rate)
    for split in ("train", "valid"):
        for stem in SOURCES:
            (data / split / "Tone").mkdir(parents=True, exist_ok=True)
            soundfile.write(data / split / "Tone" / f"{stem}.wav", tone, rate)
    settings = PrepareConfig(sample_rate=rate, variants=2, pitch_range=3, tempo_range=20, seed=1)
    prepare(data, tmp_path / "cache", settings)
    record = json.loads((tmp_path / "cache" / "train" / "Tone" / "track.json").read_text())
    (track,), (valid,) = training_tracks(tmp_path / "cache")
    assert valid.variants == ()
    assert len(track.variants) == 2
    for variant, facts in zip(track.variants, record["variants"], strict=True):
        assert abs(facts["pitch"]) > 0.2
        assert abs(facts["tempo"]) > 0.5
        assert variant.mixture is None
        assert variant.seconds == pytest.approx(4 / (1 + facts["tempo"] / 100), abs=1e-3)
        audio = read_stem(variant, "bass", 0, variant.num_samples)[0]
        assert spectral_peak(audio, rate) == pytest.approx(440 * 2 ** (facts["pitch"] / 12), abs=1.0)
        assert np.sqrt(np.mean(audio**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)
    assert prepare(data, tmp_path / "cache", settings).made == []
    assert len(prepare(data, tmp_path / "cache", settings.model_copy(update={"seed": 2})).made) == 2


def test_train_takes_a_cache_in_place_of_a_dataset(cache, tmp_path):
    options = ["--num-hidden-channels", "1", "--sample-rate", str(RATE), "--sample-length", "0.5", "--vocals"]
    assert main(["config", "SpectrogramNetSimple", "--save", str(tmp_path / "model"), *options]) == 0
    run = ["--max-epochs", "1", "--max-samples", "4", "--batch-size", "2", "--num-workers", "0", "--silent"]
    assert main(["train", str(tmp_path / "model"), str(cache), *run]) == 0
    assert (tmp_path / "model" / "model.safetensors").is_file()
