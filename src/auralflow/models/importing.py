"""From published files to a model folder: read, recognise, convert, check, write."""

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
"""Families of separators by names of their tensors, to name what cannot be imported."""


class Imported(NamedTuple):
    """A model that was imported.

    Attributes:
        config: Its settings.
        family: Whose net it is.
        card: Where it comes from.
        previous: The folder that an earlier model was moved to, if there was one.
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
    """Make a model folder of files that others have published.

    Args:
        files: Files of weights, archives of them or folders with them; the YAML or JSON that was published
            beside them may be among them.
        folder: Folder of the new model.
        settings: That YAML or JSON.
        family: Family of nets. Default: what the weights look like.
        targets: What the model estimates, in the order of its outputs. Default: what the files say.
        parameters: What no file says of the weights, such as ``{"n_fft": 6144, "stem": "vocals"}`` of an
            MDX-Net or ``{"hop_length": 441}`` of a RoFormer; see `ImportModelConfig`.
        force: Replace the model of a folder that holds one. Its files move to ``previous-<time>/``.
        registry: Public models, by whose hashes the licence is known. Default: those that are installed.

    Raises:
        NotFoundError: If a file does not exist.
        UsageError: If the folder already holds a model, or the family is not known.
        ModelError: If the files are damaged, would run code, or are of no family that is known; or if weights
            and settings contradict each other.
    """
    paths, folder = [Path(file) for file in files], Path(folder)
    if not paths:
        raise UsageError("no file was given", expected="one or more files of weights")
    checkpoint = read_checkpoint(paths, settings=Path(settings) if settings else None)
    owner, reader = recognize(checkpoint, family)
    checkpoint = replace(checkpoint, given=_checked(parameters or {}, owner, reader))
    conversion = convert(checkpoint, reader, targets)
    known = (registry or installed_registry()).recognize(file.sha256 for file in checkpoint.sources)
    card, previous = _write(folder, checkpoint, conversion, known=known, force=force)
    return Imported(conversion.config, owner, card, previous)


def _checked(parameters: Mapping[str, Any], owner: Family, reader: CheckpointReader) -> Mapping[str, Any]:
    """The parameters, all of which the family asks for."""
    asked: frozenset[str] = getattr(reader, "parameters", frozenset())
    for name in parameters:
        if name not in asked:
            raise UsageError(
                f"{option_name(name)} is not for these weights",
                found=owner.title,
                expected=f"no more than {', '.join(map(option_name, sorted(asked)))}" if asked else "",
                advice="Leave it out."
                if asked
                else "Leave it out: the weights, or --config, say all there is.",
            )
    return parameters


def convert_public(card: PublicCard, files: Sequence[Path], folder: Path) -> None:
    """Make a model folder of the files of a public model, which were verified before.

    Args:
        card: Its card.
        files: Its files.
        folder: The new folder.

    Raises:
        ModelError: If the files are not what the card says.
    """
    checkpoint = read_checkpoint(files)
    if card.settings:
        checkpoint = replace(checkpoint, settings=card.settings, settings_file=f"card of {card.name}")
    _, reader = recognize(checkpoint, card.family)
    conversion = convert(checkpoint, reader, card.targets)
    if set(conversion.config.targets) != set(card.targets):
        raise ModelError(
            f"the files of {card.name} are not what its card says",
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
    """The family whose checkpoint this is.

    Args:
        checkpoint: The checkpoint.
        family: Its name, to skip the others.

    Raises:
        UsageError: If the named family is not known or reads no checkpoints.
        ModelError: If none recognises it, or several do.
    """
    names = [family] if family else list(FAMILIES)
    readers = find_readers(names)
    if family and not readers:
        raise SettingsError(f"--family is {family}", found="a family that reads no checkpoints of others")
    found = recognizing(checkpoint, readers)
    if len(found) == 1:
        return readers[found[0]]
    what = ", ".join(source.name for source in checkpoint.sources[:3])
    if found:
        raise ModelError(
            f"'{what}' is ambiguous",
            found=f"what may be of {' or '.join(found)}",
            advice=f"Say which with --family {found[0]}.",
        )
    raise ModelError(
        f"cannot import '{what}'",
        found=_stranger(checkpoint),
        expected=f"a checkpoint of {', '.join(readers)}",
    )


def _stranger(checkpoint: Checkpoint) -> str:
    """What a checkpoint is that no reader recognises."""
    names = [name for part in checkpoint.parts for name in part.tensors]
    for pattern, title in STRANGERS.items():
        if any(re.search(pattern, name) for name in names):
            return f"what looks like {title}, in a form that is not known here"
    first = f", the first {names[0]}" if names else ""
    return f"{len(names)} tensors of an unknown net{first}"


def convert(checkpoint: Checkpoint, reader: CheckpointReader, targets: tuple[str, ...] = ()) -> Conversion:
    """Convert a checkpoint, and check that the result is a model.

    Args:
        checkpoint: The checkpoint.
        reader: The reader that recognised it.
        targets: What the model estimates. Default: what the files say.

    Raises:
        ModelError: If the checkpoint contradicts itself, or its weights do not fit its settings.
    """
    try:
        conversion = reader.convert(checkpoint, targets)
    except SettingsError as error:
        # What the user typed was right; what the files say is not.
        raise ModelError(str(error)) from None
    except READER_FAULTS as error:
        first = " ".join(str(error).split())[:160]
        raise ModelError(
            "these weights are not laid out as those of their family",
            found=f"{first} ({type(error).__name__})",
            advice="They are of a variant that is not known here, or incomplete.",
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
    """The card of converted weights, with what is known of the public model that they are."""
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
