"""The program ``exiftool``, which writes into image files; it is run, and no part of Tagkin.

One process takes the arguments of all images, a line each, so that Perl starts once.
"""

import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tagkin.errors import ExportError

PROGRAM = "exiftool"
_READY = "{ready}"
_MESSAGE = 2000  # characters of what it says


class Exiftool:
    """A running exiftool.

    Args:
        timeout: Seconds that it may take for an image.

    Raises:
        ExportError: It isn't installed.
    """

    def __init__(self, timeout: float) -> None:
        found = shutil.which(PROGRAM)
        if found is None:
            raise ExportError(
                "tags are written into images by the program exiftool, which isn't installed: "
                "install it (Debian and Ubuntu: apt install libimage-exiftool-perl; Fedora: dnf "
                "install perl-Image-ExifTool; macOS: brew install exiftool), or write sidecars "
                "with --to xmp, which needs no program"
            )
        # Its configuration file is a program too, and may change what tags mean.
        self._command = [found, "-config", ""]
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Begins; the process starts with the first image."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Lets the process end after what it is doing, so that no image is left half-way."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.communicate(b"-stay_open\nFalse\n", timeout=self._timeout)
        except (OSError, ValueError, subprocess.TimeoutExpired):
            process.kill()
            process.wait()

    def write(self, arguments: Sequence[str], image: Path) -> None:
        """Changes an image as some arguments say.

        Args:
            arguments: Without line ends; with ``-ec`` among them, values have C's escapes.
            image: Absolute, so that no name is taken for an option.

        Raises:
            ValueError: It could not be changed; says what exiftool says.
        """
        name = str(image)
        if name.endswith("|"):  # which older versions take for a command
            raise ValueError("exiftool may take a name that ends in '|' for a program")
        if "\n" in name or "\r" in name or name != name.rstrip():
            self._write_alone(arguments, image)
        else:
            self._write_in_turn([*arguments, name])

    def _write_alone(self, arguments: Sequence[str], image: Path) -> None:
        """Starts a process of its own for a name that has no place in a line."""
        try:
            done = subprocess.run(
                [*self._command, *arguments, os.fsencode(image)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self._timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ValueError(_too_long(self._timeout)) from None
        if done.returncode:
            raise ValueError(_said(done.stderr))

    def _write_in_turn(self, lines: Sequence[str]) -> None:
        process = self._process or self._start()
        assert process.stdin and process.stdout and process.stderr  # noqa: S101 - for the types
        text = "".join(f"{line}\n" for line in (*lines, "-echo3", "${status}", "-echo4", _READY))
        # A process that hangs is ended, which closes its pipes and so ends the reading below.
        timer = threading.Timer(self._timeout, process.kill)
        timer.start()
        try:
            process.stdin.write(os.fsencode(text + "-execute\n"))
            process.stdin.flush()
            said = _read_to_ready(process.stdout)
            told = _read_to_ready(process.stderr)
        except OSError:
            said = told = None
        finally:
            late = not timer.is_alive()
            timer.cancel()
        if said is None or told is None:
            self._process = None
            process.kill()
            process.communicate()
            raise ValueError(_too_long(self._timeout) if late else "exiftool ended unexpectedly")
        if said.split()[-1:] != [b"0"]:
            raise ValueError(_said(told))

    def _start(self) -> "subprocess.Popen[bytes]":
        self._process = subprocess.Popen(
            [*self._command, "-stay_open", "True", "-@", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        return self._process


def _read_to_ready(file: IO[bytes]) -> bytes | None:
    """Returns what was said up to the mark of an end; None if the process ended before."""
    said = b""
    while line := file.readline():
        if line.strip() == _READY.encode():
            return said
        said += line
    return None


def _said(message: bytes) -> str:
    text = " ".join(message.decode("utf-8", "replace").split())
    return f"exiftool says: {text[:_MESSAGE] or 'nothing, but that it failed'}"


def _too_long(seconds: float) -> str:
    return f"exiftool took more than {seconds:g} s; raise read_timeout to wait longer"
