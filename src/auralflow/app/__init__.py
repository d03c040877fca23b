"""The web page: drop a song, get its stems, listen to them in step and download them.

The page is made with Gradio, from the extra ``app``; only `page`, `view`, `routes` and `server` need it. What
the page does is in `Studio`, which separates a song, and `Jobs`, which keeps many; neither knows of the web.
"""

from auralflow.app.jobs import Jobs
from auralflow.app.orders import Order, Stage
from auralflow.app.server import serve
from auralflow.app.studio import Studio
from auralflow.app.tracks import Result, Track
from auralflow.app.workspace import Workspace

__all__ = ["Jobs", "Order", "Result", "Stage", "Studio", "Track", "Workspace", "serve"]
