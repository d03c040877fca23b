"""Which pretrained models there are: a folder with a card for each. Loads no torch."""

import json
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from auralflow.config.base import suggestion
from auralflow.errors import NotFoundError
from auralflow.models.card import CARD_FILE, ModelCard
from auralflow.models.public_card import PublicCard
from auralflow.nets.families import FAMILIES, all_nets

__all__ = ["SHIPPED_WEIGHTS", "Registry", "installed_registry"]

PACKAGE_FOLDER = Path(__file__).parent / "pretrained"
"""Where the cards, and the weights that are shipped with the package, are installed."""
PUBLIC_FOLDER = Path(__file__).parent / "public"
"""Where the cards of public models are; their weights are never in here."""
CHECKOUT_FOLDER = "pretrained"
"""Folder of a checkout of the repository with the weights that are too large for the package."""
SHIPPED_WEIGHTS = "weights.safetensors"


class Registry:
    """The pretrained models of a folder ``<name>/card.json``, where weights may lie beside a card.

    Args:
        folder: The folder.
        checkout: Another folder with files of weights, if there is one.
        public: A folder with cards of public models, ``<name>.json``.

    Example:
        >>> import tempfile
        >>> Registry(Path(tempfile.mkdtemp())).names
        ()
    """

    def __init__(self, folder: Path, checkout: Path | None = None, public: Path | None = None) -> None:
        self.folder = folder
        self.checkout = checkout
        self.public = public

    @property
    def names(self) -> tuple[str, ...]:
        """The names, from the smallest net to the largest."""
        found = {path.parent.name for path in self.folder.glob(f"*/{CARD_FILE}")}
        nets = [net.name for _, net in all_nets()]
        return (*(net for net in nets if net in found), *sorted(found.difference(nets)))

    def card(self, name: str) -> ModelCard:
        """Read the card of a model.

        Args:
            name: Its name.

        Raises:
            NotFoundError: If there is no such model.
            ModelError: If its card is broken.
        """
        if name not in self.names:
            raise self._missing(name)
        return ModelCard.read(self.folder / name / CARD_FILE)

    def cards(self) -> list[ModelCard]:
        """Read all cards.

        Raises:
            ModelError: If one is broken.
        """
        return [self.card(name) for name in self.names]

    @property
    def public_names(self) -> tuple[str, ...]:
        """Names of the public models of families that are known here, from A to Z."""
        return tuple(card.name for card in self.public_cards())

    @property
    def all_names(self) -> tuple[str, ...]:
        """The names that commands accept: those of this project's models, then those of public ones."""
        return (*self.names, *self.public_names)

    def public_cards(self) -> list[PublicCard]:
        """Read the cards of all public models of families that are known here.

        Raises:
            ModelError: If one is broken.
        """
        cards = [PublicCard.read(path) for path in sorted(self.public.glob("*.json"))] if self.public else []
        return [card for card in cards if card.family in FAMILIES]

    def public_card(self, name: str) -> PublicCard | None:
        """The card of a public model, None if there is none of this name."""
        return next((card for card in self.public_cards() if card.name == name), None)

    def recognize(self, hashes: Iterable[str]) -> PublicCard | None:
        """The public model that files belong to, None if that is not known.

        Args:
            hashes: SHA-256 of the files.
        """
        known = list(hashes)
        return next((c for c in self.public_cards() if any(map(c.knows, known))), None)

    def find_folder(self, name: str) -> Path | None:
        """The folder of a model's card, None if there is no such model."""
        return self.folder / name if name in self.names else None

    def _missing(self, name: str) -> NotFoundError:
        if any(name == net.name for _, net in all_nets()):
            return NotFoundError(
                f"this installation of auralflow has no pretrained {name}",
                found=", ".join(self.names),
                advice=f"Train one: auralflow config {name} --save my_model ..., then auralflow train.",
            )
        return NotFoundError(
            f"no pretrained model {name!r}{suggestion(name, self.all_names)}",
            expected=", ".join(self.all_names),
            advice="See: auralflow models",
        )


def installed_registry() -> Registry:
    """The pretrained models of this installation."""
    root = PACKAGE_FOLDER.parents[3]
    # Installed as a copy, the package lies in site-packages, beside nothing of the repository.
    checkout = root if (root / "pyproject.toml").is_file() else _installed_from()
    return Registry(PACKAGE_FOLDER, checkout / CHECKOUT_FOLDER if checkout else None, PUBLIC_FOLDER)


def _installed_from() -> Path | None:
    """The folder that ``pip install FOLDER`` made this installation of, which installers note (PEP 610)."""
    try:
        noted = metadata.distribution("auralflow").read_text("direct_url.json")
        address = urlsplit(json.loads(noted or "{}").get("url", ""))
    except (metadata.PackageNotFoundError, ValueError, AttributeError):
        return None
    return Path(url2pathname(address.path)) if address.scheme == "file" else None
