"""Models as the user gives them: a folder or a pretrained name. Does not import torch."""

from pathlib import Path

from auralflow.config import FORMAT_VERSION, ModelConfig, read_settings
from auralflow.config.base import suggestion
from auralflow.errors import ModelError, NotFoundError, SettingsError
from auralflow.models.card import MODEL_FILE
from auralflow.models.registry import Registry, installed_registry
from auralflow.nets.families import all_nets, parse_model_config

__all__ = ["DEFAULT_MODEL", "check_model", "is_model", "is_pretrained", "read_model_config"]

DEFAULT_MODEL = "SpectrogramNetSimple"
"""The default model for separation, whose weights are part of the package."""


def is_pretrained(model: str | Path, registry: Registry | None = None) -> bool:
    """Whether a string is the name of a pretrained model. An existing path takes precedence over a name.

    Args:
        model: A model folder or a name.
        registry: The pretrained models. Default: the installed ones.
    """
    names = (registry or installed_registry()).all_names
    return str(model) in (*names, *(net.name for _, net in all_nets())) and not Path(model).exists()


def is_model(word: str | Path, registry: Registry | None = None) -> bool:
    """Whether an argument is a model rather than a song: a folder with a ``model.json``, or a name.

    Args:
        word: The argument. An existing path takes precedence over a name.
        registry: The pretrained models. Default: the installed ones.

    Example:
        >>> is_model("SpectrogramNetSimple"), is_model("song.mp3")
        (True, False)
    """
    return (Path(word) / MODEL_FILE).is_file() or is_pretrained(word, registry)


def check_model(model: str | Path, registry: Registry | None = None) -> None:
    """Check that a model exists, before anything slow is imported.

    Args:
        model: A model folder or a pretrained name.
        registry: The pretrained models. Default: the installed ones.

    Raises:
        NotFoundError: If it is neither.
    """
    registry = registry or installed_registry()
    if not is_pretrained(model, registry) and not Path(model).exists():
        raise NotFoundError(
            f"no model '{model}'{suggestion(str(model), registry.all_names)}",
            expected="a model folder, or a name listed by auralflow models",
            advice="Create one with: auralflow config",
        )


def read_model_config(folder: str | Path, *, trust_code: bool | str = False) -> ModelConfig:
    """Read the settings of a model folder.

    Args:
        folder: A folder with a ``model.json``.
        trust_code: Name of a family of nets from another package whose code may run, or True for any family.
            Default: False.

    Returns:
        The settings.

    Raises:
        UsageError: If the model needs code from another package that is not trusted.
        NotFoundError: If the folder or its ``model.json`` does not exist.
        ModelError: If ``model.json`` is invalid or has a newer format.
    """
    folder = Path(folder)
    path = folder / MODEL_FILE
    if not folder.is_dir():
        raise NotFoundError(
            f"no model '{folder}'",
            expected="a model folder",
            advice="Create one with: auralflow config",
        )
    if not path.is_file():
        raise NotFoundError(
            f"'{folder}' is not a model folder: it has no {MODEL_FILE}",
            advice="Create one with: auralflow config",
        )
    try:
        return _parse_model_config(path, trust_code)
    except SettingsError as error:
        # Not a usage error: the request was fine, but the folder is not.
        raise ModelError(str(error)) from None


def _parse_model_config(path: Path, trust_code: bool | str) -> ModelConfig:
    values = read_settings(path)
    version = values.get("format_version")
    if version != FORMAT_VERSION:
        raise SettingsError(
            f"cannot use '{path}'",
            found=f"format version {version!r}",
            expected=str(FORMAT_VERSION),
            advice="It is invalid or was written by another version of auralflow.",
        )
    return parse_model_config(values, source=str(path), trust_code=trust_code)
