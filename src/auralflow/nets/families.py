"""Which families of nets there are. Loads no torch.

A family is a folder beside this file, and a line in `FAMILIES`. Its package holds a `Family` and loads no
torch either; the nets themselves are loaded when a model is made.
"""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from auralflow.config import DEFAULT_FAMILY, ModelConfig, parse_settings
from auralflow.config.base import suggestion
from auralflow.errors import SettingsError
from auralflow.nets.strangers import entry_points, load_stranger

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
"""By name, where the `Family` is: ``module:object``."""


@dataclass(frozen=True)
class Net:
    """An architecture, as ``auralflow config NAME`` makes it.

    Attributes:
        name: Its name, which no other net has.
        settings: The class of its settings.
        summary: What it is, in a few words.
        presets: Settings that differ from the defaults of the class.
        composed: Whether it is made of other models, and so by ``auralflow ensemble``.
    """

    name: str
    settings: type[ModelConfig]
    summary: str = ""
    presets: Mapping[str, Any] = field(default_factory=dict)
    composed: bool = False


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of nets: what is known about it without loading it.

    Attributes:
        name: What ``model.json`` calls it.
        title: What it is, in a few words.
        nets: Its nets.
        model: ``module:class`` of its `SeparationModel`, which is made from the settings alone.
        reader: ``module:function`` that reads the checkpoints of others, None where there are none.
        citation: Whom to cite.
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
        """Make a model with fresh weights."""
        model: SeparationModel = load_object(self.model)(config)
        return model


def load_object(place: str) -> Any:
    """Import what ``module:name`` says."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def find_family(name: str, *, trust_code: bool | str = False) -> Family:
    """A family by its name.

    Args:
        name: One of `FAMILIES`; or, for a family of an installed package, ``module:object`` or the name of
            an entry point of the group ``auralflow.nets``.
        trust_code: The name of the family whose code may run, or whether that of any may. auralflow's own
            families need no trust.

    Raises:
        SettingsError: If there is no such family.
        UsageError: If it is not auralflow's own, and its code may not run.

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
    stranger = load_stranger(name, trust_code=trust_code)
    if not isinstance(stranger, Family):
        found = type(stranger).__name__
        raise SettingsError(f"{name!r} is no family of nets", found=found, expected="a Family")
    return replace(stranger, name=name)


def all_nets() -> Iterator[tuple[Family, Net]]:
    """Every net of every family that settings alone can make, in the order of the table.

    Example:
        >>> [net.name for family, net in all_nets() if family.name == "unet"]
        ['SpectrogramNetSimple', 'SpectrogramNetLSTM', 'SpectrogramNetVAE']
    """
    for name in FAMILIES:
        family = find_family(name)
        yield from ((family, net) for net in family.nets if not net.composed)


def find_net(name: str) -> tuple[Family, Net]:
    """A net of any family by its name.

    Raises:
        SettingsError: If there is no such net.
    """
    known = {net.name: (family, net) for family, net in all_nets()}
    if name not in known:
        raise SettingsError(f"unknown net {name!r}{suggestion(name, list(known))}", expected=", ".join(known))
    return known[name]


def settings_of_net(name: str) -> type[ModelConfig]:
    """The class of a net's settings.

    Raises:
        SettingsError: If there is no such net.

    Example:
        >>> settings_of_net("SpectrogramNetVAE").__name__
        'RecurrentNetConfig'
    """
    return find_net(name)[1].settings


def parse_model_config(
    values: Mapping[str, Any], *, source: str = "", trust_code: bool | str = False
) -> ModelConfig:
    """Check the values of a ``model.json`` against the settings of their net.

    Args:
        values: Setting names and values.
        source: File that they come from, for messages.
        trust_code: See `find_family`.

    Raises:
        SettingsError: If the family or the net is unknown, or a setting is unknown or out of range.
        UsageError: If the family is not auralflow's own, and its code may not run.

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
    """Make a model with fresh weights.

    Args:
        config: Settings of the model, whose family says what it is.

    Example:
        >>> from auralflow.nets.unet import SpectrogramNetConfig
        >>> create_model(SpectrogramNetConfig(num_hidden_channels=2)).targets
        ('vocals',)
    """
    # Settings of a class of its own are there only because the code of their family is.
    return find_family(config.family, trust_code=type(config) is not ModelConfig).create(config)
