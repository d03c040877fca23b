"""PyTorch checkpoints are read without running anything, wherever in the file the code hides."""

import io
import os
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from fractions import Fraction

import numpy as np
import pytest
import torch

from auralflow.errors import ModelError
from auralflow.models.reading import read_checkpoint


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


class Evil:
    """Evaluates an expression when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return eval, (f"open({str(self.mark)!r}, 'w')",)


def state(**more):
    return OrderedDict(weight=torch.arange(6.0).reshape(2, 3), count=torch.tensor(3), **more)


@pytest.fixture
def mark(tmp_path):
    return tmp_path / "was run"


POSITIONS = {
    "value": lambda bad: state(extra=bad),
    "beside": lambda bad: {"state": state(), "training_args": bad},
    "kwargs": lambda bad: {"klass": "x", "kwargs": {"depth": bad}, "state": state()},
    "list": lambda bad: {"state": state(), "metrics": [1, [bad]]},
    "key": lambda bad: {"state": state(), (1, bad): 2},
    "tuple": lambda bad: {"state": state(), "args": (bad,)},
    "alone": lambda bad: bad,
}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("payload", [Payload, Evil])
@pytest.mark.parametrize("position", POSITIONS)
def test_code_is_refused_by_name_and_never_run(tmp_path, mark, position, payload, legacy):
    path = tmp_path / "model.th"
    torch.save(POSITIONS[position](payload(mark)), path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(
        ModelError, match=r"was rejected: found code that it would run: .*(system|eval)"
    ) as error:
        read_checkpoint([path])
    assert not mark.exists()
    assert "\n" not in str(error.value)


class Persistent(pickle.Pickler):
    def __init__(self, file, identity):
        super().__init__(file, 2)
        self.identity = identity

    def persistent_id(self, value):
        return self.identity if isinstance(value, Marked) else None


class Marked:
    pass


@pytest.mark.parametrize(
    "identity",
    [
        lambda bad: ("storage", bad, "0", "cpu", 4),
        lambda bad: ("storage", torch.FloatStorage, bad, "cpu", 4),
        lambda bad: ("module", bad, "a.py", "code"),
        lambda bad: bad,
    ],
    ids=["type", "key", "module", "whole"],
)
def test_code_in_the_identity_of_a_storage_is_refused(tmp_path, mark, identity):
    buffer = io.BytesIO()
    Persistent(buffer, identity(Payload(mark))).dump({"weight": Marked()})
    path = tmp_path / "model.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", buffer.getvalue())
        archive.writestr("model/version", "3")
        archive.writestr("model/data/0", bytes(16))
    with pytest.raises(ModelError, match="system"):
        read_checkpoint([path])
    assert not mark.exists()


def test_a_pickle_that_is_no_pytorch_file_is_not_opened(tmp_path, mark):
    path = tmp_path / "model.ckpt"
    path.write_bytes(pickle.dumps(Payload(mark)))
    with pytest.raises(ModelError, match="a pickle, which could run code and was not opened"):
        read_checkpoint([path])
    assert not mark.exists()


@pytest.mark.parametrize("form", ["reduce", "newobj", "stack_global"])
def test_opcodes_beyond_a_state_dict_run_nothing(tmp_path, mark, form):
    command = f"touch {mark}".encode()
    codes = {
        "reduce": b"\x80\x02cos\nsystem\nU" + bytes([len(command)]) + command + b"\x85R.",
        "newobj": b"\x80\x02cos\nsystem\nU" + bytes([len(command)]) + command + b"\x85\x81.",
        "stack_global": pickle.dumps(Payload(mark), 4),
    }
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", codes[form])
        archive.writestr("model/version", "3")
    with pytest.raises(ModelError) as error:
        read_checkpoint([path])
    assert not mark.exists()
    assert "\n" not in str(error.value)


# What published files hold.


def named_class(path: str) -> type:
    """A class that pickles under a path, without the package that has it."""
    module, _, name = path.rpartition(".")
    kind = type(name, (), {"__module__": module, "__qualname__": name})
    parent = sys.modules.setdefault(module, types.ModuleType(module))
    setattr(parent, name, kind)
    return kind


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "path", ["demucs.htdemucs.HTDemucs", "demucs.hdemucs.HDemucs", "demucs.demucs.Demucs"]
)
def test_a_demucs_file_gives_its_class_as_a_name_and_its_arguments(tmp_path, monkeypatch, path, legacy):
    for module in ("demucs", *{path.rpartition(".")[0]}):
        monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
    package = {
        "klass": named_class(path),
        "args": (),
        "kwargs": {"sources": ["drums", "bass"], "segment": Fraction(39, 5), "depth": 4},
        "state": {"encoder.0.weight": torch.ones(2, 2).half()},
        "training_args": {"lr": np.float64(3e-4)},
        "metrics": np.arange(3.0),
    }
    file = tmp_path / "955717e8-8726e21a.th"
    torch.save(package, file, _use_new_zipfile_serialization=not legacy)
    for module in [name for name in sys.modules if name.partition(".")[0] == "demucs"]:
        monkeypatch.delitem(sys.modules, module)
    part = read_checkpoint([file]).only
    assert part.class_name == path
    assert part.kwargs == {"sources": ["drums", "bass"], "segment": Fraction(39, 5), "depth": 4}
    assert part.tensors["encoder.0.weight"].dtype == torch.float16
    assert not [name for name in sys.modules if name.partition(".")[0] == "demucs"]


@pytest.mark.parametrize("dtype", ["<f4", "<f2", "<f8", "<i8", "|b1"])
def test_numpy_arrays_and_numbers_are_read_without_numpys_own_unpickling(tmp_path, dtype):
    array = np.asfortranarray(np.arange(6).reshape(2, 3).astype(dtype))
    path = tmp_path / "arrays.ckpt"
    torch.save({"down1.weight": array, "one": np.array(5, dtype)}, path)
    renamed = rewritten(
        path, lambda data: data.replace(b"cnumpy._core.multiarray", b"cnumpy.core.multiarray")
    )
    for file in (path, renamed):
        tensors = read_checkpoint([file]).only.tensors
        assert np.array_equal(tensors["down1.weight"].numpy(), array)
        assert tensors["one"].shape == ()


def test_an_array_whose_bytes_do_not_fit_its_shape_is_refused(tmp_path):
    path = tmp_path / "arrays.ckpt"
    torch.save({"weight": np.zeros(77, np.float32)}, path)
    broken = rewritten(path, lambda data: data.replace(b"K\x4d\x85", b"K\x4e\x85"))
    with pytest.raises(ModelError, match="number of bytes does not match its shape"):
        read_checkpoint([broken])


def test_an_array_of_objects_is_refused(tmp_path):
    path = tmp_path / "arrays.ckpt"
    torch.save({"weight": torch.ones(1), "names": np.array(["a", None], dtype=object)}, path)
    with pytest.raises(ModelError):
        read_checkpoint([path])


def test_a_lightning_file_gives_weights_and_settings(tmp_path, monkeypatch):
    name = "pytorch_lightning.callbacks.ModelCheckpoint"
    for module in ("pytorch_lightning", "pytorch_lightning.callbacks"):
        monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
    callback = named_class(name)
    instance = callback()
    instance.best = 3
    content = {
        "epoch": 7,
        "state_dict": {"model.conv.weight": torch.ones(2)},
        "hyper_parameters": {"dim_f": 2048, "optimizer": callback, "target": "vocals"},
        "callbacks": {callback: instance},
    }
    path = tmp_path / "epoch.ckpt"
    torch.save(content, path)
    part = read_checkpoint([path]).only
    assert list(part.tensors) == ["conv.weight"]
    assert part.kwargs == {"dim_f": 2048, "target": "vocals"}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: weights,
        lambda weights: {"state": weights},
        lambda weights: {"state_dict": {f"model.{name}": value for name, value in weights.items()}},
        lambda weights: {"model_state_dict": {f"module.{name}": value for name, value in weights.items()}},
        lambda weights: {"model": weights, "optimizer": {"lr": 1.0}},
    ],
)
def test_wrappers_around_the_weights_are_taken_off(tmp_path, wrap):
    path = tmp_path / "model.pth"
    torch.save(wrap(dict(state())), path)
    tensors = read_checkpoint([path]).only.tensors
    assert torch.equal(tensors["weight"], state()["weight"])
    assert set(tensors) == {"weight", "count"}


# Damage.


def rewritten(path, change):
    """The same PyTorch archive with other bytes in its pickle."""
    other = path.with_name(f"changed-{path.name}")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, "w") as target:
        for member in source.infolist():
            data = source.read(member)
            if member.filename.endswith("data.pkl"):
                assert change(data) != data
                data = change(data)
            target.writestr(member.filename, data)
    return other


def test_a_storage_cannot_claim_more_than_the_file_holds(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({"weight": torch.zeros(77)}, path)
    liar = rewritten(path, lambda data: data.replace(b"K\x4d", b"J\x00\x00\x00\x40"))
    with pytest.raises(ModelError, match="cannot read"):
        read_checkpoint([liar])


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_few_bytes_cannot_stand_for_a_huge_tensor(tmp_path, legacy):
    path = tmp_path / "model.pth"
    huge = torch.zeros(1).expand(1 << 20, 1 << 20)
    torch.save({"weight": huge}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ModelError, match="more values than the file contains"):
        read_checkpoint([path])


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_one_line(tmp_path, legacy, share):
    path = tmp_path / "model.pth"
    torch.save(state(), path, _use_new_zipfile_serialization=not legacy)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ModelError, match=r"truncated or damaged|cannot import") as error:
        read_checkpoint([path])
    assert "\n" not in str(error.value)


def test_compressed_members_are_refused(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({"weight": torch.zeros(1 << 16)}, path)
    packed = tmp_path / "packed.pth"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.infolist():
            target.writestr(member.filename, source.read(member))
    with pytest.raises(ModelError, match="compressed members"):
        read_checkpoint([packed])


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_torchscript_program_is_refused(tmp_path):
    path = tmp_path / "model.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(path))
    with pytest.raises(ModelError, match="TorchScript"):
        read_checkpoint([path])


@pytest.mark.parametrize("content", [[1, 2], {"lr": 1.0}, "text", {}])
def test_a_file_without_weights_says_so(tmp_path, content):
    path = tmp_path / "model.pt"
    torch.save(content, path)
    with pytest.raises(ModelError, match=r"no weights|expected weights by name"):
        read_checkpoint([path])


def test_settings_that_repeat_themselves_are_bounded(tmp_path):
    layer: list[object] = [1, 2]
    for _ in range(40):
        layer = [layer, layer]
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": {"weight": torch.ones(2)}, "hyper_parameters": {"a": layer}}, path)
    with pytest.raises(ModelError, match="nested too deeply or repeat"):
        read_checkpoint([path])
