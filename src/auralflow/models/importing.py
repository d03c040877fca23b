"""Imports published files into a model folder: reads, recognises, converts, checks and writes them."""

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from auralflow.config import ModelConfig, option_name
from auralflow.errors import ModelError, SettingsError, UsageError
from auralflow.models.card import WEIGHTS_FILE
from auralflow.models.fit import check_fit
from auralflow.models.folder import save_weights
from auralflow.models.origin import CONVERTER_VERSION, OriginCard, OriginFile
from auralflow.models.public_card import PublicCard
from auralflow.models.reading import read_checkpoint
from auralflow.models.registry import Registry, installed_registry
from auralflow.models.writing import ModelParts, write_model
from auralflow.nets.checkpoint import Checkpoint, CheckpointReader, Conversion
from auralflow.nets.families import FAMILIES, Family
from auralflow.nets.recognition import READER_FAULTS, find_readers, recognizing
from auralflow.storage import file_hash

__all__ = ["Imported", "convert", "convert_public", "import_model", "recognize"]

STRANGERS: Mapping[str, str] = {
    r"crosstransformer\.|^freq_emb\.embedding": "Demucs 3 or 4",
    r"^encoder\.\d+\.\d+\.conv|^lstm\.lstm\.|^decoder\.\d+\.2\.weight": "Demucs 2",
    r"band_split\.to_features": "BS-RoFormer or Mel-Band RoFormer",
    r"separation_net\.dp_modules": "SCNet",
    r"encoder_blocks\.\d+\.tfc_tdf|^encoding_blocks\.": "MDX-Net or MDX23C",
    r"band_split\.norm_fc_modules|^mask_estim": "Bandit",
    r"stg1_(low|full|high)_band_net": "a UVR VR network",
    r"^BN\.\d|^band_net": "Apollo",
    r"^masker\.|^TCN\.|^separator\.": "Conv-TasNet or another net of Asteroid",
    r"^conv2d_transpose(_\d+)?/kernel": "Spleeter",
    r"^lstm\.weight_hh_l0": "Open-Unmix",
}
"""Families of separators by the names of their tensors, to describe a file that cannot be imported."""


class Imported(NamedTuple):
    """An imported model.

    Attributes:
        config: Its settings.
        family: The family of its net.
        card: Where it comes from.
        previous: The folder that an earlier model was moved to, None if there was none.
    """

    config: ModelConfig
    family: Family
    card: OriginCard
    previous: Path | None


def import_model(
    files: Iterable[str | Path],
    folder: str | Path,
    *,
    settings: str | Path | None = None,
    family: str = "",
    targets: tuple[str, ...] = (),
    parameters: Mapping[str, Any] | None = None,
    force: bool = False,
    registry: Registry | None = None,
) -> Imported:
    """Import published files into a model folder.

    Args:
        files: Weights files, archives or folders of them, optionally with the YAML or JSON file published
            with them.
        folder: Folder for the new model.
        settings: The YAML or JSON file, if it is not among ``files``.
        family: Family of nets. Default: detected from the weights.
        targets: Targets of the model, in the order of its outputs. Default: as stated in the files.
        parameters: Whatever no file states, such as ``{"n_fft": 6144, "stem": "vocals"}`` for an MDX-Net or
            ``{"hop_length": 441}`` for a RoFormer; see `ImportModelConfig`.
        force: Replace a model in the folder, moving its files to ``previous-<time>/``. Default: False.
        registry: Public models, used to find the licence by hash. Default: the installed ones.

    Returns:
        The imported model.

    Raises:
        NotFoundError: If a file does not exist.
        UsageError: If the folder already contains a model, or the family is unknown.
        ModelError: If the files are damaged, would run code, or belong to no known family; or if weights and
            settings contradict each other.
    """
    paths, folder = [Path(file) for file in files], Path(folder)
    if not paths:
        raise UsageError("no files given", expected="one or more weights files")
    checkpoint = read_checkpoint(paths, settings=Path(settings) if settings else None)
    owner, reader = recognize(checkpoint, family)
    checkpoint = replace(checkpoint, given=_checked(parameters or {}, owner, reader))
    conversion = convert(checkpoint, reader, targets)
    known = (registry or installed_registry()).recognize(file.sha256 for file in checkpoint.sources)
    card, previous = _write(folder, checkpoint, conversion, known=known, force=force)
    return Imported(conversion.config, owner, card, previous)


def _checked(parameters: Mapping[str, Any], owner: Family, reader: CheckpointReader) -> Mapping[str, Any]:
    """Check that the family uses all of the parameters."""
    asked: frozenset[str] = getattr(reader, "parameters", frozenset())
    for name in parameters:
        if name not in asked:
            raise UsageError(
                f"{option_name(name)} does not apply to these weights",
                found=owner.title,
                expected=f"only {', '.join(map(option_name, sorted(asked)))}" if asked else "",
                advice="Leave it out."
                if asked
                else "Leave it out: the weights, or --config, contain everything needed.",
            )
    return parameters


