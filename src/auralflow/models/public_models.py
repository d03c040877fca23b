"""Public models: downloaded once, verified, converted and cached. Does not import torch by itself."""

import logging
import shutil
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from auralflow.config import parse_settings, read_settings
from auralflow.errors import AuralflowError, ModelError
from auralflow.models.card import CARD_FILE, MODEL_FILE, WEIGHTS_FILE
from auralflow.models.download import Wanted, download
from auralflow.models.origin import CONVERTER_VERSION, OriginCard
from auralflow.models.public_card import PublicCard, RemoteFile
from auralflow.models.turns import turn
from auralflow.models.weights import Access

__all__ = ["converted_folder", "fetch_public", "find_public"]

logger = logging.getLogger(__name__)
OnProgress = Callable[[int, int], None]


def converted_folder(card: PublicCard, access: Access) -> Path:
    """The folder for a converted public model, specific to its files and the version of the conversion."""
    key = sha256("".join(file.sha256 for file in card.files).encode()).hexdigest()[:8]
    return access.home / "public" / card.name / f"{key}-{CONVERTER_VERSION}"


def find_public(card: PublicCard, access: Access) -> Path | None:
    """Find the converted model on this machine.

    Args:
        card: Card of the model.
        access: Where to look.

    Returns:
        The model folder, None if it is missing or incomplete.
    """
    folder = converted_folder(card, access)
    try:
        origin = parse_settings(OriginCard, read_settings(folder / CARD_FILE))
    except AuralflowError:
        return None
    weights = Wanted(card.name, WEIGHTS_FILE, origin.size, origin.sha256)
    whole = (folder / MODEL_FILE).is_file() and weights.is_whole(folder / WEIGHTS_FILE)
    return folder if whole else None


def fetch_public(card: PublicCard, access: Access, *, on_progress: OnProgress | None = None) -> Path:
    """Return the model folder of a public model, downloading and converting it on first use.

    On first use, the licence of its weights is logged as a warning.

    Args:
        card: Card of the model.
        access: Where to look for its files.
        on_progress: Called with the number of bytes downloaded and the total.

    Returns:
        The model folder.

    Raises:
        ModelError: If its files are not available, or do not match the card.
    """
    found = find_public(card, access)
    if found:
        return found
    home = converted_folder(card, access).parent
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(
            f"cannot store {card.name} in '{home}'",
            found=error.strerror or str(error),
            advice="Set AURALFLOW_HOME to a writable folder.",
        ) from None
    try:
        with turn(home / ".converting", card.name):
            # Another process may have converted it in the meantime.
            return find_public(card, access) or _convert(card, access, home, on_progress)
    except TimeoutError as error:
        raise ModelError(
            f"cannot get {card.name}", found=str(error), advice="End it, and try again."
        ) from None


def _convert(card: PublicCard, access: Access, home: Path, on_progress: OnProgress | None) -> Path:
    originals = list(_originals(card, access, home, on_progress))
    # Imported only here, because listing models must not import torch.
    from auralflow.models.importing import convert_public  # noqa: PLC0415

    folder = converted_folder(card, access)
    # Whatever is there is damaged, or was left by a process that was killed.
    shutil.rmtree(folder, ignore_errors=True)
    convert_public(card, originals, folder)
    for path in originals:
        if path.parent == home:
            path.unlink(missing_ok=True)
    logger.warning("%s: %s Credit: %s.", card.name, card.licence.sentence, card.credit)
    return folder


def _originals(
    card: PublicCard, access: Access, home: Path, on_progress: OnProgress | None
) -> Iterator[Path]:
    before = 0
    for file in card.files:
        yield _original(card, file, access, home, _shifted(on_progress, before, card.size))
        before += file.size


def _shifted(on_progress: OnProgress | None, before: int, total: int) -> OnProgress | None:
    return on_progress and (lambda done, _: on_progress(before + done, total))


def _original(
    card: PublicCard, file: RemoteFile, access: Access, home: Path, on_progress: OnProgress | None
) -> Path:
    """A file as published: from a mirror folder, from the cache, or downloaded."""
    wanted = Wanted(card.name, file.name, file.size, file.sha256, exact=False)
    places = [folder / file.name for folder in (access.mirror_folder, home) if folder]
    for path in places:
        if wanted.is_whole(path):
            return path
    url = access.url(file.name, file.url)
    if access.offline or not url:
        damaged = [f"'{path}'" for path in places if path.exists()]
        raise ModelError(
            f"{card.name} is not on this machine",
            found=f"{', '.join(damaged)} damaged" if damaged else "",
            advice=access.advice(file.name, url, pronoun="it"),
        )
    return download(wanted, url, home, on_progress=on_progress)
