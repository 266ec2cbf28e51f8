"""
What a program did to a folder, as strace saw it: every system call that changes files or syncs them, with its bytes.

One file for all threads gives one order: strace writes a line when it handles a stop of a thread, and what one thread learned
from another (or a client from an answer) it learned after that. A call that is under way while others are seen has two lines,
and so a beginning and an end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CALLS = (
    "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,lseek,truncate,ftruncate,fallocate,rename,renameat,renameat2,unlink,"
    "unlinkat,rmdir,link,linkat,symlink,symlinkat,mkdir,mkdirat,fsync,fdatasync,sync_file_range,copy_file_range,splice,syncfs,sync"
)
_LINE = re.compile(r"(\d+) +(\d+\.\d+) (.*)", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+|\?)(?:<([^>]*)>)?")
_UNFINISHED = " <unfinished ...>"
# Between the quotes are only hexadecimal digits (strace -xx), so nothing has to be unquoted.
_STRING = re.compile(r'"([^"]*)"(\.\.\.)?')
_DESCRIPTOR = re.compile(r"(-?\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)>(\(deleted\))?")
_NUMBER = re.compile(r", (-?\d+)(?=,|$)")


def command(output: Path) -> list[str]:
    """To be put before a program."""
    options = ["-f", "--seccomp-bpf", "-y", "-xx", "-s", "4000000", "-ttt", "-e", "signal=none", "-e", f"trace={CALLS}"]
    return ["strace", *options, "-o", str(output), "--"]


@dataclass(slots=True)
class Call:
    """
    file: the path behind the descriptor that the call works on, as it was called then ("" for one that was deleted).

    paths and pieces: the strings among its arguments. numbers: the plain numbers, in order. opened: what an open returned.
    result is None until the call has ended; a call that the trace's end cut off never ends.
    """

    name: str
    file: str = ""
    strings: list[bytes] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    arguments: str = ""
    result: int | None = None
    opened: str = ""

    @property
    def paths(self) -> list[str]:
        return [string.decode() for string in self.strings]


@dataclass(frozen=True, slots=True)
class Event:
    """time: seconds since 1970, when strace saw it. Events stand in the order in which they happened."""

    time: float
    call: Call
    ended: bool


def events(output: Path, root: Path) -> Iterator[Event]:
    """The calls that touch anything under root."""
    mark = _hexadecimal(str(root))
    pending: dict[str, tuple[str, Call | None]] = {}
    with output.open() as lines:
        for line in lines:
            thread, moment, text = _LINE.match(line).groups()  # type: ignore[union-attr]
            text = text.rstrip("\n")
            time = float(moment)
            if text.endswith(_UNFINISHED):
                begun = text.removesuffix(_UNFINISHED)
                call = _begun(begun) if mark in begun else None
                pending[thread] = (begun, call)
                if call is not None:
                    yield Event(time, call, ended=False)
                continue
            call = None
            if resumed := _RESUMED.match(text):
                begun, call = pending.pop(thread)
                text = begun + text[resumed.end() :]
            if mark not in text or not (match := _CALL.fullmatch(_without_error(text))):
                continue
            if call is None:
                call = _begun(text)
                yield Event(time, call, ended=False)
            _end(call, match)
            yield Event(time, call, ended=True)


def _begun(text: str) -> Call:
    name, _, arguments = text.partition("(")
    call = Call(name, arguments=arguments)
    for match in _STRING.finditer(arguments):
        assert match[2] is None, "strace has cut the data short"
        call.strings.append(_bytes(match[1]))
    descriptor = _DESCRIPTOR.match(arguments)
    if descriptor and not descriptor[3]:
        call.file = _bytes(descriptor[2]).decode()
    return call


def _end(call: Call, match: re.Match[str]) -> None:
    call.result = -1 if match[3] == "?" else int(match[3])
    call.numbers = [int(number) for number in _NUMBER.findall(_STRING.sub("", match[2]))]
    call.opened = _bytes(match[4]).decode() if match[4] else ""


def _without_error(text: str) -> str:
    """`… = -1 ENOENT (No such file or directory)` and `… = 3<path>` without what comes after."""
    return re.sub(r"( = -1) [A-Z0-9]+ \(.*\)$", r"\1", text) if " = -1 " in text[-200:] else text


def _hexadecimal(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def _bytes(hexadecimal: str) -> bytes:
    return bytes.fromhex(hexadecimal.replace("\\x", ""))
