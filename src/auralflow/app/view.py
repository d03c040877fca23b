"""The states of the page, as updates to its components."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from auralflow.app import wording
from auralflow.app.mixer import describe
from auralflow.app.orders import Stage
from auralflow.app.tracks import Result

__all__ = ["View"]

Update = dict[Any, Any]


@dataclass(frozen=True, kw_only=True)
class View:
    """The components of the page that change.

    Attributes:
        song: The component to choose or record a song.
        sample: The button for the sample song.
        folded: The row that replaces these two once there is a song.
        name: The name of the song in that row.
        another: The button in that row to choose another song.
        start: The button to start.
        cancel: The button to cancel.
        status: The progress, with the phase, the name of the job and what a message is about.
        said: The announcement for screen readers.
        mixer: The players.
    """

    song: Any
    sample: Any
    folded: Any
    name: Any
    another: Any
    start: Any
    cancel: Any
    status: Any
    said: Any
    mixer: Any

    IDLE: ClassVar[dict[str, str]] = {"phase": "idle", "html": "", "job": "", "about": ""}

    @property
    def all(self) -> list[Any]:
        """All components."""
        return [getattr(self, field.name) for field in fields(self)]

    @property
    def upload(self) -> list[Any]:
        """The components that change when a song is chosen."""
        return [self.song, self.sample, self.folded, self.name]

    def chosen(self, song: str | None) -> Update:
        """A song was chosen, or removed again."""
        return self._folded(Path(song).name) if song else self._unfolded()

    def emptied(self) -> Update:
        """The user wants to choose another song. After a reload, the browser has none to remove."""
        import gradio as gr

        return self._unfolded() | {self.song: gr.Audio(value=None, visible=True)}

    def begun(self, job: str, song: str) -> Update:
        """A job is being followed."""
        return self._folded(song) | {
            **self._buttons(works=True),
            self.status: _status("working", "<p>Checking the song</p>", job),
            self.said: "checking the song",
            self.mixer: None,
        }

    def working(self, job: str, stage: Stage, words: str | None) -> Update:
        """The job has made progress; the announcement only changes if ``words`` is given."""
        changes = {self.status: _status("working", wording.progress(stage), job)}
        return changes if words is None else changes | {self.said: words}

    def done(self, job: str, result: Result) -> Update:
        """The song was separated."""
        return {
            **self._buttons(works=False),
            self.status: _status("done", wording.done(result), job),
            self.said: "done; the players are below",
            self.mixer: describe(result, job),
        }

    def failed(self, message: str, about: str = "song") -> Update:
        """Something went wrong. Once the ``song`` or the ``stems`` it is about change, it goes away."""
        return self._stopped(_status("failed", wording.failure(message), about=about), message)

    def cancelled(self, message: str) -> Update:
        """The song was cancelled, which is no error."""
        return self._stopped(_status("cancelled", wording.notice(message), about="song"), message)

    def gone(self, message: str) -> Update:
        """The job in the page's URL no longer exists."""
        return self.failed(message) | self._unfolded()

    def _stopped(self, status: dict[str, str], message: str) -> Update:
        return {
            **self._buttons(works=False),
            self.status: status,
            self.said: message,
            self.mixer: None,
        }

    def _buttons(self, *, works: bool) -> Update:
        import gradio as gr

        return {
            self.start: gr.Button(interactive=not works),
            self.cancel: gr.Button(visible=works),
            self.another: gr.Button(visible=not works),
        }

    def _folded(self, name: str) -> Update:
        return self._upload(folded=True) | {self.name: wording.chosen(name)}

    def _unfolded(self) -> Update:
        return self._upload(folded=False) | {self.name: ""}

    def _upload(self, *, folded: bool) -> Update:
        import gradio as gr

        # Hidden rather than removed, so that the song stays chosen.
        shown: Any = "hidden" if folded else True
        return {
            self.song: gr.Audio(visible=shown),
            self.sample: gr.Button(visible=not folded),
            self.folded: gr.Row(visible=folded),
        }


def _status(phase: str, html: str, job: str = "", about: str = "") -> dict[str, str]:
    return {"phase": phase, "html": html, "job": job, "about": about}
