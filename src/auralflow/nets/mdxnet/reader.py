"""Reads published checkpoints of MDX-Net: rebuilds the net from the nodes of ONNX graphs.

Batch normalisations are folded into the convolutions before them, which are numbered rather than named.
Therefore the nodes are matched with the layers of the net in the order of computation.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from auralflow.config import parse_settings
from auralflow.errors import ModelError
from auralflow.nets.checkpoint import Checkpoint, CheckpointPart, Conversion, GraphNode
from auralflow.nets.mdxnet.config import MDXNetConfig
from auralflow.nets.mdxnet.parameters import PUBLISHED, Parameters

__all__ = ["READER"]

LAYERS = ("Conv", "ConvTranspose", "MatMul")
NORM = "BatchNormalization"
EPSILON = 1e-5
LARGEST_POWER = 16
"""Numbers of frames up to this are exponents of two."""


class MDXNetReader:
    """Reads published checkpoints of MDX-Net."""

    parameters = frozenset({"n_fft", "dim_f", "dim_t", "compensate", "stem"})

    def recognizes(self, checkpoint: Checkpoint) -> bool:
        """Whether the only file is an ONNX graph with the layers of a TFC-TDF net."""
        if len(checkpoint.parts) != 1 or checkpoint.parts[0].format != "onnx":
            return False
        kinds = {node.operation for node in checkpoint.parts[0].nodes}
        return {"Conv", "ConvTranspose", "MatMul", "Transpose", "Mul"} <= kinds and not kinds & {
            "LSTM",
            "GRU",
        }

    def convert(self, checkpoint: Checkpoint, targets: tuple[str, ...] = ()) -> Conversion:
        """Convert a checkpoint to settings and weights.

        Raises:
            ModelError: If the graph is unsupported, or its parameters are unknown.
        """
        part = checkpoint.only
        known = _given(checkpoint, part, PUBLISHED.get(part.file_md5), targets)
        walk = _Walk(part)
        shapes = walk.shapes()
        bins = checkpoint.given.get("dim_f", shapes["num_bins"])
        if bins != shapes["num_bins"]:
            raise ModelError(
                f"--dim-f is {bins}", found=f"{shapes['num_bins']} frequency bins in '{part.name}'"
            )
        hop = 1024
        values = shapes | {
            "targets": targets or (known.target,),
            "num_fft": known.num_fft,
            "hop_length": hop,
            "sample_length": hop * (2**known.log_frames - 1) / 44100,
            "compensate": known.compensate,
        }
        config = parse_settings(MDXNetConfig, values, source=part.name)
        return Conversion(config, walk.weights(config))


def _given(
    checkpoint: Checkpoint, part: CheckpointPart, known: Parameters | None, targets: tuple[str, ...]
) -> Parameters:
    """The parameters from the user, the settings file or the table of published files, in this order."""
    file, said = checkpoint.settings, checkpoint.given
    num_fft = said.get("n_fft", file.get("mdx_n_fft_scale_set", file.get("num_fft", known and known.num_fft)))
    target = said.get("stem", file.get("primary_stem", file.get("target", known and known.target)))
    target = target or (targets[0] if targets else None)
    if not isinstance(num_fft, int) or not isinstance(target, str):
        missing = [] if isinstance(num_fft, int) else ["--n-fft, such as 6144 or 7680"]
        missing += [] if isinstance(target, str) else ["--stem, such as vocals"]
        raise ModelError(
            f"the parameters of '{part.name}' are unknown",
            found=f"a file that is not in the table (MD5 {part.file_md5})",
            expected=" and ".join(missing),
            advice="Ask the authors for them, and --dim-t and --compensate if they differ from 256 and 1.",
        )
    frames = said.get("dim_t", file.get("mdx_dim_t_set", known.log_frames if known else 8))
    compensate = said.get("compensate", file.get("compensate", known.compensate if known else 1))
    if isinstance(frames, int) and frames > LARGEST_POWER and frames == 1 << (frames.bit_length() - 1):
        frames = frames.bit_length() - 1
    if not isinstance(frames, int) or not isinstance(compensate, int | float):
        frames = 0
    if not 1 <= frames <= LARGEST_POWER:
        raise ModelError(
            f"cannot use the parameters of '{part.name}'",
            found=f"dim_t {said.get('dim_t', file.get('mdx_dim_t_set'))!r}, compensate {compensate!r}",
            expected="a power of two or its exponent, from 1 to 16, and a gain",
        )
    return Parameters(part.name, num_fft, frames, float(compensate), target.lower())


class _Walk:
    """The layers of a graph, each with the norm after it, if any."""

    def __init__(self, part: CheckpointPart) -> None:
        self.part = part
        self.layers: list[tuple[GraphNode, GraphNode | None]] = []
        for node in part.nodes:
            if node.operation in LAYERS:
                self.layers.append((node, None))
            elif node.operation == NORM and self.layers and self.layers[-1][1] is None:
                self.layers[-1] = (self.layers[-1][0], node)

    def _fail(self, found: str, expected: str) -> ModelError:
        return ModelError(f"'{self.part.name}' is not a supported MDX-Net", found=found, expected=expected)

    def tensor(self, node: GraphNode, index: int) -> Tensor:
        """A stored input of a node."""
        name = node.inputs[index] if index < len(node.inputs) else ""
        if name not in self.part.tensors:
            raise self._fail(f"{node.operation} {node.name} without input {index}", "a stored tensor")
        return self.part.tensors[name]

    def shapes(self) -> dict[str, Any]:
        """Settings inferred from the shapes."""
        kinds = [layer.operation for layer, _ in self.layers]
        if len(kinds) < 8 or "MatMul" not in kinds:
            raise self._fail(f"{len(kinds)} layers", "a U-Net of convolutions and layers across frequency")
        first_across = kinds.index("MatMul")
        first = self.tensor(self.layers[0][0], 1).shape
        across = self.tensor(self.layers[first_across][0], 1).shape
        return {
            "num_channels": max(1, first[1] // 2),
            "growth": first[0],
            "num_stages": kinds.count("ConvTranspose"),
            "num_convolutions": first_across - 1,
            "num_bins": across[0],
            "bottleneck": max(1, across[0] // max(1, across[1])),
        }

    def weights(self, config: MDXNetConfig) -> dict[str, Tensor]:
        """Weights by their names in our net."""
        layers = iter(self.layers)
        weights: dict[str, Tensor] = {}
        for name, kind in _names(config):
            try:
                node, norm = next(layers)
            except StopIteration:
                raise self._fail(f"{len(self.layers)} layers", f"more, for {name}") from None
            if node.operation != kind:
                raise self._fail(f"{node.operation} {node.name}", f"{kind} for {name}")
            layer = name if name == "net.last" else f"{name}.0"
            weight = self.tensor(node, 1)
            weights[f"{layer}.weight"] = weight.T.contiguous() if kind == "MatMul" else weight
            channels = weight.shape[1] if kind == "ConvTranspose" else weight.shape[0]
            if kind != "MatMul":
                stored = len(node.inputs) > 2
                weights[f"{layer}.bias"] = self.tensor(node, 2) if stored else torch.zeros(channels)
            if name != "net.last":
                weights |= self._norm(f"{name}.1", norm, channels, kind)
        if next(layers, None) is not None:
            raise self._fail(f"{len(self.layers)} layers", "fewer")
        return weights

    def _norm(self, name: str, norm: GraphNode | None, channels: int, kind: str) -> Mapping[str, Tensor]:
        if norm is not None:
            parts = [self.tensor(norm, index) for index in range(1, 5)]
        elif kind == "MatMul":
            raise self._fail(f"a layer across frequency without a norm for {name}", NORM)
        else:
            # The norm was folded into the convolution: make ours an identity.
            ones = torch.ones(channels)
            parts = [ones, torch.zeros(channels), torch.zeros(channels), ones - EPSILON]
        keys = ("weight", "bias", "running_mean", "running_var")
        return {f"{name}.{key}": part for key, part in zip(keys, parts, strict=True)} | {
            f"{name}.num_batches_tracked": torch.tensor(0)
        }


def _names(config: MDXNetConfig) -> Iterator[tuple[str, str]]:
    """Names of our layers in the order of computation, and the operation of each."""

    def stage(name: str) -> Iterator[tuple[str, str]]:
        for index in range(config.num_convolutions):
            yield f"net.{name}.convolutions.{index}", "Conv"
        yield f"net.{name}.across.0", "MatMul"
        yield f"net.{name}.across.1", "MatMul"

    yield "net.first", "Conv"
    for index in range(config.num_stages):
        yield from stage(f"encoder.{index}")
        yield f"net.down.{index}", "Conv"
    yield from stage("bottom")
    for index in range(config.num_stages):
        yield f"net.up.{index}", "ConvTranspose"
        yield from stage(f"decoder.{index}")
    yield "net.last", "Conv"


READER = MDXNetReader()
