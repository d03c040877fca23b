"""Stand-ins for the classes named in PyTorch checkpoints, which accept any data and do nothing.

A pickle can name any function of any installed module. ``torch.load(weights_only=True)`` only looks names up
in a list, and for names found in published separators, that list contains these stand-ins. NumPy's own
unpickling is not used either.
"""

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any, Self

import numpy as np

from auralflow.models.reading.plain import fraction

__all__ = ["Named", "PickledArray", "safe_globals"]

INERT = (
    "demucs.",
    "pytorch_lightning.",
    "lightning.",
    "lightning_fabric.",
    "omegaconf.",
    "ml_collections.",
    "argparse.Namespace",
    "pathlib.",
    "typing.",
)
"""Prefixes of names that separators' checkpoints mention besides their weights, and that are never used."""

CONTAINERS = ("dict", "list", "tuple", "int", "float", "str", "bool", "slice")

NUMPY_TYPES = frozenset(
    f"{order}{kind}"
    for order in "<|="
    for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
)


class Named:
    """An instance of a class known only by name; discards arguments and state."""

    path = ""

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Accept any arguments."""
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, state: Any) -> None:
        """Discard the state."""


class PickledType:
    """Stands in for ``numpy.dtype``: the code of a numeric type."""

    def __init__(self, code: Any = "", *_: Any) -> None:
        self.code = str(code)

    def __setstate__(self, state: Any) -> None:
        """Take the byte order from NumPy's pickled state: (version, order, …)."""
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self.code = f"{state[1]}{self.code}"

    def decode(self, data: Any, count: int) -> np.ndarray[Any, Any]:
        """Decode ``count`` numbers from bytes.

        Raises:
            ValueError: If the type is not a plain little-endian number, or the number of bytes is wrong.
        """
        if self.code not in NUMPY_TYPES and f"={self.code}" not in NUMPY_TYPES:
            raise ValueError(f"an array of type {self.code!r}")
        kind = np.dtype(self.code)
        if isinstance(data, str):
            data = data.encode("latin1")
        if not isinstance(data, bytes) or len(data) != count * kind.itemsize:
            raise ValueError("an array whose number of bytes does not match its shape")
        return np.frombuffer(data, kind)


class PickledArray:
    """Stands in for ``numpy.ndarray`` and its reconstructor; gets its values with the state."""

    def __init__(self, *_: Any) -> None:
        self.values: np.ndarray[Any, Any] = np.zeros(0, np.float32)

    def __setstate__(self, state: Any) -> None:
        """Set the values from (version, shape, type, whether in Fortran order, bytes)."""
        _, shape, kind, by_columns, data = state
        if not isinstance(kind, PickledType) or any(not isinstance(n, int) or n < 0 for n in shape):
            raise ValueError("an array in an unknown format")
        flat = kind.decode(data, math.prod(shape))
        self.values = flat.reshape(shape, order="F" if by_columns else "C")


def _scalar(kind: Any, data: Any = None) -> Any:
    """Stands in for the reconstructor of NumPy scalars."""
    if not isinstance(kind, PickledType):
        raise TypeError("a number in an unknown format")
    return kind.decode(data, 1)[0].item()


def _fraction(numerator: Any = 0, denominator: Any = 1) -> Fraction:
    return fraction(numerator, denominator)


def _empty_dict(*_: Any) -> dict[Any, Any]:
    """Stands in for ``collections.defaultdict``, whose items follow."""
    return {}


def _known() -> dict[str, Any]:
    known: dict[str, Any] = {
        "fractions.Fraction": _fraction,
        "collections.defaultdict": _empty_dict,
        "pytorch_lightning.utilities.parsing.AttributeDict": dict,
        "lightning.pytorch.utilities.parsing.AttributeDict": dict,
        "lightning_fabric.utilities.data.AttributeDict": dict,
        "numpy.ndarray": PickledArray,
        "numpy.dtype": PickledType,
    }
    for core in ("numpy.core.multiarray", "numpy._core.multiarray"):
        known[f"{core}._reconstruct"] = PickledArray
        known[f"{core}.scalar"] = _scalar
    # Types that settings mention; they are dropped when they are values of a dictionary.
    known |= {f"builtins.{name}": type(name, (Named,), {"path": name}) for name in CONTAINERS}
    return known


KNOWN = _known()


def safe_globals(names: Iterable[str]) -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """The stand-ins that ``torch.serialization.safe_globals`` should allow for a file.

    Args:
        names: The names mentioned in the file.

    Returns:
        The stand-ins of those names that have one, with the name.

    Example:
        >>> ((stand_in, name),) = safe_globals(["demucs.htdemucs.HTDemucs", "os.system"])
        >>> name, stand_in.path
        ('demucs.htdemucs.HTDemucs', 'demucs.htdemucs.HTDemucs')
    """
    found: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = []
    for name in names:
        if name in KNOWN:
            found.append((KNOWN[name], name))
        elif name.startswith(INERT):
            found.append((type("Named", (Named,), {"path": name}), name))
    return found
