"""Damaged model folders, checkpoints, caches, journals and uploads cause one-line errors, or none.

``AURALFLOW_FUZZ_FILES`` is the number of damaged files of each kind, ``AURALFLOW_FUZZ_SEED`` decides all.
"""

import os
import random
import shutil
import traceback
import warnings
import zipfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
import soundfile
import torch
from conftest import constant_model, tiny_config, write_track
from mutations import mutate, mutate_json, mutate_safetensors, seed_of
from sounds import write_sounds

from auralflow.app.intake import check_song, take_in
from auralflow.config import AppConfig, PrepareConfig, TrainConfig, parse_settings, read_settings
from auralflow.datasets import training_tracks
from auralflow.datasets.prepare import prepare
from auralflow.datasets.stems import read_stem
from auralflow.errors import AuralflowError
from auralflow.evaluation.run import _read_scores
from auralflow.models import create_model_folder, installed_registry, load, save_weights
from auralflow.models.card import ModelCard
from auralflow.models.folder import MODEL_FILE, WEIGHTS_FILE
from auralflow.models.reading import read_checkpoint as read_foreign
from auralflow.nets.families import create_model
from auralflow.separation import Separator, find_songs, separate_files
from auralflow.separation.journal import JOURNAL_FILE
from auralflow.trainer import Trainer
from auralflow.trainer.checkpoint import CHECKPOINT_FILE, _sign, read_checkpoint

FILES = int(os.environ.get("AURALFLOW_FUZZ_FILES", "200"))
SEED = int(os.environ.get("AURALFLOW_FUZZ_SEED", "0"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * 3600)]


