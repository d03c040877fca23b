"""Routes of the server besides the page: files of jobs, and a few images."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from auralflow.app.downloads import Downloads
from auralflow.app.jobs import Jobs
from auralflow.errors import AuralflowError, NotFoundError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

__all__ = ["PREFIX", "make_routes"]

PREFIX = "/auralflow"
"""Prefix of all these routes, which keeps them apart from Gradio's."""

_PUBLIC = {"icon.svg": "image/svg+xml", "preview.png": "image/png"}
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-store"}
_NOT_FOUND, _FAILED = 404, 500


def make_routes(jobs: Jobs) -> "list[BaseRoute]":
    """Create the routes. Files are looked up by job: paths from requests are never opened.

    Args:
        jobs: The jobs.

    Returns:
        The routes.
    """
    from starlette.routing import Route

    downloads = Downloads()

    def heard(request: "Request") -> Path:
        result, wished = jobs.result(request.path_params["job"]), request.path_params["file"]
        for track in result.tracks:
            for file in (track.file, track.picture):
                if file.name == wished:
                    return file
        raise NotFoundError("no such file in this song")

    def listen(request: "Request") -> "Response":
        return _answer(lambda: (heard(request), None))

    def download(request: "Request") -> "Response":
        name, wished = request.path_params["name"], request.path_params["format"]
        return _answer(lambda: downloads.file(jobs.result(request.path_params["job"]), name, wished))

    return [
        Route(f"{PREFIX}/{{name}}", _public),
        Route(f"{PREFIX}/jobs/{{job}}/listen/{{file}}", listen),
        Route(f"{PREFIX}/jobs/{{job}}/download/{{format}}/{{name}}", download),
    ]


def _public(request: "Request") -> "Response":
    from starlette.responses import Response

    name = request.path_params["name"]
    if name not in _PUBLIC:
        return Response("not found\n", status_code=_NOT_FOUND)
    return Response((files("auralflow.app") / "static" / name).read_bytes(), media_type=_PUBLIC[name])


def _answer(find: Callable[[], tuple[Path, str | None]]) -> "Response":
    from starlette.responses import FileResponse, PlainTextResponse

    try:
        path, name = find()
    except NotFoundError as error:
        return PlainTextResponse(f"{error}\n", status_code=_NOT_FOUND, headers=_HEADERS)
    except AuralflowError as error:
        return PlainTextResponse(f"{error}\n", status_code=_FAILED, headers=_HEADERS)
    if not path.exists():
        # The stems have just been deleted.
        return PlainTextResponse(
            "this song is no longer available\n", status_code=_NOT_FOUND, headers=_HEADERS
        )
    headers = _HEADERS
    if name is not None:
        headers = _HEADERS | {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
    return FileResponse(path, headers=headers)
