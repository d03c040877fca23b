"""Tracks that know a part of their stems: what is known is a truth, the rest a sum; no stem is guessed."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from dataset_makers import RATE, SOURCES, noise, write_track

from auralflow.cli import main
from auralflow.config import AugmentConfig, ImportConfig, PrepareConfig, TrainConfig
from auralflow.datasets import (
    EpochSampler,
    TrainingChunks,
    ValidationChunks,
    index_split,
    read_track,
    train_loader,
    training_tracks,
)
from auralflow.datasets.check import check_dataset
from auralflow.datasets.importers import import_dataset
from auralflow.datasets.over_mixture import Overlay
from auralflow.datasets.prepare import prepare
from auralflow.errors import DatasetError
from auralflow.evaluation import evaluate
from auralflow.losses import AudioCriterion
from auralflow.models import create_model_folder
from auralflow.nets.unet import SpectrogramNetConfig
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.separation import Separator
from auralflow.trainer import Trainer

CONFIG = SpectrogramNetConfig(
    targets=SOURCES,
    sample_rate=RATE,
    sample_length=0.5,
    num_fft=256,
    window_size=256,
    hop_length=128,
    num_hidden_channels=1,
)
PLAIN = {"gain": 0, "channel_swap": 0, "sign_flip": 0, "time_shift": 0, "equalizer": 0, "low_pass": 0}
MOMENTS = AugmentConfig(remix=0, keep_silence=1, **PLAIN)


def state(folder, **facts):
    (folder / "track.json").write_text(json.dumps(facts))


def write_instrumental(folder, *, seed=1, seconds=2.0, level=0.1):
    """A mixture whose vocals are stated to be silent."""
    folder.mkdir(parents=True)
    audio = noise(seconds, seed=seed, level=level)
    soundfile.write(folder / "mixture.wav", audio, RATE, subtype="FLOAT")
    state(folder, silent=["vocals"])
    return audio


@pytest.fixture
def data(tmp_path):
    """Two complete tracks, two instrumental ones, one for validation."""
    for number in range(2):
        write_track(tmp_path / "data" / "train" / f"Song {number}", seed=number)
        write_instrumental(tmp_path / "data" / "train" / f"Tune {number}", seed=50 + number)
    write_track(tmp_path / "data" / "valid" / "V", seed=9)
    return tmp_path / "data"


def moment(folder, config=CONFIG):
    """The first chunk of a lone track, as it is."""
    chunks = ValidationChunks([read_track(folder)], config)
    return chunks[0]


def test_an_instrumental_track_knows_its_vocals_and_the_sum_of_the_others(tmp_path):
    audio = write_instrumental(tmp_path / "a")
    mixture, targets, known = moment(tmp_path / "a")
    assert known.tolist() == [True, False, False, False]
    assert not targets[0].any()
    expected = torch.from_numpy(audio[:4000].mean(axis=1)).float()
    for row in (mixture, *targets[1:]):
        torch.testing.assert_close(row[0], expected, rtol=0, atol=1e-6)


def test_a_track_of_two_kinds_knows_the_voice_and_the_sum_of_what_may_be_in_other(tmp_path):
    stems = write_track(tmp_path / "a", sources=("vocals", "other"))
    mixture, targets, known = moment(tmp_path / "a")
    assert known.tolist() == [True, False, False, False]
    vocals, other = (
        torch.from_numpy(stems[name][:4000].mean(axis=1)).float() for name in ("vocals", "other")
    )
    torch.testing.assert_close(mixture[0], vocals + other, rtol=0, atol=1e-4)
    for row in targets[1:]:
        torch.testing.assert_close(row[0], other, rtol=0, atol=1e-4)


@pytest.mark.parametrize("missing", [("bass",), ("drums", "bass"), ("vocals",)])
def test_a_missing_stem_is_never_taken_for_silence(tmp_path, missing):
    """Even where the known stems add up to the mixture: the missing one may hide in other."""
    kept = tuple(source for source in SOURCES if source not in missing)
    write_track(tmp_path / "a", sources=kept, mixture=True, subtype="FLOAT")
    _, targets, known = moment(tmp_path / "a")
    for source, row, is_known in zip(SOURCES, targets, known, strict=True):
        assert bool(is_known) == (source in kept and source != "other")
        assert row.abs().max() > 0.01


def test_the_known_and_the_sum_of_the_unknown_make_up_the_mixture(tmp_path):
    write_track(tmp_path / "a", sources=("drums", "bass", "other"), mixture=True)
    (tmp_path / "a" / "bass.wav").unlink()
    state(tmp_path / "a", silent=["vocals"], title="No voice")
    mixture, targets, known = moment(tmp_path / "a")
    assert known.tolist() == [True, True, False, False]
    torch.testing.assert_close(targets[0] + targets[1] + targets[2], mixture, rtol=0, atol=1e-6)
    assert torch.equal(targets[2], targets[3])


def test_targets_that_are_all_known_need_no_rest(tmp_path):
    write_instrumental(tmp_path / "a")
    mixture, targets, known = moment(tmp_path / "a", CONFIG.model_copy(update={"targets": ("vocals",)}))
    assert known.tolist() == [True]
    assert not targets.any()
    assert mixture.any()


def test_a_rest_that_holds_more_than_targets_is_not_used(data):
    tracks = index_split(data, "train")
    config = CONFIG.model_copy(update={"targets": ("vocals", "drums")})
    assert {track.name for track in TrainingChunks(tracks, config).whole} == {"Song 0", "Song 1"}


def test_partial_tracks_change_no_remix(data, tmp_path):
    """Chunks of complete tracks are the same, beside partial ones or not."""
    tracks = training_tracks(data)[0]
    complete = [track for track in tracks if not track.silent]
    with_partial, without = TrainingChunks(tracks, CONFIG), TrainingChunks(complete, CONFIG)
    for number in range(8):
        for ours, theirs in zip(with_partial[number], without[number], strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_mix_complete_and_partial_chunks_whatever_the_workers(data, workers):
    augment = AugmentConfig(remix=0.3, over_mixture=0.5)
    chunks = TrainingChunks(training_tracks(data)[0], CONFIG, augment, seed=1)
    settings = TrainConfig(batch_size=8, num_workers=workers)
    (batch,) = train_loader(chunks, EpochSampler(8), settings)
    assert batch.known.shape == (8, 4)
    assert batch.known.all(dim=1).any()
    assert not batch.known.all()
    for number in range(8):
        for ours, theirs in zip(batch, chunks[number], strict=True):
            assert torch.equal(ours[number], theirs)
    rest = torch.where(batch.known[..., None, None], batch.targets, 0).sum(1)
    first = batch.known.int().argmin(1)
    unknown = batch.targets[torch.arange(8), first] * ~batch.known.all(dim=1)[:, None, None]
    torch.testing.assert_close(rest + unknown, batch.mixture, rtol=0, atol=1e-5)


def overlays(data, count=60, **settings):
    augment = AugmentConfig(over_mixture=1, **settings)
    chunks = TrainingChunks(training_tracks(data)[0], CONFIG, augment, seed=2)
    return chunks, [chunks.draw(number) for number in range(count)]


def test_a_voice_over_a_recording_has_the_level_of_real_mixes(data):
    chunks, draws = overlays(data, over_mixture_voiceless=0, keep_silence=0)
    relative = []
    for draw in draws:
        assert isinstance(draw, Overlay)
        mixture, targets, known = chunks.render(draw)
        assert known.tolist() == [True, False, False, False]
        torch.testing.assert_close(targets[0] + targets[1], mixture, rtol=0, atol=1e-5)
        ratio = targets[0].square().mean() / targets[1].square().mean()
        relative.append(10 * ratio.log10().item())
    assert min(relative) >= -12.01
    assert max(relative) <= 6.01
    assert np.ptp(relative) > 12
    # Evenly drawn from -12 to 6 dB: the mean is -3, give or take four standard errors.
    assert np.mean(relative) == pytest.approx(-3, abs=4 * 18 / np.sqrt(12 * len(relative)))


def test_a_share_of_the_recordings_stays_without_a_voice(data):
    chunks, draws = overlays(data, count=400, over_mixture_voiceless=0.3)
    silent = [draw for draw in draws if draw.voice is None]
    assert len(silent) / len(draws) == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / 400))
    mixture, targets, known = chunks.render(silent[0])
    assert known[0]
    assert not targets[0].any()
    assert torch.equal(targets[1], mixture)


def test_a_share_of_the_remixes_lies_over_recordings(data):
    augment = AugmentConfig(remix=1, over_mixture=0.25)
    chunks = TrainingChunks(training_tracks(data)[0], CONFIG, augment)
    share = np.mean([isinstance(chunks.draw(number), Overlay) for number in range(800)])
    assert share == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 800))


def test_voices_and_instrumental_recordings_alone_train_a_vocals_model(tmp_path):
    write_track(tmp_path / "train" / "Voice", sources=("vocals",))
    write_instrumental(tmp_path / "train" / "Tune")
    config = CONFIG.model_copy(update={"targets": ("vocals",)})
    augment = AugmentConfig(over_mixture=1, over_mixture_voiceless=0)
    chunks = TrainingChunks(index_split(tmp_path, "train"), config, augment)
    mixture, targets, known = chunks[0]
    assert known.all()
    assert targets.any()
    assert not torch.equal(mixture, targets[0])


def test_a_voice_without_recordings_is_refused(tmp_path):
    write_track(tmp_path / "train" / "a")
    with pytest.raises(DatasetError, match=r"`over_mixture` 0\.5 .*no instrumental training track"):
        TrainingChunks(index_split(tmp_path, "train"), CONFIG, AugmentConfig(over_mixture=0.5))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{silent: [vocals]}", r"cannot read '.*track\.json': found no JSON: key must be a string"),
        ('["vocals"]', r'found \["vocals"\], but the file must be an object with keys, expected JSON'),
        ('{"silent": "vocals"}', "found \"vocals\", but 'silent' must be a list, expected JSON"),
        ('{"silent": [3]}', r"found 3, but each name in 'silent' must be text, expected JSON"),
        ('{"silent": ["drums"]}', r"track\.json' states that drums is silent: found a sample at -\d+ dBFS"),
        ('{"silent": ["mixture"]}', "states that the mixture is silent"),
    ],
)
def test_a_wrong_statement_is_one_line_that_names_the_track(tmp_path, capsys, content, message):
    write_track(tmp_path / "data" / "train" / "Wrong")
    write_track(tmp_path / "data" / "train" / "Right")
    (tmp_path / "data" / "train" / "Wrong" / "track.json").write_text(content)
    with pytest.raises(DatasetError, match=message) as caught:
        index_split(tmp_path / "data", "train")
    assert "Wrong" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert main(["data", "check", str(tmp_path / "data")]) == 1
    assert "train/Wrong" in capsys.readouterr().out.replace("\n", "")


def test_a_silent_file_of_a_silent_stem_is_no_contradiction(tmp_path):
    write_track(tmp_path / "a", sources=("drums", "bass", "other"))
    soundfile.write(tmp_path / "a" / "vocals.wav", np.zeros((2 * RATE, 2)), RATE)
    state(tmp_path / "a", silent=["Vocals"])
    track = read_track(tmp_path / "a")
    assert track.knows(SOURCES, SOURCES)
    assert moment(tmp_path / "a").known.all()


def test_an_instrumental_track_without_a_mixture_is_named(data, capsys):
    (data / "train" / "Tune 1" / "mixture.wav").rename(data / "train" / "Tune 1" / "drums.wav")
    with pytest.raises(DatasetError, match=r"'Tune 1' has no mixture and leaves bass, other unknown"):
        TrainingChunks(index_split(data, "train"), CONFIG)
    assert main(["data", "check", str(data)]) == 1
    assert "train/Tune 1: no mixture, and no bass, other" in capsys.readouterr().out.replace("\n", " ")


def test_a_target_that_no_track_knows_is_named(tmp_path):
    for name in ("a", "b"):
        write_instrumental(tmp_path / "train" / name)
    with pytest.raises(
        DatasetError, match=r"no training track has a file for vocals: found 2 tracks in which it"
    ):
        TrainingChunks(index_split(tmp_path, "train"), CONFIG)


def test_check_knows_statements(data):
    report = check_dataset(data)
    assert report.can_train
    assert not report.findings
    assert report.targets == SOURCES
    (detail,) = [d for d in report.as_json()["splits"]["train"]["details"] if d["name"] == "Tune 0"]
    assert detail["silent"] == ["vocals"]
    state(data / "train" / "Tune 0", slient=["vocals"])
    texts = [finding.text for finding in check_dataset(data).findings]
    assert any("'slient'" in text for text in texts)


def test_check_measures_the_residual_with_silent_stems(tmp_path):
    write_track(tmp_path / "train" / "a", sources=("drums", "bass", "other"), mixture=True, subtype="FLOAT")
    state(tmp_path / "train" / "a", silent=["vocals"])
    write_track(tmp_path / "valid" / "b")
    (track,) = check_dataset(tmp_path).tracks["train"]
    assert track.residual < -100


def test_a_track_is_unused_only_where_no_chunk_takes_anything_of_it(data):
    write_track(data / "train" / "Quiet", sources=("drums", "bass", "other"))
    state(data / "train" / "Quiet", silent=["vocals"])
    tracks = training_tracks(data)[0]

    def unused(**settings):
        chunks = TrainingChunks(tracks, CONFIG, AugmentConfig(**settings))
        return [track.name for track in chunks.only_mixed]

    assert unused(remix=1) == ["Tune 0", "Tune 1"]
    assert unused(remix=0.9) == []
    assert unused(remix=1, over_mixture=0.5) == []


def test_a_cache_keeps_the_statement_and_notices_another(data, tmp_path):
    cache = tmp_path / "cache"
    recipe = PrepareConfig(sample_rate=RATE, sample_type="float32", variants=1)
    prepare(data, cache, recipe)
    augment = AugmentConfig(remix=0.5, over_mixture=0.5)
    ours, theirs = (
        TrainingChunks(training_tracks(place)[0], CONFIG, augment.model_copy(update={"repitch": 0.0}))
        for place in (data, cache)
    )
    for number in range(12):
        for one, other in zip(ours[number], theirs[number], strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-4)
    assert not prepare(data, cache, recipe).made
    (data / "train" / "Tune 0" / "track.json").unlink()
    with pytest.raises(DatasetError, match=r"a change of '.*track\.json'"):
        training_tracks(cache)
    assert prepare(data, cache, recipe).made == ["train/Tune 0"]
    assert {track.name for track in training_tracks(cache)[0] if track.silent} == {"Tune 1"}


def test_a_collection_of_instrumental_music_is_imported_with_a_mapping(tmp_path):
    (tmp_path / "source" / "Tune").mkdir(parents=True)
    soundfile.write(tmp_path / "source" / "Tune" / "tune.flac", noise(1.0), RATE)
    (tmp_path / "mapping.yaml").write_text('tracks: {train: "*"}\nmixture: "*.flac"\nsilent: vocals\n')
    report = import_dataset(
        tmp_path / "source", tmp_path / "data", ImportConfig(mapping=tmp_path / "mapping.yaml")
    )
    assert report.made == ["train/Tune"]
    (track,) = index_split(tmp_path / "data", "train")
    assert track.silent == {"vocals"}
    assert track.mixture is not None


def test_a_statement_goes_with_an_imported_track(data, tmp_path):
    report = import_dataset(data, tmp_path / "copy", ImportConfig(layout="musdb18hq"))
    assert not report.failed
    silent = {track.name: track.silent for track in index_split(tmp_path / "copy", "train")}
    assert silent["Tune 0"] == {"vocals"}
    assert silent["Song 0"] == frozenset()


@pytest.mark.parametrize("criterion", ["si_sdr", "snr", "complex_l1", "l1"])
def test_training_and_validation_take_partial_chunks_and_score_what_is_known(data, criterion):
    write_instrumental(data / "valid" / "Tune")
    train, valid = training_tracks(data)
    chunks = TrainingChunks(train, CONFIG, AugmentConfig(remix=0.5, over_mixture=0.5))
    settings = TrainConfig(max_epochs=1, criterion=criterion, batch_size=4)
    partial = ValidationChunks([track for track in valid if track.silent], CONFIG)
    batches = [
        torch.utils.data.default_collate([chunks[number + 4 * step] for number in range(4)])
        for step in range(2)
    ]
    validation = [torch.utils.data.default_collate([partial[0], partial[1]])]
    torch.manual_seed(0)
    state = Trainer(SpectrogramMaskModel(CONFIG), settings).fit(batches, validation)
    (record,) = state.history
    assert np.isfinite([record.train_loss, record.valid_loss]).all()
    # The vocals are known and silent, the others are unknown: none of them has a score.
    assert set(record.snr.values()) == {None}


def test_a_free_permutation_and_sums_exclude_each_other(data, tmp_path, capsys):
    create_model_folder(tmp_path / "model", CONFIG)
    command = ["train", str(tmp_path / "model"), str(data), "--best-perm", "--num-workers", "0"]
    short = ["--max-epochs", "1", "--max-samples", "2", "--batch-size", "2"]
    assert main([*command, *short, "--over-mixture", "0.5"]) != 0
    assert "--best-perm needs tracks whose targets are all known" in capsys.readouterr().err
    # Remixes of complete stems are no obstacle.
    assert main([*command, *short, "--over-mixture", "0", "--force"]) == 0


def test_a_criterion_of_a_users_own_need_not_know_of_partial_chunks():
    class Own(AudioCriterion):
        def __call__(self, estimate, target):
            return (estimate - target).square().mean()

    batch = torch.randn(1, 1, 4000), torch.randn(1, 4, 1, 4000)
    trainer = Trainer(SpectrogramMaskModel(CONFIG), TrainConfig(max_epochs=1), criterion=Own())
    assert trainer.fit([batch], [batch]).epoch == 1


def test_a_track_with_silent_stems_is_scored_on_the_others(tmp_path):
    write_track(tmp_path / "test" / "a", sources=("drums", "bass", "other"))
    state(tmp_path / "test" / "a", silent=["vocals"])
    report = evaluate(Separator(SpectrogramMaskModel(CONFIG).eval()), tmp_path)
    (track,) = report.tracks
    assert set(track.scores) == {"drums", "bass", "other"}
    assert not report.skipped


def test_the_worked_example_of_the_guide_runs(tmp_path, monkeypatch, capsys):
    page = (Path(__file__).parent.parent / "docs" / "guides" / "own-data.md").read_text(encoding="utf-8")
    section = page[page.index("## Karaoke versions and partial stems") :]
    lines = [
        line for block in re.findall(r"```bash\n(.*?)```", section, re.DOTALL) for line in block.splitlines()
    ]
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        write_track(tmp_path / "recordings" / "train" / f"{number}", seed=number)
    write_track(tmp_path / "recordings" / "train" / "two kinds", seed=7, sources=("vocals", "other"))
    soundfile.write("karaoke.wav", noise(2.0), RATE)
    tiny = ["--num-hidden-channels", "1", "--num-fft", "256", "--window-size", "256", "--hop-length", "128"]
    extra = {
        "config": [*tiny, "--sample-length", "0.5", "--sample-rate", str(RATE)],
        "train": ["--max-epochs", "1", "--max-samples", "8", "--batch-size", "4", "--num-workers", "0"],
    }
    for line in lines:
        if line.startswith("auralflow"):
            words = shlex.split(line)[1:]
            assert main(words + extra.get(words[0], [])) == 0, (line, capsys.readouterr().err)
        else:
            subprocess.run(line, shell=True, check=True)
    assert {line.split()[0] for line in lines} == {"mkdir", "cp", "echo", "auralflow"}
    assert (tmp_path / "band" / "model.safetensors").is_file()
