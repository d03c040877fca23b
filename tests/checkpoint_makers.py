"""Creates checkpoints in the published formats, including TensorFlow bundles."""

import io
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from torch import Tensor

from auralflow.models.reading.crc32c import masked_crc32c

NUMBERS = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "float16": 19}
TABLE_MAGIC = 0xDB4775248B80FB57


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def proto(*fields: tuple[int, int | bytes]) -> bytes:
    """A Protocol Buffers message: integers as varints, bytes with their length."""
    out = b""
    for number, value in fields:
        if isinstance(value, bytes):
            out += varint(number << 3 | 2) + varint(len(value)) + value
        else:
            out += varint(number << 3) + varint(value)
    return out


def table_block(entries: dict[bytes, bytes], *, restarts: int | None = None, kind: int = 0) -> bytes:
    """A LevelDB block: keys share prefixes with the previous key, sixteen in a row."""
    out, starts, last = b"", [], b""
    for index, (key, value) in enumerate(sorted(entries.items())):
        shared = 0
        if index % 16:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        else:
            starts.append(len(out))
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    starts = starts or [0]
    out += struct.pack(f"<{len(starts)}I", *starts)
    out += struct.pack("<I", len(starts) if restarts is None else restarts)
    content = out + bytes([kind])
    return content + struct.pack("<I", masked_crc32c(content))


def table(entries: dict[bytes, bytes], **block) -> bytes:
    """A LevelDB table of one data block."""
    data = table_block(entries, **block)
    metaindex = table_block({})
    place = varint(0) + varint(len(data) - 5)
    index = table_block({b"\xff": place})
    footer = varint(len(data)) + varint(len(metaindex) - 5)
    footer += varint(len(data) + len(metaindex)) + varint(len(index) - 5)
    return data + metaindex + index + footer.ljust(40, b"\0") + struct.pack("<Q", TABLE_MAGIC)


def bundle_entry(array: np.ndarray, place: int, **changes) -> bytes:
    shape = changes.get("shape", array.shape)
    dims = b"".join(proto((2, proto((1, size)))) for size in shape)
    crc = struct.pack("<I", changes.get("crc", masked_crc32c(array.tobytes())))
    return (
        proto(
            (1, changes.get("dtype", NUMBERS[str(array.dtype)])),
            (2, dims),
            (4, changes.get("offset", place)),
            (5, changes.get("size", array.nbytes)),
        )
        + varint(6 << 3 | 5)
        + crc
    )


def make_bundle(folder: Path, arrays: dict[str, np.ndarray], *, changes=None, **block) -> Path:
    """``model.index`` and ``model.data-00000-of-00001``; ``changes`` corrupts entries by name."""
    folder.mkdir(parents=True, exist_ok=True)
    entries, data = {b"": proto((1, 1), (3, proto((1, 1))))}, b""
    for name, array in sorted(arrays.items()):
        entries[name.encode()] = bundle_entry(array, len(data), **(changes or {}).get(name, {}))
        data += array.tobytes()
    (folder / "model.data-00000-of-00001").write_bytes(data)
    (folder / "model.index").write_bytes(table(entries, **block))
    return folder / "model.index"


def onnx_tensor(name: str, tensor: Tensor, *more: tuple[int, int | bytes]) -> bytes:
    array = tensor.numpy()
    kind = {"float32": 1, "int64": 7, "float16": 10}[str(array.dtype)]
    return proto(
        *((1, size) for size in array.shape), (2, kind), (8, name.encode()), *more, (9, array.tobytes())
    )


def make_tar(path: Path, members: dict[str, bytes], *infos: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in infos:
            archive.addfile(info)
    return path


def make_zip(path: Path, members: dict[str, bytes], compression=zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path
