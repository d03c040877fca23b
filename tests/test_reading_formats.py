"""TensorFlow bundles, ONNX and safetensors: read as their own libraries read them, damage told in a line."""

import io
import json
import struct
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from checkpoint_makers import make_bundle, onnx_tensor, proto, table
from safetensors.torch import save_file

from auralflow.errors import ModelError
from auralflow.models.reading import read_checkpoint
from auralflow.models.reading.crc32c import crc32c
from auralflow.models.reading.protobuf import fields

ARRAYS = {
    **{
        f"conv2d_{i}/{part}": np.random.default_rng(i).normal(size=shape).astype(np.float32)
        for i in range(40)
        for part, shape in (("kernel", (3, 3, 2, 4)), ("bias", (4,)))
    },
    "global_step": np.array(7, np.int64),
}

# TensorFlow.


def test_every_tensor_of_a_bundle_comes_back(tmp_path):
    index = make_bundle(tmp_path, ARRAYS)
    part = read_checkpoint([index]).only
    assert part.format == "tensorflow"
    assert part.name == "model"
    assert set(part.tensors) == set(ARRAYS)
    assert all(np.array_equal(part.tensors[name].numpy(), array) for name, array in ARRAYS.items())
    assert part.tensors["global_step"].shape == ()


def test_either_file_of_a_bundle_stands_for_both_and_both_for_one(tmp_path):
    index = make_bundle(tmp_path, ARRAYS)
    data = index.with_name("model.data-00000-of-00001")
    for given in ([index], [data], [index, data]):
        checkpoint = read_checkpoint(given)
        assert len(checkpoint.parts) == 1
        assert [source.name for source in checkpoint.sources] == [index.name, data.name]
    data.unlink()
    with pytest.raises(ModelError, match=r"no model[.]data-00000-of-00001 beside it"):
        read_checkpoint([index])


def test_crc32c_is_that_of_the_standard():
    # RFC 3720, appendix B.4.
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(bytes(range(31, -1, -1))) == 0x113FDB5C


@pytest.mark.parametrize("size", [0, 1, 3, 4, 63, 1023, 1024, 1025, 70001])
def test_crc32c_side_by_side_is_crc32c_in_a_row(size):
    data = np.random.default_rng(size).bytes(size)
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    assert crc32c(data) == value ^ 0xFFFFFFFF


A = np.arange(4, dtype=np.float32)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"crc": 1}, "b with a wrong checksum"),
        ({"offset": 8}, "b, which overlaps another tensor"),
        ({"offset": 0}, "overlaps another tensor"),
        ({"offset": 2**40}, "which ends at byte 1099511627792 of a data file of 48 bytes"),
        ({"shape": (2**40, 2**40)}, r"b of shape \[1099511627776, 1099511627776\] in 16 bytes"),
        ({"shape": (2**40,), "size": 2**42}, "ends at byte"),
        ({"size": 12}, "in 12 bytes, expected 16"),
        ({"dtype": 7}, "unknown type 7"),
        ({"shape": (1,) * 9 + (4,)}, "10 axes"),
    ],
)
def test_an_entry_that_lies_is_refused(tmp_path, changes, found):
    index = make_bundle(tmp_path, {"a": A, "b": A, "c": A}, changes={"b": changes})
    with pytest.raises(ModelError, match=found) as error:
        read_checkpoint([index])
    assert "\n" not in str(error.value)


def test_a_byte_that_changed_is_found(tmp_path):
    index = make_bundle(tmp_path, ARRAYS)
    data = index.with_name("model.data-00000-of-00001")
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    with pytest.raises(ModelError, match="wrong checksum"):
        read_checkpoint([index])


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("name", ["model.index", "model.data-00000-of-00001"])
def test_a_truncated_bundle_is_one_line(tmp_path, share, name):
    index = make_bundle(tmp_path, ARRAYS)
    file = index.with_name(name)
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(ModelError) as error:
        read_checkpoint([index])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("block", "found"),
    [
        ({"restarts": 10**9}, "claims 1000000000 restarts"),
        ({"restarts": 2**32 - 1}, "claims"),
        ({"kind": 1}, "compressed block"),
    ],
)
def test_an_index_of_a_billion_entries_is_refused(tmp_path, block, found):
    index = make_bundle(tmp_path, ARRAYS, **block)
    with pytest.raises(ModelError, match=found):
        read_checkpoint([index])


def test_an_index_whose_blocks_point_beyond_it_is_refused(tmp_path):
    index = make_bundle(tmp_path, ARRAYS)
    content = bytearray(index.read_bytes())
    content[-44:-40] = b"\xff\xff\xff\x7f"
    index.write_bytes(content)
    with pytest.raises(ModelError, match="cannot read"):
        read_checkpoint([index])


def test_several_data_files_and_big_endian_numbers_are_refused(tmp_path):
    for header, found in ((proto((1, 3)), "3 data files"), (proto((1, 1), (2, 1)), "big-endian")):
        index = make_bundle(tmp_path, {"a": A})
        index.write_bytes(table({b"": header}))
        with pytest.raises(ModelError, match=found):
            read_checkpoint([index])


# ONNX.


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(2, 3, (3, 1), stride=(2, 1))
        self.linear = torch.nn.Linear(4, 5, bias=False)

    def forward(self, x):
        return self.linear(torch.relu(self.conv(x)))


@pytest.fixture(scope="module")
def exported():
    torch.manual_seed(0)
    net, buffer = Small().eval(), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (torch.zeros(1, 2, 9, 4),), buffer, dynamo=False)
    return net, buffer.getvalue()


