"""Weights of pretrained models: in the package, in a checkout, on a mirror, in the cache, or downloaded.

Wherever they are found, they are only used if their size and SHA-256 match the card.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from safetensors import SafetensorError, safe_open

from auralflow.errors import ModelError, UsageError
from auralflow.models.card import ModelCard
from auralflow.models.registry import SHIPPED_WEIGHTS, Registry
from auralflow.storage import cache_folder, file_hash

__all__ = ["Access", "Place", "fetch_weights", "find_weights"]

TRUE, FALSE = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class Access:
    """Where to look for weights, besides the package and a checkout.

    Attributes:
        home: Folder for downloads.
        mirror: Folder with weights, or its URL, used instead of the URLs in the cards. Default: none.
        offline: Do not use the network. Default: False.

    Example:
        >>> Access(Path("cache"), mirror="file:///srv/weights").mirror_folder.as_posix()
        '/srv/weights'
    """

    home: Path
    mirror: str = ""
    offline: bool = False

    @classmethod
    def from_environment(cls, *, offline: bool = False) -> Self:
        """Read ``AURALFLOW_HOME``, ``AURALFLOW_MIRROR`` and ``AURALFLOW_OFFLINE``.

        Args:
            offline: Do not use the network, whatever the environment says.

        Returns:
            The settings from the environment.

        Raises:
            UsageError: If a variable has an invalid value.
        """
        word = os.environ.get("AURALFLOW_OFFLINE", "").strip().lower()
        if word not in TRUE + FALSE:
            raise UsageError(f"AURALFLOW_OFFLINE is {word!r}", expected="1 or 0")
        mirror = os.environ.get("AURALFLOW_MIRROR", "").strip()
        scheme = mirror.partition("://")[0] if "://" in mirror else "file"
        if scheme not in ("https", "http", "file"):
            raise UsageError(f"AURALFLOW_MIRROR is {mirror!r}", expected="a folder, or an https or file URL")
        return cls(cache_folder(), mirror, offline or word in TRUE)

    @property
    def mirror_folder(self) -> Path | None:
        """The mirror, if it is a folder."""
        if not self.mirror or self.mirror.startswith(("https://", "http://")):
            return None
        if self.mirror.startswith("file://"):
            return Path(url2pathname(urlsplit(self.mirror).path))
        return Path(self.mirror).expanduser()

    def url(self, file: str, url: str) -> str:
        """The URL to download a file from.

        Args:
            file: Its name on mirrors.
            url: Its URL if there is no mirror.

        Returns:
            The URL; empty if it cannot be downloaded.
        """
        if self.mirror:
            return "" if self.mirror_folder else f"{self.mirror.rstrip('/')}/{quote(file)}"
        return url

    def advice(self, file: str, url: str, *, pronoun: str) -> str:
        """What to do about a file that is not on this machine, in one sentence.

        Args:
            file: Its name on mirrors.
            url: The URL that it could be downloaded from; empty if there is none.
            pronoun: ``it`` or ``them``, for what the message says is missing.
        """
        if self.offline and url:
            return f"Download {pronoun} without AURALFLOW_OFFLINE or --offline."
        if self.mirror_folder:
            missing = "" if self.mirror_folder.is_dir() else " (there is no such folder)"
            return f"Put {file} into '{self.mirror_folder}'{missing}, or set AURALFLOW_MIRROR to its folder."
        return f"Set AURALFLOW_MIRROR to a folder or URL that provides {file}."

    def cache_folder(self, card: ModelCard) -> Path:
        """Folder to download a model to."""
        return self.home / "pretrained" / card.name


@dataclass(frozen=True)
class Place:
    """A file that may contain a model's weights.

    Attributes:
        kind: ``shipped``, ``checkout``, ``mirror`` or ``cache``.
        path: The file.
    """

    kind: str
    path: Path

    def is_whole(self, card: ModelCard) -> bool:
        """Whether the file exists and matches the card."""
        try:
            if self.path.stat().st_size != card.size:
                return False
            return file_hash(self.path) == card.sha256
        except OSError:
            return False


def places(card: ModelCard, registry: Registry, access: Access) -> Iterator[Place]:
    """All files on this machine that may contain a model's weights, in order of preference."""
    yield Place("shipped", registry.folder / card.name / SHIPPED_WEIGHTS)
    if registry.checkout:
        yield Place("checkout", registry.checkout / card.file)
    if access.mirror_folder:
        yield Place("mirror", access.mirror_folder / card.file)
    yield Place("cache", access.cache_folder(card) / card.file)


def find_weights(card: ModelCard, registry: Registry, access: Access) -> Place | None:
    """Find a model's weights without using the network.

    Args:
        card: The model's card.
        registry: The registry that the card comes from.
        access: Where else to look.

    Returns:
        The place of the verified file, None if there is none.

    Example:
        >>> from auralflow.models import installed_registry
        >>> registry = installed_registry()
        >>> card = registry.card("SpectrogramNetSimple")
        >>> find_weights(card, registry, Access.from_environment()).kind
        'shipped'
    """
    return next((place for place in places(card, registry, access) if place.is_whole(card)), None)


def fetch_weights(
    card: ModelCard,
    registry: Registry,
    access: Access,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Find a model's weights, or download them to the cache.

    Args:
        card: The model's card.
        registry: The registry that the card comes from.
        access: Where else to look.
        on_progress: Called with the number of bytes downloaded and the total.

    Returns:
        Path of the verified file.

    Raises:
        ModelError: If the weights cannot be found or downloaded, or are not a safetensors file.
    """
    place = find_weights(card, registry, access)
    path = place.path if place else _download(card, registry, access, on_progress)
    try:
        with safe_open(path, framework="numpy"):
            return path
    except SafetensorError:
        raise ModelError(
            f"the weights of {card.name} were rejected",
            found=f"'{path}', which is not a safetensors file",
            expected="safetensors, which cannot run code",
        ) from None


def _download(
    card: ModelCard, registry: Registry, access: Access, on_progress: Callable[[int, int], None] | None
) -> Path:
    url = access.url(card.file, card.url)
    if access.offline or not url:
        damaged = [f"'{place.path}'" for place in places(card, registry, access) if place.path.exists()]
        raise ModelError(
            f"the weights of {card.name} are not on this machine",
            found=f"{', '.join(damaged)} damaged" if damaged else "",
            advice=access.advice(card.file, url, pronoun="them"),
        )
    # Imported only here, because nothing but downloads needs it.
    from auralflow.models.download import Wanted, download  # noqa: PLC0415

    wanted = Wanted(card.name, card.file, card.size, card.sha256)
    return download(wanted, url, access.cache_folder(card), on_progress=on_progress)
