"""The contents of published checkpoints, independent of file formats, and how families of nets read them.

File readers (`auralflow.models.reading`) create a `Checkpoint`, whatever the net. Each family has a
`CheckpointReader`, whatever the file format: it recognises the checkpoints of its family by the names and
shapes of tensors, and converts them to settings and weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from torch import Tensor

from auralflow.config import ModelConfig
from auralflow.errors import ModelError

__all__ = [
    "Checkpoint",
    "CheckpointPart",
    "CheckpointReader",
    "Conversion",
    "FileFormat",
    "GraphNode",
    "SourceFile",
]

FileFormat = Literal["pytorch", "safetensors", "tensorflow", "onnx"]


@dataclass(frozen=True)
class SourceFile:
    """A given file.

    Attributes:
        name: Its name, without the folder.
        size: Its size in bytes.
        sha256: SHA-256 of its content.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class GraphNode:
    """One operation of an ONNX graph, in the order of computation.

    Attributes:
        operation: Type of the operation, such as ``Conv``.
        name: Its name, which may be empty.
        inputs: Names of its inputs: outputs of other operations, or tensors of the checkpoint.
        outputs: Names of its outputs.
        attributes: Attributes by name; only numbers and tuples of numbers.
    """

    operation: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CheckpointPart:
    """The contents of one weights file. A TensorFlow bundle counts as one file.

    Attributes:
        name: Name of the file without its extension, such as ``vocals-b62c91ce``.
        format: Format of the file.
        tensors: The stored weights by name, without wrappers such as ``state_dict`` or a prefix ``model.`` of
            all names.
        class_name: The class named in the file, such as ``demucs.htdemucs.HTDemucs``, or empty. It is only a
            name: the class is neither looked up nor called.
        args: Positional arguments of the class.
        kwargs: Keyword arguments of the class; for PyTorch Lightning, the hyper-parameters.
        nodes: The graph of an ONNX file.
        file_md5: MD5 of the last 10,240,000 bytes, the key in tables of MDX-Net models.
    """

    name: str
    format: FileFormat
    tensors: Mapping[str, Tensor]
    class_name: str = ""
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    nodes: tuple[GraphNode, ...] = ()
    file_md5: str = ""

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Shape of a tensor, None if it does not exist."""
        tensor = self.tensors.get(name)
        return None if tensor is None else tuple(tensor.shape)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The contents of all files given for an import.

    Attributes:
        parts: The weights files, in the given order; those in an archive sorted by name. Open-Unmix has one
            for each target, a bag one for each member, most others a single one.
        settings: Content of the YAML or JSON file published with the weights; empty if there is none.
        settings_file: Name of that file, or empty.
        given: Values given by the user for whatever the files do not state; only names in the reader's
            ``parameters``.
        sources: The given files.
    """

    parts: tuple[CheckpointPart, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    settings_file: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)
    sources: tuple[SourceFile, ...] = ()

    @property
    def only(self) -> CheckpointPart:
        """The only part.

        Raises:
            ModelError: If there are several.
        """
        if len(self.parts) != 1:
            raise ModelError(
                "cannot import these files as one model",
                found=f"{len(self.parts)} weights files: {', '.join(part.name for part in self.parts)}",
                expected="one",
            )
        return self.parts[0]


@dataclass(frozen=True)
class Conversion:
    """A converted checkpoint.

    Attributes:
        config: Settings of the model.
        weights: Weights by their names in the model's state dict.
    """

    config: ModelConfig
    weights: Mapping[str, Tensor]


class CheckpointReader(Protocol):
    """Reads published checkpoints of a family.

    If the files do not state everything, a reader can have ``parameters``: a set of names for which the user
    can give values.
    """

    def recognizes(self, checkpoint: Checkpoint) -> bool:
        """Whether this is a checkpoint of the family, judging by names and shapes only; never raises."""
        ...

    def convert(self, checkpoint: Checkpoint, targets: tuple[str, ...] = ()) -> Conversion:
        """Convert a checkpoint that the reader has recognised to settings and weights.

        Settings are inferred from shapes if there is no settings file. The caller checks whether the weights
        match the settings.

        Args:
            checkpoint: The checkpoint.
            targets: Targets of the model, in the order of its outputs. Default: as stated in the checkpoint
                or in the names of its files.

        Returns:
            The settings and weights.

        Raises:
            ModelError: If the checkpoint contradicts itself, or does not state its targets.
        """
        ...
