"""A training state on disk: verified before it is used, never lost when it is replaced or damaged."""

import logging
import random
import shutil
import sys
import zipfile

import pytest
import torch
from conftest import tiny_config

from auralflow.config import TrainConfig
from auralflow.errors import AuralflowError, ModelError, TrainingError
from auralflow.nets.families import create_model
from auralflow.trainer import checkpoint
from auralflow.trainer.checkpoint import (
    CHECKPOINT_FILE,
    PREVIOUS_FILE,
    has_checkpoint,
    read_checkpoint,
    recover_checkpoint,
    set_damaged_aside,
    write_checkpoint,
)
from auralflow.trainer.loop import Trainer

PURPOSE = {"model": {"net": "x"}}


def write(folder, value, size=500):
    content = {"state": {"step": value}, "weights": torch.arange(size, dtype=torch.float32) + value}
    write_checkpoint(folder / CHECKPOINT_FILE, content, purpose=PURPOSE)


def flip(path, place, bit=0):
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(data)


def is_equal(content, value):
    return content["state"] == {"step": value} and torch.equal(content["weights"], torch.arange(500) + value)


def test_what_was_written_is_read_by_ourselves_by_torch_and_as_a_zip_archive(tmp_path):
    write(tmp_path, 3)
    path = tmp_path / CHECKPOINT_FILE
    assert is_equal(read_checkpoint(path, purpose=PURPOSE), 3)
    assert is_equal(torch.load(path, weights_only=True)["content"], 3)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.comment.startswith(b"sha256:")


def test_every_flipped_bit_is_found_or_harmless(tmp_path):
    write(tmp_path, 3)
    path = tmp_path / CHECKPOINT_FILE
    whole = path.read_bytes()
    generator, found = random.Random(1), 0
    for place in [*generator.sample(range(len(whole)), 300), *range(len(whole) - 100, len(whole))]:
        path.write_bytes(whole)
        flip(path, place, generator.randrange(8))
        try:
            content = read_checkpoint(path, purpose=PURPOSE)
        except ModelError:
            found += 1
        else:
            # The label of the digest may lose a letter: what it vouches for is still whole.
            assert is_equal(content, 3)
    assert found >= 390


def test_a_checkpoint_of_an_earlier_version_has_no_digest_and_is_checked_all_the_same(tmp_path):
    path = tmp_path / "last"
    weights = torch.arange(500, dtype=torch.float32) + 3
    content = {"state": {"step": 3}, "weights": weights}
    torch.save({"format_version": 1, "purpose": PURPOSE, "content": content}, path)
    assert is_equal(read_checkpoint(path, purpose=PURPOSE), 3)
    # The last byte of the tensor, wherever it lies.
    flip(path, path.read_bytes().rindex(weights.numpy().tobytes()) + 1999)
    with pytest.raises(ModelError, match="cannot read the checkpoint"):
        read_checkpoint(path, purpose=PURPOSE)


def test_a_damaged_checkpoint_gives_way_to_the_one_before_it_and_is_kept(tmp_path, caplog):
    write(tmp_path, 1)
    write(tmp_path, 2)
    flip(tmp_path / CHECKPOINT_FILE, 900)
    damaged = (tmp_path / CHECKPOINT_FILE).read_bytes()
    with caplog.at_level(logging.WARNING):
        assert is_equal(recover_checkpoint(tmp_path, purpose=PURPOSE), 1)
        set_damaged_aside(tmp_path)
    assert "SHA-256" in caplog.messages[0]
    assert str(tmp_path / PREVIOUS_FILE) in caplog.messages[0]
    # The next one takes the place of nothing that is whole.
    write(tmp_path, 3)
    assert is_equal(recover_checkpoint(tmp_path, purpose=PURPOSE), 3)
    assert is_equal(read_checkpoint(tmp_path / PREVIOUS_FILE, purpose=PURPOSE), 1)
    assert [path.read_bytes() for path in tmp_path.glob("checkpoint/damaged-*")] == [damaged]


def test_when_both_are_damaged_the_error_is_that_of_the_last(tmp_path):
    write(tmp_path, 1)
    write(tmp_path, 2)
    for name in (CHECKPOINT_FILE, PREVIOUS_FILE):
        flip(tmp_path / name, 900)
    with pytest.raises(ModelError, match=r"checkpoint/last"):
        recover_checkpoint(tmp_path, purpose=PURPOSE)


