"""Downloading weights: verified before they get their name, tried again, one at a time, never for ever."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pooch
from filelock import FileLock, Timeout
from requests import RequestException

from auralflow.errors import ModelError
from auralflow.models.card import ModelCard
from auralflow.models.pace import Pace

__all__ = ["download"]

RETRIES = 2
TIMEOUT = 30.0
"""Seconds without a single byte after which a connection counts as lost."""
WINDOW = 60.0
LEAST = 600 << 10
"""A download goes on while at least so many bytes come in so many seconds: 10 KiB a second."""
STALLED = 3 * WINDOW
"""Seconds without progress after which a process that downloads is no longer waited for."""
BLOCK = 1 << 14
READABLE = 0o444
TEMPORARY_FILES = "tmp*"
"""What pooch calls a file under way."""

logger = logging.getLogger(__name__)


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
        on_progress: Called with the bytes that have come, and how many there are.

    Returns:
        The file.

    Raises:
        ModelError: If it cannot be downloaded, comes too slowly, or is not what the card says.
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
        with _turn(folder, card.name):
            for leftover in folder.glob(TEMPORARY_FILES):
                leftover.unlink()
            get = partial(_get, size=card.size, on_progress=on_progress)
            path = Path(store.fetch(card.file, downloader=get))
            # pooch makes files that only their owner can read, and a cache may be shared.
            path.chmod(path.stat().st_mode | READABLE)
            return path
    except TimeoutError as error:
        raise _refusal(card, url, str(error)) from None
    except (RequestException, ValueError) as error:
        raise _refusal(card, url, _in_short(error)) from None
    except OSError as error:
        raise ModelError(
            f"cannot store the weights of {card.name} in '{folder}'",
            found=error.strerror or str(error),
            advice="Set AURALFLOW_HOME to a folder that can be written to.",
        ) from None


@contextmanager
def _turn(folder: Path, name: str) -> Iterator[None]:
    """Wait until no other process downloads to the folder, as long as that one gets anywhere."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        logger.warning("another process is downloading the weights of %s: waiting for it", name)
        _wait(lock, folder)
    try:
        yield
    finally:
        lock.release()


def _wait(lock: FileLock, folder: Path) -> None:
    seen, since = _progress(folder), time.monotonic()
    while True:
        try:
            lock.acquire(timeout=min(1.0, STALLED))
        except Timeout:
            now = _progress(folder)
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > STALLED:
                raise TimeoutError(
                    f"another process that is downloading them and got nothing for {STALLED:.0f} seconds"
                ) from None
        else:
            return


def _progress(folder: Path) -> list[tuple[str, int]]:
    found = []
    for path in sorted(folder.glob(TEMPORARY_FILES)):
        try:
            found.append((path.name, path.stat().st_size))
        except FileNotFoundError:
            continue
    return found


def _get(
    url: str, file: str, _store: pooch.Pooch, *, size: int, on_progress: Callable[[int, int], None]
) -> None:
    # Weights do not get smaller when they are packed, and what is unpacked could grow without end.
    headers = {"Accept-Encoding": "identity"}
    done = 0
    with Pace(WINDOW, min(LEAST, size)) as pace, pace.session() as session, Path(file).open("wb") as target:
        try:
            with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
                answer.raise_for_status()
                for block in answer.iter_content(BLOCK):
                    done += len(block)
                    if done > size:
                        raise ValueError(f"more than the {size} bytes that were expected")
                    target.write(block)
                    target.flush()
                    pace.count(len(block))
                    on_progress(done, size)
        except RequestException:
            if not pace.lost:
                raise
        # A header that breaks off counts as a whole one, so that there need not have been an exception.
        if pace.lost and done < size:
            # Not tried again: it would be as slow.
            raise TimeoutError(f"a connection with less than {pace.least} bytes in {pace.seconds:g} seconds")


def _refusal(card: ModelCard, url: str, found: str) -> ModelError:
    return ModelError(
        f"cannot download the weights of {card.name} from {url}",
        found=found,
        advice="Check the network, or set AURALFLOW_MIRROR to a folder or URL that has them.",
    )


def _in_short(error: Exception) -> str:
    if isinstance(error, RequestException):
        response = error.response
        if response is not None:
            return f"HTTP status {response.status_code}"
        return f"a connection that failed or broke off ({type(error).__name__})"
    return "other bytes than the card of the model says" if "hash" in str(error) else str(error)
