"""Weights of pretrained models: shipped, in a checkout, on a mirror, in the cache, or downloaded.

Wherever they are found, their size and SHA-256 are those of the card, or they do not count.
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
    """Where weights may come from, besides the package and a checkout.

    Attributes:
        home: Folder for what is downloaded.
        mirror: Folder with weights, or URL of one, that takes the place of the addresses in the cards.
        offline: Use the network for nothing.

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
            offline: Be offline, whatever the environment says.

        Raises:
            UsageError: If one of them cannot be used.
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
        """Where to download a file from; empty if that is nowhere.

        Args:
            file: Its name on mirrors.
            url: Its address where there is no mirror.
        """
        if self.mirror:
            return "" if self.mirror_folder else f"{self.mirror.rstrip('/')}/{quote(file)}"
        return url

    def cache_folder(self, card: ModelCard) -> Path:
        """Folder that a model is downloaded to."""
        return self.home / "pretrained" / card.name


@dataclass(frozen=True)
class Place:
    """A file that may hold a model's weights.

    Attributes:
        kind: ``shipped``, ``checkout``, ``mirror`` or ``cache``.
        path: The file.
    """

    kind: str
    path: Path

    def is_whole(self, card: ModelCard) -> bool:
        """Whether the file is there and is, byte by byte, what the card says."""
        try:
            if self.path.stat().st_size != card.size:
                return False
            return file_hash(self.path) == card.sha256
        except OSError:
            return False


def places(card: ModelCard, registry: Registry, access: Access) -> Iterator[Place]:
    """Every file of this machine that may hold a model's weights, the best first."""
    yield Place("shipped", registry.folder / card.name / SHIPPED_WEIGHTS)
    if registry.checkout:
        yield Place("checkout", registry.checkout / card.file)
    if access.mirror_folder:
        yield Place("mirror", access.mirror_folder / card.file)
    yield Place("cache", access.cache_folder(card) / card.file)


def find_weights(card: ModelCard, registry: Registry, access: Access) -> Place | None:
    """Find a model's weights without the network.

    Args:
        card: The model's card.
        registry: Where the card is from.
        access: Where else weights may be.

    Returns:
        A place with the whole file, None if there is none.
    """
    return next((place for place in places(card, registry, access) if place.is_whole(card)), None)


def fetch_weights(
    card: ModelCard,
    registry: Registry,
    access: Access,
    *,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Path:
    """Find a model's weights, or download them to the cache.

    Args:
        card: The model's card.
        registry: Where the card is from.
        access: Where else weights may come from.
        on_progress: Is told the bytes that were downloaded, and how many there are.

    Returns:
        The file, which is whole.

    Raises:
        ModelError: If the weights are nowhere, cannot be downloaded, or are no safetensors file.
    """
    place = find_weights(card, registry, access)
    path = place.path if place else _download(card, registry, access, on_progress)
    try:
        with safe_open(path, framework="numpy"):
            return path
    except SafetensorError:
        raise ModelError(
            f"the weights of {card.name} are refused",
            found=f"'{path}', which is no safetensors file",
            expected="safetensors, which cannot run code",
        ) from None


def _download(
    card: ModelCard, registry: Registry, access: Access, on_progress: Callable[[int, int], None]
) -> Path:
    url = access.url(card.file, card.url)
    if access.offline or not url:
        damaged = [f"'{place.path}'" for place in places(card, registry, access) if place.path.exists()]
        raise ModelError(
            f"the weights of {card.name} are not on this machine",
            found=f"{', '.join(damaged)} damaged" if damaged else "",
            advice=_advice(card, access, url),
        )
    # Loaded only here, for nothing but downloads needs it.
    from auralflow.models.download import Wanted, download  # noqa: PLC0415

    wanted = Wanted(card.name, card.file, card.size, card.sha256)
    return download(wanted, url, access.cache_folder(card), on_progress=on_progress)


def _advice(card: ModelCard, access: Access, url: str) -> str:
    if access.offline and url:
        return "Download them without AURALFLOW_OFFLINE or --offline."
    if access.mirror_folder:
        return f"Put {card.file} into '{access.mirror_folder}', or set AURALFLOW_MIRROR to where it is."
    return f"Set AURALFLOW_MIRROR to a folder, or the URL of one, that has {card.file}."
