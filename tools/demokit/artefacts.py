"""What a run leaves behind: a capture, a trace, a picture, and how to open each."""

from __future__ import annotations

import dataclasses
import secrets
import shutil
import tempfile
from pathlib import Path

from ..failure import Failure
from ..picture import save
from ..trace_file import read_trace

__all__ = ["Artefacts"]


@dataclasses.dataclass(frozen=True)
class Artefacts:
    """The folder of a run's outputs.

    Attributes:
        folder: where they are; made when missing, files of an earlier run are replaced.
        handover: a folder that does not exist yet, for the trace: who writes that has no privilege any more, and may
            not be allowed to write into the other.
    """

    folder: Path
    handover: Path = dataclasses.field(
        default_factory=lambda: Path(tempfile.gettempdir(), f"rawproto-demo-{secrets.token_hex(8)}")
    )

    @property
    def wire(self) -> Path:
        """The packets as they passed the relay."""
        return self.folder / "wire.pcapng"

    @property
    def trace(self) -> Path:
        """The sender's trace."""
        return self.folder / "connection.qlog"

    @property
    def picture(self) -> Path:
        """Sequence against time."""
        return self.folder / "sequence.png"

    def prepare(self) -> None:
        """Make the folder and take away what an earlier run left under the same names.

        Raises:
            Failure: the folder cannot be written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in (self.wire, self.trace, self.picture):
                path.unlink(missing_ok=True)
            probe = self.folder / ".probe"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise Failure(f"cannot write to {self.folder}: {error.strerror}") from error

    def adopt_trace(self) -> None:
        """Take the trace that the sender's connection has handed over, if it has, under the name it has here."""
        for path in self.handover.glob("client-*.qlog"):
            shutil.copyfile(path, self.trace, follow_symlinks=False)
        shutil.rmtree(self.handover, ignore_errors=True)

    def draw(self) -> None:
        """Make the picture from the trace, if the run left one."""
        if self.trace.exists():
            save(read_trace(self.trace), self.picture)

    def paths(self) -> dict[str, str]:
        """What is there, by its role."""
        named = {"wire": self.wire, "trace": self.trace, "picture": self.picture}
        return {role: str(path) for role, path in named.items() if path.exists()}

    def hints(self) -> list[str]:
        """One line for each: the file, and how to open it."""
        ways = {
            self.wire: "wireshark {0}   (or: tshark -r {0} | less)",
            self.trace: "rawproto trace --explain {0}   (--qvis FILE writes it for https://qvis.quictools.info)",
            self.picture: "xdg-open {0}",
        }
        return [f"{path}: {way.format(path)}" for path, way in ways.items() if path.exists()]
