"""Creates pretrained models, and servers that misbehave as a test requires."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import torch
from conftest import tiny_config

from auralflow.models import SHIPPED_WEIGHTS, ModelCard, Registry
from auralflow.models.folder import save_weights
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.storage import write_json

NAME = "Tiny"
FOUR = ("vocals", "drums", "bass", "other")


def make_weights(path: Path, *, seed=0, **settings) -> SpectrogramMaskModel:
    """A small model with non-trivial weights, and its file in half precision."""
    torch.manual_seed(seed)
    model = SpectrogramMaskModel(tiny_config(**{"targets": FOUR, **settings})).eval()
    half = {name: t.half() if t.is_floating_point() else t for name, t in model.state_dict().items()}
    save_weights(half, path)
    return model


def make_card(weights: Path, *, name=NAME, settings=None, **changes) -> ModelCard:
    content = weights.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    tracks = [
        {
            "track": f"Artist {number} - Song",
            "known_artist": number == 2,
            "targets": {
                t: {
                    "si_sdr": 1.0 + number,
                    "si_sdr_improvement": 3.0 + number,
                    "museval_sdr": 2.0 + number,
                    "museval_floor": -6.0 - number,
                }
                for t in FOUR
            },
        }
        for number in range(3)
    ]
    values = {
        "name": name,
        "file": f"{name}-{digest[:8]}.safetensors",
        "size": len(content),
        "sha256": digest,
        "licence": "CC0-1.0",
        "parameters": 1234,
        "settings": tiny_config(**{"targets": FOUR, **(settings or {})}).model_dump(mode="json"),
        "data": [{"name": "noise", "licence": "CC0-1.0", "minutes": 0.5}],
        "training": {
            "hours": 0.1,
            "chunks": 10,
            "epochs": 1,
            "seed": 0,
            "machine": "a test",
            "auralflow": "0.1.0",
            "settings": {},
        },
        "scores": [{"dataset": "noise", "subset": "test", "command": "auralflow evaluate", "tracks": tracks}],
    }
    return ModelCard.model_validate(values | changes)


class Shelf:
    """A registry with one tiny model, and a separate folder with its weights."""

    def __init__(self, folder: Path, *, name=NAME, **settings) -> None:
        self.weights = folder / "elsewhere.safetensors"
        self.model = make_weights(self.weights, **settings)
        self.registry = Registry(folder / "cards", folder / "checkout")
        self.put(make_card(self.weights, name=name, settings=settings))

    def put(self, card: ModelCard) -> None:
        self.card = card
        write_json(self.registry.folder / card.name / "card.json", card.model_dump(mode="json"))

    def place(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.weights.read_bytes())
        return path

    def ship(self) -> Path:
        return self.place(self.registry.folder / self.card.name / SHIPPED_WEIGHTS)


class Server(ThreadingHTTPServer):
    """Serves one file, or several by name; ``ranges``: also the rest of one.

    ``plan`` says what becomes of each request, the last word counts for all that follow.

    Words: whole, cut (half of it, then the connection ends), wrong (other bytes), long (more bytes than
    announced anywhere), absent (404), mute (not a byte), drip (the header, then a byte now and then), trickle
    (a byte of the header now and then).
    """

    daemon_threads = True

    def __init__(self, content: bytes | dict[str, bytes], plan: list[str], ranges: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.plan = plan
        self.ranges = ranges
        self.sent = 0
        self.paths: list[str] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/weights"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        word = server.plan[min(len(server.paths), len(server.plan) - 1)]
        server.paths.append(self.path)
        content = server.content
        if isinstance(content, dict):
            name = self.path.rpartition("/")[2]
            word, content = (word, content[name]) if name in content else ("absent", b"")
        if word == "mute":
            server.closing.wait(20)
            return
        if word == "trickle":
            self._drip(b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * len(content))
            return
        start = self._start() if server.ranges else 0
        if start and start >= len(content):
            word, content = "nothing left", b""
        content = content[start:]
        statuses = {"absent": 404, "nothing left": 416}
        self.send_response(statuses.get(word, 206 if start else 200))
        if word != "long":
            self.send_header("Content-Length", str(0 if word in statuses else len(content)))
        self.end_headers()
        self._send(word, b"" if word in statuses else content)

    def _send(self, word: str, content: bytes) -> None:
        if word == "wrong":
            content = bytes(len(content))
        elif word == "cut":
            content = content[: len(content) // 2]
        elif word == "long":
            content = content * 100
        if word == "drip":
            self._drip(content)
            return
        # Counted first: the client may be done before this thread goes on.
        self.server.sent += len(content)
        with suppress(OSError):
            self.wfile.write(content)

    def _drip(self, content: bytes) -> None:
        with suppress(OSError):
            for byte in content:
                if self.server.closing.wait(0.01):
                    return
                self.wfile.write(bytes([byte]))

    def _start(self) -> int:
        wanted = self.headers.get("Range", "bytes=0-")
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(content: bytes | dict[str, bytes], *plan: str, ranges: bool = False) -> Iterator[Server]:
    server = Server(content, list(plan) or ["whole"], ranges)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