def convert_public(card: PublicCard, files: Sequence[Path], folder: Path) -> None:
    """Convert the verified files of a public model into a model folder.

    Args:
        card: Its card.
        files: Its files.
        folder: The new folder.

    Raises:
        ModelError: If the files do not match the card.
    """
    checkpoint = read_checkpoint(files)
    if card.settings:
        checkpoint = replace(checkpoint, settings=card.settings, settings_file=f"card of {card.name}")
    _, reader = recognize(checkpoint, card.family)
    conversion = convert(checkpoint, reader, card.targets)
    if set(conversion.config.targets) != set(card.targets):
        raise ModelError(
            f"the files of {card.name} do not match its card",
            found=f"targets {', '.join(conversion.config.targets)}",
            expected=", ".join(card.targets),
        )
    _write(folder, checkpoint, conversion, known=card, origin=tuple(file.url for file in card.files))


def _write(
    folder: Path,
    checkpoint: Checkpoint,
    conversion: Conversion,
    *,
    known: PublicCard | None,
    origin: tuple[str, ...] = (),
    force: bool = False,
) -> tuple[OriginCard, Path | None]:
    with tempfile.TemporaryDirectory(prefix="auralflow-") as scratch:
        weights = Path(scratch) / WEIGHTS_FILE
        save_weights(dict(conversion.weights), weights)
        card = _origin_card(checkpoint, conversion.config, weights, known, origin)
        parts = ModelParts(conversion.config, weights, card.model_dump(mode="json"))
        return card, write_model(folder, parts, force=force)


def recognize(checkpoint: Checkpoint, family: str = "") -> tuple[Family, CheckpointReader]:
    """Find the family that a checkpoint belongs to.

    Args:
        checkpoint: The checkpoint.
        family: Name of a family, to try only that one. Default: try all.

    Returns:
        The family, and its reader for the checkpoint.

    Raises:
        UsageError: If the family is unknown or cannot read checkpoints.
        ModelError: If no family recognises the checkpoint, or several do.
    """
    names = [family] if family else list(FAMILIES)
    readers = find_readers(names)
    if family and not readers:
        raise SettingsError(f"--family is {family}", found="a family that cannot import checkpoints")
    found = recognizing(checkpoint, readers)
    if len(found) == 1:
        return readers[found[0]]
    what = ", ".join(source.name for source in checkpoint.sources[:3])
    if found:
        raise ModelError(
            f"'{what}' is ambiguous",
            found=f"weights that match {' and '.join(found)}",
            advice=f"Choose one, as in --family {found[0]}.",
        )
    raise ModelError(
        f"cannot import '{what}'",
        found=_description(checkpoint),
        expected=f"a checkpoint of {', '.join(readers)}",
    )


def _description(checkpoint: Checkpoint) -> str:
    """Describe a checkpoint that no reader recognises."""
    names = [name for part in checkpoint.parts for name in part.tensors]
    for pattern, title in STRANGERS.items():
        if any(re.search(pattern, name) for name in names):
            return f"what looks like {title}, in an unsupported form"
    first = f", the first {names[0]}" if names else ""
    return f"{len(names)} tensors of an unknown net{first}"


def convert(checkpoint: Checkpoint, reader: CheckpointReader, targets: tuple[str, ...] = ()) -> Conversion:
    """Convert a checkpoint, and check the result.

    Args:
        checkpoint: The checkpoint.
        reader: The reader that recognised it.
        targets: Targets of the model. Default: as stated in the files.

    Returns:
        The converted settings and weights.

    Raises:
        ModelError: If the checkpoint contradicts itself, or its weights do not match its settings.
    """
    try:
        conversion = reader.convert(checkpoint, targets)
    except SettingsError as error:
        # Not a usage error: the request was fine, but the files are not. No option would change that.
        file = checkpoint.settings_file
        raise ModelError(
            "cannot use the settings of " + (f"'{file}'" if file else "these weights"),
            found=str(error).replace("`", ""),
            advice="Pass the YAML file that was published with these weights." if file else "",
        ) from None
    except READER_FAULTS as error:
        first = " ".join(str(error).split())[:160]
        raise ModelError(
            "the structure of these weights does not match their family",
            found=f"{first} ({type(error).__name__})",
            advice="They are an unsupported variant, or incomplete.",
        ) from None
    source = f"'{checkpoint.settings_file}'" if checkpoint.settings_file else "its family"
    check_fit(conversion.config, conversion.weights, source=source)
    return conversion


def _origin_card(
    checkpoint: Checkpoint,
    config: ModelConfig,
    weights: Path,
    known: PublicCard | None,
    origin: tuple[str, ...],
) -> OriginCard:
    """The card of converted weights, including what is known about the public model they belong to."""
    return OriginCard(
        family=config.family,
        targets=config.targets,
        origin=origin or tuple(file.name for file in checkpoint.sources if "/" not in file.name),
        files=tuple(
            OriginFile(name=file.name, size=file.size, sha256=file.sha256) for file in checkpoint.sources
        ),
        converter=f"auralflow {metadata.version('auralflow')}",
        converter_version=CONVERTER_VERSION,
        size=weights.stat().st_size,
        sha256=file_hash(weights),
        **(known.provenance() if known else {}),
    )
