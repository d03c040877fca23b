"""What a line of the journal holds, and what makes a line one."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, PlainValidator, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from auralflow.storage import file_hash

__all__ = ["FileMark", "Record"]

# A line that was changed by hand, or written by whoever may write to the folder, must not get further.
_FORM = ConfigDict(extra="ignore", allow_inf_nan=False)
_Whole = Annotated[int, Field(strict=True)]
_Number = Annotated[float, Field(strict=True)]


def _name(value: object) -> str:
    """A name as the file system has it: bytes that are no UTF-8 too, which pydantic's own strings refuse."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("no name of a file")
    return value


def _file_name(value: object) -> str:
    name = _name(value)
    if Path(name).name != name:
        raise ValueError("no name of a file in the song's folder")
    return name


_Name = Annotated[str, PlainValidator(_name)]
_FileName = Annotated[str, PlainValidator(_file_name)]


@dataclass(frozen=True, config=_FORM)
class FileMark:
    """How a file is known again.

    Attributes:
        size: In bytes.
        modified: Time of its last change, in nanoseconds.
        sha256: Hash of its content.
    """

    size: _Whole
    modified: _Whole
    sha256: str

    @classmethod
    def of(cls, path: Path, earlier: "FileMark | None" = None) -> "FileMark":
        """Mark a file; one that has not been touched since ``earlier`` is not read again.

        Raises:
            OSError: If it cannot be read.
        """
        status = path.stat()
        if earlier and (earlier.size, earlier.modified) == (status.st_size, status.st_mtime_ns):
            return earlier
        return cls(status.st_size, status.st_mtime_ns, file_hash(path))

    def holds(self, path: Path) -> bool:
        """Whether a file is still what was marked."""
        try:
            return path.stat().st_size == self.size and FileMark.of(path, self).sha256 == self.sha256
        except OSError:
            return False

    def to_json(self) -> dict[str, Any]:
        """The mark as JSON values."""
        return {"size": self.size, "modified": self.modified, "sha256": self.sha256}


@dataclass(frozen=True, config=_FORM)
class _Report:
    """What is read back of the report of a song; the rest is only passed on."""

    files: list[_FileName]
    seconds: _Number
    gain_db: _Number = 0.0


_REPORT = TypeAdapter(_Report)


@dataclass(frozen=True, config=_FORM)
class Record:
    """A line of the journal.

    Attributes:
        event: "started", "finished" or "failed".
        name: Name of the song: its folder below the journal's.
        key: What was done: a hash of the input's content, the model and the settings.
        source: The input file.
        content: How the input is known again.
        files: How the output files are known again, by name; only of "finished", and then never empty.
        report: What was reported; only of "finished".
        error: Why it failed; only of "failed".
        flat: Whether the files lie in the journal's own folder, beside those of other songs.
        elapsed: Seconds that it took; only of "finished".

    Raises:
        ValidationError: If a value is of another kind.
    """

    event: Literal["started", "finished", "failed"]
    name: _Name
    key: str
    source: _Name
    content: FileMark
    files: dict[_FileName, FileMark]
    report: dict[str, Any]
    error: Annotated[str, PlainValidator(str)] = ""
    flat: bool = False
    elapsed: float = 0.0

    @model_validator(mode="after")
    def _check_finished(self) -> Self:
        if self.event == "finished":
            report = _REPORT.validate_python(self.report)
            if not self.files or set(report.files) != set(self.files):
                raise ValueError("finished without its files")
        return self

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        own = {"event": self.event, "name": self.name, "key": self.key, "source": self.source}
        own |= {"error": self.error} if self.error else {}
        files = {name: mark.to_json() for name, mark in self.files.items()}
        later = ({"flat": True} if self.flat else {}) | self._throughput()
        return own | {"content": self.content.to_json(), "files": files, "report": dict(self.report)} | later

    def _throughput(self) -> dict[str, Any]:
        if self.event != "finished" or self.elapsed <= 0:
            return {}
        speed = self.report["seconds"] / self.elapsed
        return {"elapsed": round(self.elapsed, 3), "times_real_time": round(speed, 2)}

    @classmethod
    def from_line(cls, line: bytes) -> "Record | None":
        """Read a line of the journal; None if it is none, whatever else it is."""
        try:
            return _RECORD.validate_python(json.loads(line))
        except (ValueError, ValidationError, RecursionError):
            return None


_RECORD = TypeAdapter(Record)
