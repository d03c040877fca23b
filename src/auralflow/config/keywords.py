"""The settings of a `Separator` as typed keyword arguments, for editors and mypy."""

from typing import Literal, TypedDict

__all__ = ["EngineKeywords"]


class EngineKeywords(TypedDict, total=False):
    """The fields of `EngineConfig`, all optional, with the same defaults.

    Attributes:
        targets: Targets to estimate, as names or as one string such as ``"vocals,bass"``. Default: all.
        two_stems: Estimate this target and everything else, which sum to the original. Default: None.
        overlap: Fraction of a chunk that overlaps the next one, from 0 to below 1. Default: the model's.
        chunk: Length of a chunk in seconds. Default: the model's.
        window: How estimates of overlapping chunks are combined. Default: ``"published"``.
        shifts: Number of passes to average, each with shifted chunks. Default: 1.
        wiener: Iterations of multichannel Wiener filtering. Default: the model's, usually 0.
        phase: Keep the mixture's phase, or refine it with Griffin-Lim. Default: ``"mixture"``.
        consistent: Whether to adjust the targets so that they sum to the original. Default: False.
        batch_size: Number of chunks per batch. Default: depends on the device.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``. Default: ``"auto"``.
        backend: The library that runs the net. Default: ``"torch"``.
        precision: Number format that the net computes in. Default: ``"auto"``.
    """

    targets: tuple[str, ...] | list[str] | str | None
    two_stems: str | None
    overlap: float | None
    chunk: float | None
    window: Literal["published", "cross_fade"]
    shifts: int
    wiener: int | None
    phase: Literal["mixture", "griffin_lim"]
    consistent: bool
    batch_size: int | None
    device: str
    backend: Literal["torch", "onnx"]
    precision: Literal["auto", "float32", "bfloat16"]