def test_an_onnx_file_gives_what_the_onnx_package_reads(tmp_path, exported):
    onnx = pytest.importorskip("onnx")
    _, content = exported
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    part = read_checkpoint([path]).only
    graph = onnx.load(str(path)).graph
    theirs = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    assert set(theirs) <= set(part.tensors)
    assert all(np.array_equal(part.tensors[name].numpy(), array) for name, array in theirs.items())
    assert [node.operation for node in part.nodes] == [node.op_type for node in graph.node]
    for ours, node in zip(part.nodes, graph.node, strict=True):
        assert ours.inputs == tuple(node.input)
        assert ours.outputs == tuple(node.output)
        for attribute in node.attribute:
            value = onnx.helper.get_attribute_value(attribute)
            expected = tuple(value) if isinstance(value, list) else value
            if isinstance(expected, int | float | tuple):
                assert ours.attributes[attribute.name] == pytest.approx(expected)


def model(*fields_of_graph) -> bytes:
    return proto((1, 8), (7, proto(*fields_of_graph)))


def read_onnx_bytes(tmp_path, content):
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    return read_checkpoint([path]).only


def test_values_in_lists_and_constants_are_tensors_too(tmp_path):
    floats = proto((1, 2), (2, 1), (8, b"listed"), (4, struct.pack("<2f", 1.5, -2)))
    whole = proto((1, 2), (2, 7), (8, b"whole"), (7, b"\x05" + b"\xff" * 9 + b"\x01"))
    half = proto((1, 1), (2, 10), (8, b"half"), (5, 0x3C00))
    constant = proto((2, b"out"), (4, b"Constant"), (5, proto((1, b"value"), (5, floats), (20, 4))))
    tensors = read_onnx_bytes(tmp_path, model((1, constant), (5, floats), (5, whole), (5, half))).tensors
    assert tensors["listed"].tolist() == [1.5, -2]
    assert tensors["whole"].tolist() == [5, -1]
    assert tensors["half"].tolist() == [1]
    assert tensors["out"].tolist() == [1.5, -2]


WEIGHT = onnx_tensor("weight", torch.ones(2, 3))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (model((5, onnx_tensor("weight", torch.ones(2), (13, proto((1, b"location")))))), "another file"),
        (model((5, proto((1, 2), (2, 1), (8, b"w"), (14, 1)))), "another file"),
        (model((5, WEIGHT), (5, WEIGHT)), "a duplicate weight"),
        (model((15, WEIGHT)), "sparse"),
        (model((5, proto((1, 2**62), (1, 2**62), (2, 1), (8, b"w"), (9, bytes(4))))), "with 1 values"),
        (model((5, proto((1, 2**64 - 1), (2, 1), (8, b"w"), (9, bytes(4))))), "with 1 values"),
        (model((5, proto((1, 1), (2, 1), (8, b"w"), (9, bytes(3))))), "buffer size"),
        (model((5, proto((1, 1), (2, 8), (8, b"w"), (9, b"text")))), "unknown type 8"),
        (model((1, proto((4, b"If")))), "the operation If"),
        (model((1, proto((4, b"\xff\xfe")))), "utf-8"),
    ],
)
def test_an_onnx_file_that_lies_is_refused(tmp_path, content, found):
    with pytest.raises(ModelError, match=found) as error:
        read_onnx_bytes(tmp_path, content)
    assert "\n" not in str(error.value)


def test_a_truncated_onnx_file_is_one_line(tmp_path, exported):
    for size in (1, 10, len(exported[1]) // 2, len(exported[1]) - 1):
        with pytest.raises(ModelError):
            read_onnx_bytes(tmp_path, exported[1][:size])


def test_a_message_of_endlessly_many_fields_is_refused(monkeypatch):
    monkeypatch.setattr("auralflow.models.reading.protobuf.MAX_FIELDS", 1000)
    with pytest.raises(ValueError, match="more than 1000 fields"):
        list(fields(memoryview(proto(*[(1, 1)] * 1001))))


# safetensors.


def test_safetensors_give_the_class_and_arguments_in_their_metadata(tmp_path):
    path = tmp_path / "955717e8.safetensors"
    kwargs = {"segment": {"_type": "fraction", "numerator": 39, "denominator": 5}, "sources": ["bass"]}
    metadata = {"klass": "demucs.htdemucs.HTDemucs", "args": "[]", "kwargs": json.dumps(kwargs)}
    save_file({"weight": torch.ones(3).half()}, path, metadata)
    part = read_checkpoint([path]).only
    assert part.class_name == "demucs.htdemucs.HTDemucs"
    assert part.kwargs == {"segment": Fraction(39, 5), "sources": ["bass"]}
    assert part.tensors["weight"].dtype == torch.float16


@pytest.mark.parametrize(
    "metadata",
    [
        {"kwargs": "["},
        {"kwargs": "[" * 100_000},
        {"kwargs": "[1]"},
        {"kwargs": '{"a": {"_type": "fraction", "numerator": 1, "denominator": 0}}'},
        {"kwargs": '{"a": {"_type": "fraction", "numerator": "1e999999999", "denominator": 1}}'},
        {"structure": "{}"},
    ],
)
def test_metadata_that_cannot_be_used_are_one_line(tmp_path, metadata):
    path = tmp_path / "a.safetensors"
    save_file({"weight": torch.ones(3)}, path, metadata)
    with pytest.raises(ModelError) as error:
        read_checkpoint([path])
    assert "\n" not in str(error.value)


def test_truncated_safetensors_are_one_line(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"weight": torch.ones(300)}, path)
    whole = path.read_bytes()
    for size in (9, 50, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ModelError):
            read_checkpoint([path])
