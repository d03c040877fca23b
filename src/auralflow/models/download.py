"""Downloading weights: verified before they get their name, tried again, one at a time."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pooch
from filelock import FileLock
from requests import RequestException, Response

from auralflow.errors import ModelError
from auralflow.models.card import ModelCard

__all__ = ["download"]

RETRIES = 2
TIMEOUT = 30.0
"""Seconds without a single byte after which a connection counts as lost."""
BLOCK = 1 << 16
READABLE = 0o444
TEMPORARY_FILES = "tmp*"
"""What pooch calls a file under way."""


class _Meter:
    """What pooch takes for a progress bar. It also stops a server that sends more than there is."""

    def __init__(self, size: int, on_progress: Callable[[int, int], None]) -> None:
        self.size = size
        self.done = 0
        self.on_progress = on_progress

    @property
    def total(self) -> int:
        """What the server announced is not asked for: the card knows."""
        return self.size

    @total.setter
    def total(self, announced: int) -> None:
        # Set when an attempt begins, also a second one: the only sign of it.
        self.done = 0

    def update(self, count: int) -> None:
        """Count bytes; pooch gives whole blocks, also for the last one."""
        self.done += count
        if self.done >= self.size + count:
            raise ValueError(f"more than the {self.size} bytes that were expected")
        self.on_progress(min(self.done, self.size), self.size)

    def reset(self) -> None:
        """Begin again."""
        self.done = 0

    def close(self) -> None:
        """Nothing is held open."""


def download(
    card: ModelCard,
    url: str,
    folder: Path,
    *,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Path:
    """Download weights to a folder.

    Of several processes one downloads and the others wait. A file that is there but damaged is replaced.

    Args:
        card: The model's card.
        url: Address of the weights.
        folder: The folder, of this model alone.
        on_progress: Is told the bytes that have come, and how many there are.

    Returns:
        The file.

    Raises:
        ModelError: If it cannot be downloaded, or is not what the card says.
    """
    pooch.get_logger().setLevel("ERROR")
    store = pooch.create(
        path=folder,
        base_url="",
        registry={card.file: f"sha256:{card.sha256}"},
        urls={card.file: url},
        retry_if_failed=RETRIES,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            for leftover in folder.glob(TEMPORARY_FILES):
                leftover.unlink()
            meter = _Meter(card.size, on_progress)
            path = Path(store.fetch(card.file, downloader=partial(_get, meter=meter)))
            # pooch makes files that only their owner can read, and a cache may be shared.
            path.chmod(path.stat().st_mode | READABLE)
            return path
    except (RequestException, ValueError) as error:
        raise ModelError(
            f"cannot download the weights of {card.name} from {url}",
            found=_in_short(error),
            advice="Check the network, or set AURALFLOW_MIRROR to a folder or URL that has them.",
        ) from None
    except OSError as error:
        raise ModelError(
            f"cannot store the weights of {card.name} in '{folder}'",
            found=error.strerror or str(error),
            advice="Set AURALFLOW_HOME to a folder that can be written to.",
        ) from None


def _get(url: str, file: str, store: pooch.Pooch, *, meter: _Meter) -> None:
    answers: list[Response] = []
    get = pooch.HTTPDownloader(
        timeout=TIMEOUT,
        progressbar=meter,
        chunk_size=BLOCK,
        hooks={"response": lambda answer, *_, **__: answers.append(answer)},
    )
    try:
        get(url, file, store)
    finally:
        # Left open by an attempt that fails.
        for answer in answers:
            answer.close()


def _in_short(error: Exception) -> str:
    if isinstance(error, RequestException):
        response = error.response
        if response is not None:
            return f"HTTP status {response.status_code}"
        return f"a connection that failed or broke off ({type(error).__name__})"
    return "other bytes than the card of the model says" if "hash" in str(error) else str(error)
