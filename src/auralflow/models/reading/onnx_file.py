"""Reads ONNX files without the onnx package: initialisers as tensors, and operations in order.

Field numbers follow ``onnx.proto``.
"""

import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from auralflow.errors import ModelError
from auralflow.models.reading.protobuf import fields, packed_varints, signed
from auralflow.nets.checkpoint import CheckpointPart, GraphNode

__all__ = ["looks_like_onnx", "read_onnx"]

GRAPH = 7
TYPES = {
    1: "<f4", 2: "u1", 3: "i1", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2", 11: "<f8",
}  # fmt: skip
"""Element types by their number in ``TensorProto.DataType``."""
EXTERNAL = 1
MAX_AXES = 8
MAX_SIZE = 1 << 31
"""Maximum size of a Protocol Buffers message in bytes."""
FAULTS = (OSError, ValueError, struct.error, RecursionError, OverflowError, LookupError)


def looks_like_onnx(path: Path) -> bool:
    """Whether the top level of a file looks like an ONNX model: a format version and one graph."""
    try:
        if not 0 < path.stat().st_size < MAX_SIZE:
            return False
        found = [number for number, _, _ in fields(memoryview(path.read_bytes()))]
    except FAULTS:
        return False
    return found.count(GRAPH) == 1 and 1 in found and max(found) < 64


def read_onnx(path: Path) -> CheckpointPart:
    """Read the weights and operations of an ONNX model.

    Args:
        path: The file.

    Returns:
        The part, including its operations.

    Raises:
        ModelError: If the file is damaged, or its weights are in other files.
    """
    try:
        tensors, nodes = _read_graph(_graph(path))
    except FAULTS as error:
        raise ModelError(
            f"cannot read '{path}'",
            found=str(error) or type(error).__name__,
            expected="a complete ONNX file that contains its weights",
        ) from None
    return CheckpointPart(name=path.stem, format="onnx", tensors=tensors, nodes=nodes)


def _graph(path: Path) -> memoryview:
    if path.stat().st_size >= MAX_SIZE:
        raise ValueError("more bytes than an ONNX file can contain")
    (graph,) = _Message(memoryview(path.read_bytes())).messages(GRAPH)
    return graph


def _read_graph(graph: memoryview) -> tuple[dict[str, Tensor], tuple[GraphNode, ...]]:
    parts = _Message(graph)
    if parts.messages(15):
        raise ValueError("sparse weights")
    tensors: dict[str, Tensor] = {}
    for message in parts.messages(5):
        name, tensor = _read_tensor(message)
        if name in tensors:
            raise ValueError(f"a duplicate {name}")
        tensors[name] = tensor
    nodes = []
    for message in parts.messages(1):
        node, constants = _read_node(message)
        nodes.append(node)
        # A constant is an operation whose output is a tensor.
        tensors |= dict(zip(node.outputs, constants, strict=False))
    return tensors, tuple(nodes)


class _Message:
    """The fields of a message, by number."""

    def __init__(self, data: memoryview) -> None:
        self._fields: dict[int, list[tuple[int, int | memoryview]]] = {}
        for number, kind, value in fields(data):
            self._fields.setdefault(number, []).append((kind, value))

    def messages(self, number: int) -> list[memoryview]:
        """All values of a bytes field."""
        return [value for _, value in self._fields.get(number, ()) if not isinstance(value, int)]

    def texts(self, number: int) -> tuple[str, ...]:
        return tuple(bytes(value).decode("utf-8") for value in self.messages(number))

    def text(self, number: int) -> str:
        return "".join(self.texts(number)[-1:])

    def numbers(self, number: int) -> list[int]:
        """All values of an integer field."""
        found = self._fields.get(number, ())
        return [signed(item) for kind, value in found for item in packed_varints(kind, value)]

    def number(self, number: int, default: int = 0) -> int:
        return (self.numbers(number) or [default])[-1]

    def floats(self, number: int) -> list[float]:
        """All values of a float field."""
        data = b"".join(self.messages(number))
        if len(data) % 4:
            raise ValueError("a field that does not contain floats")
        return [value for (value,) in struct.iter_unpack("<f", data)]


def _read_node(message: memoryview) -> tuple[GraphNode, list[Tensor]]:
    parts = _Message(message)
    operation = parts.text(4)
    if operation in ("If", "Loop", "Scan"):
        raise ValueError(f"the operation {operation}, which no supported separator uses")
    read = dict(map(_read_attribute, parts.messages(5)))
    return (
        GraphNode(
            operation,
            parts.text(3),
            parts.texts(1),
            parts.texts(2),
            {
                name: value
                for name, value in read.items()
                if value is not None and not isinstance(value, Tensor)
            },
        ),
        [value for value in read.values() if isinstance(value, Tensor)],
    )


def _read_attribute(message: memoryview) -> tuple[str, Any]:
    """Name and value of an attribute: a number, a string, a tuple of numbers or a tensor; otherwise None."""
    parts = _Message(message)
    kinds: dict[int, Callable[[], Any]] = {
        1: lambda: parts.floats(2)[-1],
        2: lambda: parts.number(3),
        3: lambda: parts.text(4),
        4: lambda: _read_tensor(parts.messages(5)[-1])[1],
        6: lambda: tuple(parts.floats(7)),
        7: lambda: tuple(parts.numbers(8)),
    }
    read = kinds.get(parts.number(20))
    return parts.text(1), read() if read else None


def _read_tensor(message: memoryview) -> tuple[str, Tensor]:
    parts = _Message(message)
    name = parts.text(8)
    dims, kind, raw = parts.numbers(1), parts.number(2), parts.messages(9)
    if parts.messages(13) or parts.number(14) == EXTERNAL:
        raise ValueError("weights in another file, which is not opened")
    if kind not in TYPES:
        raise ValueError(f"{name or 'a tensor'} of unknown type {kind}")
    dtype = np.dtype(TYPES[kind])
    values = np.frombuffer(raw[-1], dtype=dtype) if raw else _listed(parts, dtype)
    if len(dims) > MAX_AXES or min(dims, default=1) < 0 or math.prod(dims) != len(values):
        raise ValueError(f"{name} of shape {dims} with {len(values)} values")
    return name, torch.from_numpy(values.reshape(dims).copy())


def _listed(parts: _Message, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Values that are not stored as bytes: floats, or integers of 32 or 64 bits."""
    if dtype == np.float32:
        return np.array(parts.floats(4), dtype=dtype)
    whole = parts.numbers(7 if dtype == np.int64 else 5)
    if dtype == np.float16:
        # Half-precision numbers are stored as the integers with the same 16 bits.
        return np.array(whole, dtype="<u2").view("<f2")
    if dtype == np.float64:
        raise ValueError("double-precision weights in a list")
    return np.array(whole, dtype=dtype)
