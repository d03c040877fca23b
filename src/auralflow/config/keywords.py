"""The settings of a `Separator` as keyword arguments, which an editor completes and mypy checks."""

from typing import Literal, TypedDict

__all__ = ["EngineKeywords"]


class EngineKeywords(TypedDict, total=False):
    """Fields of `EngineConfig`, all optional; where one is left out, its default there holds.

    Attributes:
        targets: Targets to be estimated, as names or as text such as ``"vocals,bass"``. Default: all.
        two_stems: Estimate this target and all the rest, which sum to the original. Default: None.
        overlap: Share of a chunk that the next one covers again, 0 to below 1. Default: the model's own.
        chunk: Seconds that the net sees at once. Default: the model's own.
        window: How estimates of chunks that overlap become one. Default: ``"published"``.
        shifts: Passes that are averaged, each with its chunks elsewhere. Default: 1.
        wiener: Iterations of multichannel Wiener filtering. Default: the model's own, mostly 0.
        phase: The mixture's phase, or that of Griffin and Lim. Default: ``"mixture"``.
        consistent: Whether the targets are made to sum to the original. Default: False.
        batch_size: Chunks that the net sees at once. Default: what suits the device.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``. Default: ``"auto"``.
        backend: What runs the net. Default: ``"torch"``.
        precision: Numbers that the net computes with. Default: as in `EngineConfig`.
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