def test_the_one_before_is_used_when_the_last_was_removed(tmp_path, caplog):
    write(tmp_path, 1)
    write(tmp_path, 2)
    (tmp_path / CHECKPOINT_FILE).unlink()
    assert has_checkpoint(tmp_path)
    assert is_equal(recover_checkpoint(tmp_path, purpose=PURPOSE), 1)
    set_damaged_aside(tmp_path)
    assert "there is no" in caplog.text


def test_where_there_are_no_hard_links_the_one_before_is_kept_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    write(tmp_path, 1)
    write(tmp_path, 2)
    assert is_equal(read_checkpoint(tmp_path / PREVIOUS_FILE, purpose=PURPOSE), 1)
    assert is_equal(read_checkpoint(tmp_path / CHECKPOINT_FILE, purpose=PURPOSE), 2)


@pytest.fixture
def small_files():
    """No file may grow beyond 100 kB, which is to a program what a full disk is."""
    import resource  # noqa: PLC0415 - not on every system

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(sys.platform != "linux", reason="limits are another matter there")
def test_a_disk_that_is_full_costs_one_line_and_nothing_else(tmp_path, small_files):
    write(tmp_path, 1)
    write(tmp_path, 2)
    with pytest.raises(TrainingError, match=r"cannot save the checkpoint .*untouched") as caught:
        write(tmp_path, 3, size=200_000)
    assert "\n" not in str(caught.value)
    assert is_equal(read_checkpoint(tmp_path / CHECKPOINT_FILE, purpose=PURPOSE), 2)
    assert is_equal(read_checkpoint(tmp_path / PREVIOUS_FILE, purpose=PURPOSE), 1)
    assert not list(tmp_path.rglob("*.part"))


def test_a_full_disk_is_named_though_torch_does_not_say_so(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0\nframe #0")

    monkeypatch.setattr(torch, "save", fail)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 0))
    with pytest.raises(TrainingError, match="No space left"):
        write(tmp_path, 1)


def test_a_file_that_does_not_hold_what_was_saved_never_gets_the_name(tmp_path, monkeypatch):
    write(tmp_path, 1)
    real = checkpoint._check_archive
    monkeypatch.setattr(checkpoint, "_check_archive", lambda part: (flip(part, 900), real(part)))
    with pytest.raises(TrainingError, match="damaged content"):
        write(tmp_path, 2)
    assert is_equal(read_checkpoint(tmp_path / CHECKPOINT_FILE, purpose=PURPOSE), 1)


@pytest.mark.parametrize(
    "saved",
    [
        [],
        None,
        {"format_version": 1},
        {"format_version": 1, "purpose": None, "content": {}},
        {"format_version": 1, "purpose": {}, "content": None},
        {"format_version": 1, "purpose": {}, "content": {}},
        {"format_version": None, "purpose": {}, "content": {}},
        {"format_version": 1, "purpose": "ab", "content": {}},
        *({"drop": key} for key in ("state", "model", "optimizer", "scheduler", "plateau", "random")),
        *({"null": key} for key in ("state", "model", "optimizer", "scheduler", "plateau", "random")),
    ],
    ids=str,
)
def test_what_is_no_training_state_is_refused_in_one_line(tmp_path, saved):
    trainer = Trainer(create_model(tiny_config()), TrainConfig(), folder=tmp_path)
    trainer.save_checkpoint()
    path = tmp_path / CHECKPOINT_FILE
    if isinstance(saved, dict) and saved.keys() & {"drop", "null"}:
        whole = torch.load(path, weights_only=True)
        if "drop" in saved:
            del whole["content"][saved["drop"]]
        else:
            whole["content"][saved["null"]] = None
        saved = whole
    elif isinstance(saved, dict) and saved.get("purpose") == {}:
        saved["purpose"] = trainer.purpose
    torch.save(saved, path)
    with pytest.raises(AuralflowError) as caught:
        trainer.load_checkpoint()
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_whole_training_state_is_taken_up_and_nothing_moves(tmp_path):
    trainer = Trainer(create_model(tiny_config()), TrainConfig(), folder=tmp_path)
    trainer.save_checkpoint()
    assert trainer.load_checkpoint()
    assert sorted(path.name for path in (tmp_path / "checkpoint").iterdir()) == ["last"]


def test_an_archive_that_would_grow_when_unpacked_is_refused(tmp_path):
    path = tmp_path / "last"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("last/data.pkl", bytes(10**6))
    with pytest.raises(ModelError, match="compressed"):
        read_checkpoint(path, purpose=PURPOSE)
