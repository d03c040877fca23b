"""The head of the page: language, title, icon, and the preview shown when its URL is shared."""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from html import escape
from typing import Any

from auralflow.app.routes import PREFIX

__all__ = ["Preview", "head"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

TITLE = "auralflow: split a song into stems"
DESCRIPTION = "Separate a song into vocals, drums, bass and other; listen to the stems and download them."
# Gradio has no setting for its language. It asks for the browser's, in a script that runs after this one.
_ENGLISH = 'Object.defineProperty(navigator, "language", { get: () => "en" })'
# Gradio's own tags, some with URLs of other machines.
_FOREIGN = re.compile(r"<meta\s+(?:property|name)=\"(?:og|twitter):[^>]*>\s*")


def head(root: str) -> str:
    """The tags for the head of the page.

    Args:
        root: URL of the page, ending in a slash; previews need absolute URLs.

    Returns:
        The tags as HTML.

    Example:
        >>> '<meta property="og:image" content="https://a.org/auralflow/preview.png">' in head("https://a.org/")
        True
    """
    image = f"{root.rstrip('/')}{PREFIX}/preview.png"
    tags = {
        "og:title": TITLE,
        "og:type": "website",
        "og:url": root,
        "og:description": DESCRIPTION,
        "og:image": image,
        "og:image:width": "1200",
        "og:image:height": "630",
        "og:image:alt": "A separated song: a waveform for each stem, with mute, solo and volume",
    }
    lines = [f'<meta property="{name}" content="{escape(text)}">' for name, text in tags.items()]
    lines += [
        f"<script>{_ENGLISH}</script>",
        f"<title>{TITLE}</title>",
        f'<meta name="description" content="{escape(DESCRIPTION)}">',
        '<meta name="twitter:card" content="summary_large_image">',
        f'<link rel="icon" type="image/svg+xml" href="{PREFIX[1:]}/icon.svg">',
    ]
    return "\n".join(lines)


class Preview:
    """Middleware that replaces Gradio's head by the page's own on the server.

    Programs that show previews of URLs do not run scripts, so this cannot be done in the browser.

    Args:
        app: The application that renders the page.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle a request; only the page itself is changed."""
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def collect(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
            elif message["type"] == "http.response.body":
                body += message.get("body", b"")
                if not message.get("more_body"):
                    await finish()

        async def finish() -> None:
            headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
            kind = dict(start["headers"]).get(b"content-type", b"")
            page = rewritten(body, _root(scope)) if kind.startswith(b"text/html") else body
            headers.append((b"content-length", str(len(page)).encode()))
            await send({**start, "headers": headers})
            await send({"type": "http.response.body", "body": page})

        # Ask for an uncompressed page, which can be changed here.
        plain = [(name, value) for name, value in scope["headers"] if name.lower() != b"accept-encoding"]
        await self.app({**scope, "headers": plain}, receive, collect)


def rewritten(page: bytes, root: str) -> bytes:
    """Replace the head of the page.

    Example:
        >>> page = b'<head><meta property="og:title" content="Gradio" /></head>'
        >>> b"Gradio" in rewritten(page, "http://localhost/")
        False
    """
    text = _FOREIGN.sub("", page.decode())
    return text.replace("</head>", f"{head(root)}\n</head>", 1).encode()


def _root(scope: Message) -> str:
    """The URL under which the page was requested; proxies state whether that was HTTPS."""
    headers: dict[bytes, str] = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    scheme = headers.get(b"x-forwarded-proto", str(scope.get("scheme", "http"))).split(",")[0].strip()
    host = headers.get(b"x-forwarded-host", headers.get(b"host", "localhost")).split(",")[0].strip()
    return f"{'https' if scheme == 'https' else 'http'}://{host}/"
