"""The guest's end of the serial port behind which the plant waits to be led."""

import os
import select
from pathlib import Path

from hil.virtual.errors import VirtualError
from hil.virtual.exchange import LONGEST_LINE, PORT, Answer, Question, from_line, to_line

_WAIT_MS = 10_000
_ENDED = "the plant ended the exchange; the scenario's report says why"


class PlantPort:
    """Asks and waits: one question, one answer."""

    def __init__(self, path: Path = Path("/dev/virtio-ports") / PORT) -> None:
        """Open the port. Raises ``OSError`` where the machine has none."""
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._ready = select.poll()
        self._ready.register(self._file, select.POLLOUT)

    def ask(self, question: Question) -> Answer:
        """The plant's answer. Raises ``VirtualError`` where it ends or answers something else."""
        line = to_line(question)
        while line:
            # To a port that nobody holds open any more the kernel would write for ever.
            if not self._ready.poll(_WAIT_MS) or self._ready.poll(0)[0][1] & select.POLLHUP:
                raise VirtualError(_ENDED)
            line = line[os.write(self._file, line) :]
        answer = from_line(Answer, self._line())
        if answer.number != question.number:
            raise VirtualError(
                f"the plant answered question {answer.number} instead of {question.number}"
            )
        return answer

    def close(self) -> None:
        """Let go of the port."""
        os.close(self._file)

    def _line(self) -> bytes:
        found = b""
        while not found.endswith(b"\n"):
            part = os.read(self._file, LONGEST_LINE)
            if not part or len(found) > LONGEST_LINE:
                raise VirtualError(_ENDED)
            found += part
        return found
