"""The web page: drop a song, get its stems, play them in sync and download them.

The page is built with Gradio, from the extra ``app``, which only `page`, `view`, `routes` and `server` need.
The work is done by `Studio`, which separates a song, and `Jobs`, which manages many; neither depends on the
web.
"""

from auralflow.app.jobs import Jobs
from auralflow.app.orders import Order, Stage
from auralflow.app.server import serve
from auralflow.app.studio import Studio
from auralflow.app.tracks import Result, Track
from auralflow.app.workspace import Workspace

__all__ = ["Jobs", "Order", "Result", "Stage", "Studio", "Track", "Workspace", "serve"]
