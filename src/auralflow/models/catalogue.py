"""All named models: this project's and public ones. Does not import torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from auralflow.config import LicenceTerms
from auralflow.models.card import ModelCard
from auralflow.models.origin import Licence
from auralflow.models.public_card import PublicCard
from auralflow.models.public_models import find_public
from auralflow.models.registry import Registry, installed_registry
from auralflow.models.weights import Access, find_weights

__all__ = ["NamedModel", "licence_of", "named_models"]

PERMISSIVE = ("MIT", "CC0-1.0", "CC-BY-4.0", "Apache-2.0", "BSD-3-Clause")


class NamedModel(NamedTuple):
    """A model that can be used by name.

    Attributes:
        card: Its card.
        licence: Licence of its weights.
        place: Where its weights are: ``shipped``, ``checkout``, ``mirror``, ``cache``, ``downloadable`` or
            ``not there``.
        path: Path of its weights on this machine, None if they are not here.
    """

    card: ModelCard | PublicCard
    licence: Licence
    place: str
    path: Path | None

    def to_json(self) -> dict[str, Any]:
        """The card and the place of the weights, as JSON values."""
        card = self.card
        extra = {"net": card.net} if isinstance(card, ModelCard) else {}
        return (
            card.model_dump(mode="json")
            | extra
            | {"targets": card.targets, "terms": self.licence.terms}
            | {"weights": self.place, "path": str(self.path) if self.path else None}
        )


def named_models(
    *,
    targets: Sequence[str] = (),
    terms: LicenceTerms | None = None,
    registry: Registry | None = None,
    access: Access | None = None,
) -> list[NamedModel]:
    """List the models that can be used by name, this project's first.

    Args:
        targets: Only list models that estimate all of these. Default: all models.
        terms: Only list models with this kind of licence. Default: any.
        registry: The models. Default: the installed ones.
        access: Where to look for weights. Default: from the environment.

    Returns:
        The models.

    Raises:
        ModelError: If a card is invalid.

    Example:
        >>> [model.card.name for model in named_models(targets=["piano"])]
        ['htdemucs_6s', 'spleeter-5stems']
    """
    registry, access = registry or installed_registry(), access or Access.from_environment()
    cards: list[ModelCard | PublicCard] = [*registry.cards(), *registry.public_cards()]
    licensed = [(card, licence_of(card)) for card in cards if set(targets) <= set(card.targets)]
    return [
        NamedModel(card, licence, *_place(card, registry, access))
        for card, licence in licensed
        if terms in (None, licence.terms)
    ]


def licence_of(card: ModelCard | PublicCard) -> Licence:
    """The licence of a model's weights."""
    if isinstance(card, PublicCard):
        return card.licence
    terms: LicenceTerms = "permissive" if card.licence in PERMISSIVE else "unstated"
    return Licence(name=card.licence, terms=terms, evidence="trained by this project")


def _place(card: ModelCard | PublicCard, registry: Registry, access: Access) -> tuple[str, Path | None]:
    if isinstance(card, PublicCard):
        folder = find_public(card, access)
        if folder:
            return "cache", folder
        addresses = [access.url(file.name, file.url) for file in card.files]
        folder = access.mirror_folder
        at_hand = folder and all((folder / file.name).is_file() for file in card.files)
        return ("mirror" if at_hand else "downloadable" if all(addresses) else "not there"), None
    place = find_weights(card, registry, access)
    if place:
        return place.kind, place.path
    return ("downloadable" if access.url(card.file, card.url) else "not there"), None
