"""What a published checkpoint holds, whatever the format of its files, and how a family of nets reads one.

Readers of files (`auralflow.models.reading`) make a `Checkpoint` of what they find and know no net. Each
family has a `CheckpointReader`, which knows no file format: it recognises its own by names and shapes of
tensors, and makes settings and weights of it.
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
    """A file as it was given.

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
        operation: Its kind, such as ``Conv``.
        name: Its name; may be empty.
        inputs: Names of its inputs: other operations' outputs, or tensors of the checkpoint.
        outputs: Names of its outputs.
        attributes: Numbers and tuples of numbers by name; other attributes are left out.
    """

    operation: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CheckpointPart:
    """What one file of weights holds. A TensorFlow bundle counts as one file.

    Attributes:
        name: Name of the file without its ending, such as ``vocals-b62c91ce``.
        format: How it was stored.
        tensors: The weights by name, as they are stored; wrappers such as ``state_dict`` or a leading
            ``model.`` on every name are already gone.
        class_name: The class that the file names, such as ``demucs.htdemucs.HTDemucs``; else empty. It is a
            name: no such class is looked up or called.
        args: Positional arguments of that class.
        kwargs: Its keyword arguments; for PyTorch Lightning, the hyper-parameters.
        nodes: The graph of an ONNX file.
        file_md5: MD5 of the last 10,240,000 bytes, by which tables of MDX-Net models are keyed.
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
        """Shape of a tensor, None if there is none of this name."""
        tensor = self.tensors.get(name)
        return None if tensor is None else tuple(tensor.shape)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What was given to be imported.

    Attributes:
        parts: The files of weights, in the order they were given; those of an archive by name. Open-Unmix has
            one for each target, a bag one for each member, most others a single one.
        settings: What the YAML or JSON file beside the weights says; empty where there is none.
        settings_file: Name of that file, or empty.
        given: What the user says of the weights that no file says, as far as the reader's ``parameters``
            name it.
        sources: The files as they were given.
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
                found=f"{len(self.parts)} files of weights: {', '.join(part.name for part in self.parts)}",
                expected="one",
            )
        return self.parts[0]


@dataclass(frozen=True)
class Conversion:
    """A checkpoint in this package's terms.

    Attributes:
        config: Settings of the model.
        weights: Its weights by the names of the model's state dict.
    """

    config: ModelConfig
    weights: Mapping[str, Tensor]


class CheckpointReader(Protocol):
    """How a family reads what others have published.

    A reader of weights that leave something open may have ``parameters``: a set of names, of which a user may
    give values.
    """

    def recognizes(self, checkpoint: Checkpoint) -> bool:
        """Whether this is a checkpoint of the family, told from names and shapes alone; never raises."""
        ...

    def convert(self, checkpoint: Checkpoint, targets: tuple[str, ...] = ()) -> Conversion:
        """Make settings and weights of a checkpoint that the reader has recognised.

        Settings follow from the shapes where no file of settings is given. Whether the weights fit the
        settings is checked by the caller.

        Args:
            checkpoint: The checkpoint.
            targets: What the model estimates, in the order of its outputs. Default: what the checkpoint or
                the names of its files say.

        Raises:
            ModelError: If the checkpoint contradicts itself, or says nowhere what it estimates.
        """
        ...
