"""The families of nets. Does not import torch.

A family is a folder beside this file, and a line in `FAMILIES`. Its package contains a `Family` and does not
import torch either; the nets themselves are imported when a model is created.
"""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from auralflow.config import DEFAULT_FAMILY, ModelConfig, parse_settings
from auralflow.config.base import suggestion
from auralflow.errors import SettingsError
from auralflow.nets.external import entry_points, load_external

if TYPE_CHECKING:
    from auralflow.nets.door import SeparationModel

__all__ = [
    "FAMILIES",
    "Family",
    "Net",
    "all_nets",
    "create_model",
    "find_family",
    "find_net",
    "parse_model_config",
    "settings_of_net",
]

FAMILIES: Mapping[str, str] = {
    "unet": "auralflow.nets.unet:FAMILY",
    "spleeter": "auralflow.nets.spleeter:FAMILY",
    "openunmix": "auralflow.nets.openunmix:FAMILY",
    "scnet": "auralflow.nets.scnet:FAMILY",
    "htdemucs": "auralflow.nets.htdemucs:FAMILY",
    "roformer": "auralflow.nets.roformer:FAMILY",
    "mdx23c": "auralflow.nets.mdx23c:FAMILY",
    "mdxnet": "auralflow.nets.mdxnet:FAMILY",
    "bag": "auralflow.nets.bag:FAMILY",
}
"""Location of each `Family` by name, as ``module:object``."""


@dataclass(frozen=True)
class Net:
    """An architecture, for ``auralflow config NAME``.

    Attributes:
        name: Its unique name.
        settings: The class of its settings.
        summary: A short description. Default: empty.
        presets: Settings that differ from the defaults of the class. Default: none.
        composed: Whether it is composed of other models, by ``auralflow ensemble``. Default: False.
    """

    name: str
    settings: type[ModelConfig]
    summary: str = ""
    presets: Mapping[str, Any] = field(default_factory=dict)
    composed: bool = False


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of nets: everything known about it without importing its nets.

    Attributes:
        name: Its name in ``model.json``.
        title: A short description.
        nets: Its nets.
        model: ``module:class`` of its `SeparationModel`, whose only argument is the settings.
        reader: ``module:object`` of its `CheckpointReader`. Default: none.
        citation: Publication to cite. Default: empty.
    """

    name: str
    title: str
    nets: tuple[Net, ...]
    model: str
    reader: str | None = None
    citation: str = ""

    def settings(self, net: str) -> type[ModelConfig]:
        """The class of a net's settings.

        Raises:
            SettingsError: If the family has no such net.
        """
        return self.net(net).settings

    def net(self, name: str) -> Net:
        """A net by its name.

        Raises:
            SettingsError: If the family has no such net.
        """
        for net in self.nets:
            if net.name == name:
                return net
        names = [net.name for net in self.nets]
        raise SettingsError(f"unknown net {name!r}{suggestion(name, names)}", expected=", ".join(names))

    def create(self, config: ModelConfig) -> "SeparationModel":
        """Create a model with random weights."""
        model: SeparationModel = load_object(self.model)(config)
        return model


def load_object(place: str) -> Any:
    """Import an object given as ``module:name``."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def find_family(name: str, *, trust_code: bool | str = False) -> Family:
    """Find a family by name.

    Args:
        name: One of `FAMILIES`, or, for a family from another package, ``module:object`` or the name of an
            entry point in the group ``auralflow.nets``.
        trust_code: Name of the family whose code may run, or True for any. Only needed for families from
            other packages. Default: False.

    Returns:
        The family.

    Raises:
        SettingsError: If the family does not exist.
        UsageError: If it is from another package and not trusted.

    Example:
        >>> find_family("unet").nets[0].name
        'SpectrogramNetSimple'
    """
    if name in FAMILIES:
        family: Family = load_object(FAMILIES[name])
        return family
    known = [*FAMILIES, *entry_points()]
    if ":" not in name and name not in known:
        raise SettingsError(
            f"unknown family of nets {name!r}{suggestion(name, known)}", expected=", ".join(known)
        )
    loaded = load_external(name, trust_code=trust_code)
    if not isinstance(loaded, Family):
        found = type(loaded).__name__
        raise SettingsError(f"{name!r} is not a family of nets", found=found, expected="a Family")
    return replace(loaded, name=name)


def all_nets() -> Iterator[tuple[Family, Net]]:
    """All nets of all families, in the order of the table, except those composed of other models.

    Example:
        >>> [net.name for family, net in all_nets() if family.name == "unet"]
        ['SpectrogramNetSimple', 'SpectrogramNetLSTM', 'SpectrogramNetVAE']
    """
    for name in FAMILIES:
        family = find_family(name)
        yield from ((family, net) for net in family.nets if not net.composed)


def find_net(name: str) -> tuple[Family, Net]:
    """Find a net of any family by name.

    Raises:
        SettingsError: If the net does not exist.
    """
    known = {net.name: (family, net) for family, net in all_nets()}
    if name not in known:
        raise SettingsError(f"unknown net {name!r}{suggestion(name, list(known))}", expected=", ".join(known))
    return known[name]


def settings_of_net(name: str) -> type[ModelConfig]:
    """The class of a net's settings.

    Raises:
        SettingsError: If the net does not exist.

    Example:
        >>> settings_of_net("SpectrogramNetVAE").__name__
        'RecurrentNetConfig'
    """
    return find_net(name)[1].settings


def parse_model_config(
    values: Mapping[str, Any], *, source: str = "", trust_code: bool | str = False
) -> ModelConfig:
    """Validate the values of a ``model.json`` against the settings class of their net.

    Args:
        values: Setting names and values.
        source: The file they come from, for messages. Default: none.
        trust_code: See `find_family`. Default: False.

    Returns:
        The settings.

    Raises:
        SettingsError: If the family or the net is unknown, or a setting is unknown or out of range.
        UsageError: If the family is from another package and not trusted.

    Example:
        >>> parse_model_config({"net": "SpectrogramNetLSTM", "hidden_size": 64}).targets
        ('vocals',)
    """
    family = find_family(str(values.get("family", DEFAULT_FAMILY)), trust_code=trust_code)
    if "net" not in values:
        expected = ", ".join(net.name for net in family.nets)
        raise SettingsError(f"{source}: net is missing" if source else "net is missing", expected=expected)
    return parse_settings(family.settings(str(values["net"])), values, source=source)


def create_model(config: ModelConfig) -> "SeparationModel":
    """Create a model with random weights.

    Args:
        config: Settings of the model.

    Returns:
        The model, in training mode on the CPU.

    Example:
        >>> from auralflow.nets.unet import SpectrogramNetConfig
        >>> create_model(SpectrogramNetConfig(num_hidden_channels=2)).targets
        ('vocals',)
    """
    # If the settings have a class of another package, its code is already running.
    return find_family(config.family, trust_code=type(config) is not ModelConfig).create(config)
