"""The web page: drop a song, get its stems, listen to them in step and take them away.

The page is made with Gradio, from the extra ``app``; only `page` and `server` need it. What the page does is
in `Studio`, which knows nothing of the web.
"""

from auralflow.app.server import serve
from auralflow.app.studio import Order, Stage, Studio
from auralflow.app.tracks import Result, Track
from auralflow.app.workspace import Workspace

__all__ = ["Order", "Result", "Stage", "Studio", "Track", "Workspace", "serve"]