class Campaign:
    """Does something with damaged files and keeps what went wrong."""

    def __init__(self, kind):
        self.kind = kind
        self.counts: Counter[str] = Counter()
        self.faults = {}

    def rounds(self, count=FILES):
        for number in range(count):
            self.number = number
            yield random.Random(seed_of(SEED, self.kind, number))

    def attempt(self, function, *arguments):
        """What the function returned; None, and a note, if it raised."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = function(*arguments)
        except AuralflowError as error:
            self.counts["refused"] += 1
            if len(str(error).splitlines()) != 1:
                self.faults[self.number] = f"not one line: {error!r}"
            return None
        except Exception:  # noqa: BLE001 - to find it is the purpose
            self.counts["foreign"] += 1
            self.faults[self.number] = traceback.format_exc(limit=-4)
            return None
        self.counts["taken"] += 1
        return result

    def end(self):
        print(f"\n{self.kind}: {dict(self.counts)}, seed {SEED}")
        assert not self.faults, f"seed {SEED}, {len(self.faults)} faults:\n" + "\n".join(
            f"{number}: {fault}" for number, fault in list(self.faults.items())[:10]
        )
        # Damage that nothing notices is no test.
        assert self.counts["refused"] > 0


def write_model(folder):
    config = tiny_config()
    create_model_folder(folder, config)
    torch.manual_seed(0)
    save_weights(create_model(config), folder / WEIGHTS_FILE)
    return folder


def test_model_folders(tmp_path):
    folder = write_model(tmp_path / "model")
    settings, weights = (folder / MODEL_FILE).read_text(), (folder / WEIGHTS_FILE).read_bytes()
    campaign = Campaign("model folder")
    for rng in campaign.rounds():
        which = rng.choice(("settings", "weights", "both"))
        changed = mutate_json(settings, rng) if which != "weights" else settings.encode()
        (folder / MODEL_FILE).write_bytes(changed)
        (folder / WEIGHTS_FILE).write_bytes(
            mutate_safetensors(weights, rng) if which != "settings" else weights
        )
        campaign.attempt(load, folder)
    campaign.end()


def test_cards_and_training_settings(tmp_path):
    card = installed_registry().cards()[0].model_dump_json()
    trainer = TrainConfig().model_dump_json()
    campaign = Campaign("card")
    for rng in campaign.rounds():
        (tmp_path / "card.json").write_bytes(mutate_json(card, rng))
        campaign.attempt(ModelCard.read, tmp_path / "card.json")
        (tmp_path / "trainer.json").write_bytes(mutate_json(trainer, rng))
        campaign.attempt(lambda: parse_settings(TrainConfig, read_settings(tmp_path / "trainer.json")))
    campaign.end()


def test_checkpoints_never_give_what_was_not_saved(tmp_path):
    trainer = Trainer(create_model(tiny_config()), TrainConfig(), folder=tmp_path)
    trainer.save_checkpoint()
    path = tmp_path / CHECKPOINT_FILE
    whole = path.read_bytes()
    saved = read_checkpoint(path, purpose=trainer.purpose)["model"]
    campaign = Campaign("checkpoint")
    for rng in campaign.rounds():
        path.write_bytes(mutate(whole, rng))
        content = campaign.attempt(lambda: read_checkpoint(path, purpose=trainer.purpose))
        if content is not None:
            assert all(torch.equal(saved[name], content["model"][name]) for name in saved), campaign.number
    campaign.end()


def test_checkpoints_that_are_wrong_and_signed_all_the_same(tmp_path):
    trainer = Trainer(create_model(tiny_config()), TrainConfig(), folder=tmp_path)
    trainer.save_checkpoint()
    path = tmp_path / CHECKPOINT_FILE
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    (pickled,) = (name for name in entries if name.endswith("data.pkl"))
    campaign = Campaign("signed checkpoint")
    for rng in campaign.rounds():
        name = rng.choice((pickled, pickled, rng.choice(sorted(entries))))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for entry, content in entries.items():
                archive.writestr(entry, mutate(content, rng) if entry == name else content)
        _sign(path)
        campaign.attempt(trainer.load_checkpoint)
    campaign.end()


@pytest.mark.parametrize("kind", ["torch", "safetensors"])
def test_checkpoints_of_others(tmp_path, kind):
    path = tmp_path / ("net.pt" if kind == "torch" else "net.safetensors")
    weights = create_model(tiny_config()).state_dict()
    if kind == "torch":
        torch.save({"state_dict": weights, "epoch": 3}, path)
    else:
        save_weights(weights, path)
    whole = path.read_bytes()
    campaign = Campaign(f"checkpoint of others ({kind})")
    for rng in campaign.rounds():
        path.write_bytes(mutate(whole, rng) if kind == "torch" else mutate_safetensors(whole, rng))
        campaign.attempt(read_foreign, [path])
    campaign.end()


def read_all(cache):
    for tracks in training_tracks(cache):
        for track in tracks:
            for stem in track.stems:
                read_stem(track, stem, 0, track.num_samples)


def test_caches(tmp_path):
    for index, name in enumerate(("train/a", "train/b", "valid/c")):
        write_track(tmp_path / "data" / name, seconds=0.2, seed=index)
    whole, cache = tmp_path / "whole", tmp_path / "cache"
    settings = PrepareConfig(sample_rate=8000, num_workers=1)
    prepare(tmp_path / "data", whole, settings)
    read_all(whole)
    files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    campaign = Campaign("cache")
    for rng in campaign.rounds():
        shutil.rmtree(cache, ignore_errors=True)
        shutil.copytree(whole, cache)
        path = cache / rng.choice((files[0], rng.choice(files)))
        is_json = path.suffix == ".json"
        path.write_bytes(mutate_json(path.read_text(), rng) if is_json else mutate(path.read_bytes(), rng))
        campaign.attempt(read_all, cache)
        # And it can be brought up to date, whatever was damaged.
        if campaign.number % 10 == 0:
            campaign.attempt(lambda: prepare(tmp_path / "data", cache, settings))
    campaign.end()


def test_scores_that_were_kept(tmp_path):
    path = tmp_path / "scores.json"
    text = '{"name": "a", "seconds": 1.0, "scores": {"vocals": {"si_sdr": 1.0}}, "frames": {}, "window": 1.0}'
    campaign = Campaign("scores")
    for rng in campaign.rounds():
        path.write_bytes(mutate_json(text, rng))
        if campaign.attempt(_read_scores, path) is None:
            campaign.counts["refused"] += 1
    campaign.end()


def test_journals(tmp_path):
    """Whatever a journal says, the songs are there in the end as if it had said nothing."""
    songs = tmp_path / "songs"
    for number in range(2):
        write_track(songs / f"{number}", seconds=0.2, seed=number, stems=("mixture",))
    separator = Separator(constant_model(0.25, 0.5))

    def run(save):
        return {outcome.song.path: outcome.status for outcome in separate_files(separator, found, save)}

    def stems(save):
        return {path.read_bytes() for path in (save / "separated_audio").rglob("*.wav") if path.is_file()}

    found = find_songs([songs])
    assert set(run(tmp_path / "whole").values()) == {"separated"}
    expected = stems(tmp_path / "whole")
    journal = Path("separated_audio") / JOURNAL_FILE
    lines = (tmp_path / "whole" / journal).read_text().splitlines()
    campaign = Campaign("journal")
    for rng in campaign.rounds():
        save = tmp_path / "save"
        shutil.rmtree(save, ignore_errors=True)
        shutil.copytree(tmp_path / "whole", save)
        changed = [mutate_json(line, rng) for line in lines]
        if rng.random() < 0.3:
            for path in (save / "separated_audio").rglob("*.wav"):
                path.unlink()
        (save / journal).write_bytes(b"\n".join(changed) + rng.choice((b"\n", b"")))
        outcomes = campaign.attempt(run, save)
        if outcomes is not None:
            # A line may claim the folder of a song, which then gets another; but none is kept in silence.
            failed = [status for status in outcomes.values() if status == "failed"]
            if not failed and not expected <= stems(save):
                campaign.faults[campaign.number] = f"{outcomes}, but stems are missing"
            campaign.counts["refused"] += len(failed)
    campaign.end()


def look_at(song, folder):
    return check_song(take_in(song, folder, AppConfig()), song.name, AppConfig())


def test_uploads(tmp_path):
    good = write_sounds(tmp_path / "good")
    contents = [path.read_bytes() for path in good]
    campaign = Campaign("upload")
    for rng in campaign.rounds():
        index = rng.randrange(len(good))
        song = tmp_path / f"song{good[index].suffix}"
        song.write_bytes(mutate(contents[index], rng, contents))
        job = tmp_path / f"job {campaign.number}"
        job.mkdir()
        info = campaign.attempt(look_at, song, job)
        if info is not None:
            assert 0 < info.seconds <= AppConfig().max_duration
        shutil.rmtree(job)
        with suppress(FileNotFoundError):
            song.unlink()
    campaign.end()


def test_the_good_files_are_good(tmp_path):
    """Else the campaigns would damage what nobody can read anyway."""
    for path in write_sounds(tmp_path / "good"):
        if path.suffix in {".wav", ".flac", ".aiff"}:
            assert soundfile.info(path).frames > 0
        job = tmp_path / path.name
        job.mkdir()
        assert look_at(path, job).seconds == pytest.approx(0.6, abs=0.2)
