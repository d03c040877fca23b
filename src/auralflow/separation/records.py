"""The records of the journal, and their validation."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, PlainValidator, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from auralflow.storage import file_hash

__all__ = ["FileMark", "Record"]

# Lines may have been edited by hand or written by others; invalid ones must not get past this point.
_FORM = ConfigDict(extra="ignore", allow_inf_nan=False)
_Whole = Annotated[int, Field(strict=True)]
_Number = Annotated[float, Field(strict=True)]


def _name(value: object) -> str:
    """Accept any file name, even one with bytes that are not UTF-8, which pydantic's strings reject."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("not a file name")
    return value


def _file_name(value: object) -> str:
    name = _name(value)
    if Path(name).name != name:
        raise ValueError("not the name of a file in the song's folder")
    return name


_Name = Annotated[str, PlainValidator(_name)]
_FileName = Annotated[str, PlainValidator(_file_name)]


@dataclass(frozen=True, config=_FORM)
class FileMark:
    """Identifies a file by its content.

    Attributes:
        size: Size in bytes.
        modified: Time of the last modification, in nanoseconds.
        sha256: SHA-256 of the content.
    """

    size: _Whole
    modified: _Whole
    sha256: str

    @classmethod
    def of(cls, path: Path, earlier: "FileMark | None" = None) -> "FileMark":
        """Identify a file; if size and time still match ``earlier``, it is not read again.

        Raises:
            OSError: If it cannot be read.
        """
        status = path.stat()
        if earlier and (earlier.size, earlier.modified) == (status.st_size, status.st_mtime_ns):
            return earlier
        return cls(status.st_size, status.st_mtime_ns, file_hash(path))

    def holds(self, path: Path) -> bool:
        """Whether a file still has this content."""
        try:
            return path.stat().st_size == self.size and FileMark.of(path, self).sha256 == self.sha256
        except OSError:
            return False

    def to_json(self) -> dict[str, Any]:
        """The mark as JSON values."""
        return {"size": self.size, "modified": self.modified, "sha256": self.sha256}


@dataclass(frozen=True, config=_FORM)
class _Report:
    """The validated part of a song's report; the rest is passed on unchecked."""

    files: list[_FileName]
    seconds: _Number
    gain_db: _Number = 0.0


_REPORT = TypeAdapter(_Report)


@dataclass(frozen=True, config=_FORM)
class Record:
    """A line of the journal.

    Attributes:
        event: "started", "finished" or "failed".
        name: Name of the song: its folder relative to the journal's.
        key: Hash of the input's content, the model and the settings.
        source: Path of the input file.
        content: Identifies the content of the input.
        files: Identifies the content of the output files, by name; not empty if "finished", otherwise empty.
        report: The report of the song; only if "finished".
        error: Why it failed; only if "failed".
        flat: Whether the files are in the journal's folder itself, beside those of other songs.
        elapsed: Duration of the separation in seconds; only if "finished".

    Raises:
        ValidationError: If a value has the wrong type.
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
                raise ValueError("finished without files")
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
        # To the microsecond, so that both figures agree for a song that takes a few milliseconds, too.
        return {"elapsed": round(self.elapsed, 6), "times_real_time": round(speed, 2)}

    @classmethod
    def from_line(cls, line: bytes) -> "Record | None":
        """Parse a line of the journal; None if it is not a valid record."""
        try:
            return _RECORD.validate_python(json.loads(line))
        except (ValueError, ValidationError, RecursionError):
            return None


_RECORD = TypeAdapter(Record)
