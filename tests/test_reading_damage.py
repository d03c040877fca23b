"""Damaged checkpoints of every format: read, or refused in one line; never anything else."""

import io
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_makers import make_bundle, make_tar, make_zip, onnx_tensor, proto
from safetensors.torch import save

from auralflow.errors import AuralflowError
from auralflow.models.reading import read_checkpoint


def pytorch(legacy: bool) -> bytes:
    content = {
        "state_dict": {"a.weight": torch.ones(4, 5), "b": torch.arange(3)},
        "hyper_parameters": {"x": (1, 2.5, "s")},
        "array": np.arange(3.0),
    }
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def onnx() -> bytes:
    attribute = proto((1, b"k"), (8, b"\x01\x02"), (20, 7))
    node = proto((1, b"x"), (2, b"y"), (4, b"Conv"), (5, attribute))
    return proto((1, 8), (7, proto((1, node), (5, onnx_tensor("w", torch.ones(3, 4))))))


def whole_files(folder: Path) -> dict[str, bytes]:
    arrays = {f"v{i}/kernel": np.full((3, 4), i, np.float32) for i in range(5)}
    index = make_bundle(folder / "bundle", arrays)
    members = {"x/m.pth": pytorch(False), "x/c.yaml": b"a: [1, &x {b: 2}, *x]"}
    return {
        "new.pth": pytorch(False),
        "old.pth": pytorch(True),
        "s.safetensors": save({"w": torch.ones(4)}, {"kwargs": '{"a": 1}'}),
        "n.onnx": onnx(),
        "t.tar.gz": make_tar(folder / "t.tar.gz", members).read_bytes(),
        "z.whl": make_zip(folder / "z.whl", members).read_bytes(),
        "model.index": index.read_bytes(),
        "model.data-00000-of-00001": index.with_name("model.data-00000-of-00001").read_bytes(),
        "c.yaml": b"model:\n  a: &x [1, 2]\n  b: *x\n  t: !!python/tuple [1]\n",
    }


def damaged(content: bytes, generator: random.Random) -> bytes:
    """Cut short, with bytes changed, or with bytes put in between."""
    if generator.random() < 0.15:
        return content[: generator.randrange(len(content) + 1)]
    changed = bytearray(content)
    for _ in range(generator.choice([1, 1, 2, 5, 20])):
        place = generator.randrange(len(changed))
        changed[place] = generator.choice([0, 255, generator.randrange(256), changed[place] ^ 1])
    if generator.random() < 0.15:
        place = generator.randrange(len(changed))
        changed[place:place] = generator.randbytes(generator.randrange(20))
    return bytes(changed)


def refusal(files: list[Path]) -> str:
    """What is said of files that are refused; empty for those that are read."""
    try:
        read_checkpoint(files)
    except AuralflowError as error:
        return str(error)
    return ""


def run(folder: Path, seed: int, rounds: int) -> None:
    generator, whole = random.Random(seed), whole_files(folder)
    for number in range(rounds):
        name = generator.choice(list(whole))
        place = folder / str(number)
        place.mkdir()
        for beside in ("model.index", "model.data-00000-of-00001", "new.pth"):
            (place / beside).write_bytes(whole[beside])
        (place / name).write_bytes(damaged(whole[name], generator))
        given = [place / name] + ([place / "new.pth"] if name == "c.yaml" else [])
        assert "\n" not in refusal(given), f"seed {seed}, round {number}, {name}"


@pytest.mark.parametrize("seed", range(3))
def test_damage_is_refused_in_a_line_or_does_no_harm(tmp_path, seed):
    run(tmp_path, seed, rounds=100)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 23))
def test_much_more_damage_is(tmp_path, seed):
    run(tmp_path, seed, rounds=1000)


@pytest.mark.parametrize(
    "change",
    [
        # An archive of several disks, of another version, with a secret, with a member without a name.
        lambda content: content.replace(b"PK\x06\x07", b"PK\x06\x07\x01"),
        lambda content: content.replace(b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\xff"),
        lambda content: content.replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"),
        lambda content: content.replace(b"PK\x05\x06\x00", b"PK\x05\x06\x01"),
    ],
    ids=["disks", "version", "secret", "end"],
)
def test_zip_archives_that_python_cannot_read_are_one_line(tmp_path, change):
    path = make_zip(tmp_path / "a.zip", {"m.pth": pytorch(True)})
    whole = path.read_bytes()
    path.write_bytes(change(whole))
    for content in (change(whole), change(pytorch(False))):
        path.write_bytes(content)
        assert "\n" not in refusal([path])
