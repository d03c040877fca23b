"""Reads PyTorch files (``.pth``, ``.pt``, ``.ckpt``, ``.th``): weights and plain data only, never code."""

import contextlib
import itertools
import pickle
import pickletools
import re
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from auralflow.errors import ModelError
from auralflow.models.reading.plain import plain
from auralflow.models.reading.stand_ins import Named, PickledArray, safe_globals
from auralflow.models.reading.zips import is_zip
from auralflow.nets.checkpoint import CheckpointPart

__all__ = ["is_pytorch_zip", "read_pytorch"]

LEGACY_MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
"""How ``torch.save`` starts files that are not archives: the pickled magic number."""

WEIGHTS = ("state", "state_dict", "model_state_dict", "model", "ema_model", "net")
"""Keys under which training programs store weights."""
PREFIXES = ("module.", "model.", "_orig_mod.")
"""Prefixes that wrappers add to the names of all weights."""
OPTIONS = ("kwargs", "hyper_parameters", "hparams")
MAX_PICKLE = 1 << 28
LEGACY_PICKLES = 5
"""A legacy file is a sequence of pickles: magic number, version, system, content, keys of storages."""

FAULTS = (
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Exceptions that PyTorch raises for damaged or malicious files."""


def is_pytorch_zip(names: list[str]) -> bool:
    """Whether an archive with these members was written by ``torch.save``."""
    return any(re.fullmatch(r"([^/]+/)?data\.pkl", name) for name in names)


def read_pytorch(path: Path) -> CheckpointPart:
    """Read the weights of a PyTorch file, and the class and settings stored with them.

    Args:
        path: The file.

    Returns:
        The part.

    Raises:
        ModelError: If the file is damaged, would run code, or contains no weights.
    """
    archive = is_zip(path)
    try:
        names = _names_in_zip(path) if archive else _names_in_stream(path)
        with warnings.catch_warnings(), torch.serialization.safe_globals(safe_globals(names)):
            # PyTorch warns about some pickle protocols; the file is either read or rejected anyway.
            warnings.simplefilter("ignore")
            # With mmap, a storage cannot extend beyond the file, whatever size the pickle claims.
            content = torch.load(str(path), map_location="cpu", weights_only=True, mmap=archive)
        holder, state = _weights(content)
        tensors = _checked(state, path.stat().st_size)
        class_path, args, kwargs = _description(holder)
    except FAULTS as error:
        raise _refusal(path, error) from None
    return CheckpointPart(
        name=path.stem, format="pytorch", tensors=tensors, class_name=class_path, args=args, kwargs=kwargs
    )


def _names_in_zip(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        if any(name.endswith("constants.pkl") for name in names):
            raise ValueError("a TorchScript program")
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("compressed members, which torch.save does not write")
        if not is_pytorch_zip(names):
            raise ValueError("an archive without data.pkl")
        (member,) = (m for m in members if re.fullmatch(r"([^/]+/)?data\.pkl", m.filename))
        if member.file_size > MAX_PICKLE:
            raise ValueError("an implausibly long description of the weights")
        with archive.open(member) as file:
            return set(_names(file))


def _names_in_stream(path: Path) -> set[str]:
    with path.open("rb") as file:
        if file.read(len(LEGACY_MAGIC)) != LEGACY_MAGIC:
            raise ValueError("a file that does not start like a PyTorch file")
        file.seek(0)
        return set(itertools.chain.from_iterable(_names(file) for _ in range(LEGACY_PICKLES)))


def _names(file: IO[bytes]) -> Iterator[str]:
    """The names of functions and classes in a pickle, found without executing it."""
    for operation, argument, _ in pickletools.genops(file):
        if operation.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")


def _weights(content: Any) -> tuple[Mapping[Any, Any], Mapping[Any, Any]]:
    """The mapping around the weights, and the weights."""
    if not isinstance(content, Mapping):
        raise TypeError(f"a {type(content).__name__}, expected weights by name")
    holder = state = content
    for key in WEIGHTS:
        if isinstance(content.get(key), Mapping) and _any_tensor(content[key]):
            state = content[key]
            break
    if not _any_tensor(state):
        raise ValueError("no weights")
    return holder, state


def _any_tensor(state: Mapping[Any, Any]) -> bool:
    return any(isinstance(value, Tensor | PickledArray) for value in state.values())


def _checked(state: Mapping[Any, Any], file_size: int) -> dict[str, Tensor]:
    """The tensors of a mapping, without prefixes added by wrappers."""
    tensors = {str(name): _tensor(value) for name, value in state.items() if _is_weight(value)}
    needed = [tensor.numel() * tensor.element_size() for tensor in tensors.values()]
    # Strides of zero let a few bytes represent any number of values.
    if max(needed) > file_size or sum(needed) > 4 * file_size:
        raise ValueError("tensors with more values than the file contains")
    while any(all(name.startswith(prefix) for name in tensors) for prefix in PREFIXES):
        tensors = {name.partition(".")[2]: tensor for name, tensor in tensors.items()}
    # Copy them from the mapped file, which may be deleted.
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _is_weight(value: Any) -> bool:
    return isinstance(value, Tensor | PickledArray)


def _tensor(value: Tensor | PickledArray) -> Tensor:
    if isinstance(value, PickledArray):
        return torch.from_numpy(np.ascontiguousarray(value.values).copy()).reshape(value.values.shape)
    if type(value) not in (Tensor, torch.nn.Parameter) or value.layout != torch.strided:
        raise ValueError("a tensor that is sparse, quantised or of an unknown class")
    if value.device.type != "cpu" or value.is_quantized or value.is_complex():
        raise ValueError("a tensor that is quantised, complex or without values")
    return value


def _description(holder: Mapping[Any, Any]) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """Class, arguments and keyword arguments, as far as the file contains them."""
    named = holder.get("klass")
    path = named.path if isinstance(named, type) and issubclass(named, Named) else ""
    args = plain(holder.get("args")) if path else ()
    options = [plain(holder[key]) for key in OPTIONS if isinstance(holder.get(key), Mapping)]
    return path, tuple(args or ()), options[0] if options else {}


def _refusal(path: Path, error: BaseException) -> ModelError:
    named = set(re.findall(r"GLOBAL ([\w.]+)", str(error)))
    if is_zip(path):
        # All names in the file, not just the first one; found without executing anything.
        with contextlib.suppress(*FAULTS):
            named |= set(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
        named = {name for name in named if not safe_globals([name])}
    if named:
        return ModelError(
            f"'{path}' was rejected",
            found=f"code that it would run: {', '.join(sorted(named)[:5])}",
            expected="weights and plain settings",
            advice="None of it was run. Ask its author for a file that only contains the weights.",
        )
    return ModelError(
        f"cannot read '{path}'",
        found=_reason(error),
        expected="a complete PyTorch weights file",
        advice="It is truncated or damaged, or contains something else.",
    )


def _reason(error: BaseException) -> str:
    """The first sentence of a message, without PyTorch's advice to load unsafely."""
    text = " ".join(str(error).split())
    if isinstance(error, pickle.UnpicklingError):
        return "a pickle that is damaged, or uses features that a weights file does not"
    return text.split(". ")[0][:160] or type(error).__name__
