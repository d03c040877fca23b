"""Access control: pages from other origins must not reach the server through a visitor's browser.

Browsers isolate origins by host name, but whoever owns a name decides where it points. If it points to
127.0.0.1 once a page has been loaded (DNS rebinding), that page can talk to a server that only listens on the
visitor's own machine. The request still contains the host name, so it is checked there.
"""

import ipaddress
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from auralflow.config import AppConfig

__all__ = ["Guard", "allowed_names", "host_name"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})
_FORBIDDEN = 403
_POLICY_VIOLATION = 1008


def host_name(address: str) -> str | None:
    """Extract the host name from a Host header, in lower case; None if it is invalid.

    Example:
        >>> host_name("LocalHost:7860"), host_name("[::1]:7860"), host_name("a@b:c:d")
        ('localhost', '::1', None)
    """
    try:
        parts = urlsplit(f"//{address}")
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname if parts.username is None else None


def allowed_names(settings: AppConfig) -> frozenset[str] | None:
    """Host names under which the page may be requested; None if any is allowed.

    Without ``allow_host``, a server that only listens on this machine accepts the names of this machine. Any
    other server accepts every name, since it cannot know how other machines refer to it.

    Example:
        >>> sorted(allowed_names(AppConfig()))
        ['127.0.0.1', '::1', 'localhost']
        >>> allowed_names(AppConfig(host="0.0.0.0")) is None
        True
    """
    own = settings.host.strip("[]").lower()
    given = {name.strip("[]").lower() for name in settings.allow_host}
    if not given and not _is_this_machine(own):
        return None
    return _THIS_MACHINE | {own} | given


def _is_this_machine(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name in _THIS_MACHINE


class Guard:
    """Outermost middleware: rejects requests for other host names, and from pages of other origins.

    Args:
        app: The application to protect.
        names: The allowed host names.
    """

    def __init__(self, app: App, names: frozenset[str]) -> None:
        self.app = app
        self.names = names

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle a request, or reject it."""
        fault = self._fault(scope["headers"]) if scope["type"] in ("http", "websocket") else None
        if fault is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": fault})
        else:
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": _FORBIDDEN, "headers": headers})
            await send({"type": "http.response.body", "body": f"{fault}\n".encode()})

    def _fault(self, headers: Collection[tuple[bytes, bytes]]) -> str | None:
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        if len(hosts) != 1 or host_name(hosts[0]) not in self.names:
            return "This page is not served under that name. To allow it, start the server with --allow-host."
        for name, value in headers:
            if name == b"origin" and not self._is_own(value.decode("latin-1"), hosts[0]):
                return "Requests from other pages are not allowed."
        return None

    def _is_own(self, origin: str, host: str) -> bool:
        """Whether an origin is this page: the same name and port, or an allowed name behind a proxy."""
        address = origin.partition("://")[2]
        return address == host or (host_name(address) in self.names - _THIS_MACHINE)
