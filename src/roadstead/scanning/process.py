"""What runs in the processes that read layers. They have limits of their own, because what they read comes from strangers."""

from __future__ import annotations

import ctypes
import io
import os
import resource
import signal
from collections.abc import Callable, Sequence
from typing import BinaryIO, NoReturn

from roadstead.errors import ScanFailed, ScanStopped
from roadstead.scanner.inventory import LayerIndex
from roadstead.scanner.layers import scan_layer
from roadstead.scanner.merge import merge

SECONDS = 900
"""Of the processor: on a machine that is busy with requests a scan may wait for it for long."""
MOST_SECONDS = 4 * 3600
MEMORY_BYTES = 4 * 1024**3
_PR_SET_PDEATHSIG = 1


def prepare(parent: int) -> None:
    """Once for each process: it gives way to requests, ends with the worker, and may not eat the machine's memory."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    os.nice(19)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for limit in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(limit, _too_long)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))


def scan_file(path: str) -> bytes:
    """The encoded LayerIndex of a layer's file. Raises ScanFailed."""
    with open(path, "rb") as file:
        return _scan(file)


def scan_bytes(content: bytes) -> bytes:
    """The encoded LayerIndex of a layer. Raises ScanFailed."""
    return _scan(io.BytesIO(content))


def merge_indexes(indexes: Sequence[tuple[str, bytes]]) -> bytes:
    """The encoded Inventory of an image, from its layers' digests and encoded indexes, the lowest first. Raises ScanFailed."""
    return _limited(lambda: merge([(digest, LayerIndex.decode(content)) for digest, content in indexes]).encode())


def _scan(file: BinaryIO) -> bytes:
    return _limited(lambda: scan_layer(file).encode())


def _limited(work: Callable[[], bytes]) -> bytes:
    # Again each second: what calls back from C, as SQLite does, may lose the first.
    signal.setitimer(signal.ITIMER_PROF, SECONDS, 1.0)
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS, 1.0)
    try:
        return work()
    except MemoryError as error:
        raise ScanStopped("the image needs more memory than a scan may have") from error
    except (ScanFailed, OSError):
        raise
    except Exception as error:
        # Not again and again for ever: another version of this program reads it anew.
        raise ScanFailed(f"the image cannot be read, by a mistake of this program: {type(error).__name__} {error}"[:500]) from error
    finally:
        for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL):
            signal.setitimer(timer, 0)


def _too_long(_signal: int, _frame: object) -> NoReturn:
    raise ScanStopped(f"the image took longer than {SECONDS} seconds of the processor to read, or {MOST_SECONDS // 3600} hours in all")
