"""The registry of pretrained models: a folder with a card for each. Does not import torch."""

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
"""Installed cards, and the weights bundled with the package."""
PUBLIC_FOLDER = Path(__file__).parent / "public"
"""Cards of public models, without their weights."""
CHECKOUT_FOLDER = "pretrained"
"""Folder in a checkout of the repository for weights that are too large for the package."""
SHIPPED_WEIGHTS = "weights.safetensors"


class Registry:
    """The pretrained models in a folder, as ``<name>/card.json``, optionally with weights beside the card.

    Args:
        folder: The folder.
        checkout: Another folder with weights files. Default: none.
        public: A folder with cards of public models, ``<name>.json``. Default: none.

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

        Returns:
            The card.

        Raises:
            NotFoundError: If the model does not exist.
            ModelError: If its card is invalid.
        """
        if name not in self.names:
            raise self._missing(name)
        return ModelCard.read(self.folder / name / CARD_FILE)

    def cards(self) -> list[ModelCard]:
        """Read all cards.

        Raises:
            ModelError: If a card is invalid.
        """
        return [self.card(name) for name in self.names]

    @property
    def public_names(self) -> tuple[str, ...]:
        """Names of the public models of installed families, in alphabetical order."""
        return tuple(card.name for card in self.public_cards())

    @property
    def all_names(self) -> tuple[str, ...]:
        """All names that commands accept: this project's models, then public ones."""
        return (*self.names, *self.public_names)

    def public_cards(self) -> list[PublicCard]:
        """Read the cards of all public models of installed families.

        Raises:
            ModelError: If a card is invalid.
        """
        cards = [PublicCard.read(path) for path in sorted(self.public.glob("*.json"))] if self.public else []
        return [card for card in cards if card.family in FAMILIES]

    def public_card(self, name: str) -> PublicCard | None:
        """The card of a public model, None if it does not exist."""
        return next((card for card in self.public_cards() if card.name == name), None)

    def recognize(self, hashes: Iterable[str]) -> PublicCard | None:
        """Find the public model that some files belong to.

        Args:
            hashes: SHA-256 of the files.

        Returns:
            The card of the model, None if it is unknown.
        """
        known = list(hashes)
        return next((c for c in self.public_cards() if any(map(c.knows, known))), None)

    def find_folder(self, name: str) -> Path | None:
        """The folder of a model's card, None if the model does not exist."""
        return self.folder / name if name in self.names else None

    def _missing(self, name: str) -> NotFoundError:
        if any(name == net.name for _, net in all_nets()):
            return NotFoundError(
                f"there is no pretrained {name} in this installation",
                found=", ".join(self.names),
                advice=f"Train one: auralflow config {name} --save my_model ..., then auralflow train.",
            )
        return NotFoundError(
            f"no pretrained model {name!r}{suggestion(name, self.all_names)}",
            expected=", ".join(self.all_names),
            advice="See: auralflow models",
        )


def installed_registry() -> Registry:
    """The pretrained models of this installation.

    Example:
        >>> "SpectrogramNetSimple" in installed_registry().names
        True
    """
    root = PACKAGE_FOLDER.parents[3]
    # A regular installation is in site-packages, without the rest of the repository.
    checkout = root if (root / "pyproject.toml").is_file() else _installed_from()
    return Registry(PACKAGE_FOLDER, checkout / CHECKOUT_FOLDER if checkout else None, PUBLIC_FOLDER)


def _installed_from() -> Path | None:
    """The source folder, if this was installed with ``pip install FOLDER``; recorded by PEP 610."""
    try:
        noted = metadata.distribution("auralflow").read_text("direct_url.json")
        address = urlsplit(json.loads(noted or "{}").get("url", ""))
    except (metadata.PackageNotFoundError, ValueError, AttributeError):
        return None
    return Path(url2pathname(address.path)) if address.scheme == "file" else None
