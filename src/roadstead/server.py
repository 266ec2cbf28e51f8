"""
`roadstead serve`: a small supervisor, N serving processes on the same listening sockets, one worker process.

The supervisor imports next to nothing and forks before anything is loaded, so it costs little memory. A child that dies is
started again; children end when the supervisor dies, however it dies.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from roadstead.config import Settings, only_loopback
from roadstead.errors import ConfigurationError

BACKLOG = 1024
KEEP_ALIVE_SECONDS = 65
DRAIN_SECONDS = 15
RESTART_SECONDS = 1.0
CHECKPOINT_SECONDS = 0.5
SWEEP_SECONDS = 24 * 3600.0
_PR_SET_PDEATHSIG = 1


class Supervisor:
    """Forks the children and keeps them."""

    def __init__(self, settings: Settings, ready: Callable[[list[str]], None]) -> None:
        self._settings = settings
        self._ready = ready
        self._children: dict[int, Callable[[], None]] = {}
        self._stopping = False

    def run(self) -> None:
        """Returns after SIGTERM or SIGINT, when the children have drained. Raises ConfigurationError."""
        addresses = self._settings.addresses()
        only_loopback(addresses)
        sockets = [_listen(host, port) for host, port in addresses]
        _in_child(lambda: _prepare(self._settings))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        reader, writer = os.pipe()
        processes = self._settings.processes or os.cpu_count() or 1
        for _ in range(processes):
            self._start(lambda: _serve(self._settings, sockets, writer))
        self._start(lambda: _work(self._settings))
        self._await_answers(reader, processes)
        if not self._stopping:
            self._ready([f"http://{_shown(bound)}" for bound in sockets])
        self._keep()

    def _start(self, work: Callable[[], None]) -> None:
        pid = os.fork()
        if pid == 0:
            _end_with_parent()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            _run_and_exit(work)
        self._children[pid] = work

    def _await_answers(self, reader: int, processes: int) -> None:
        """Each serving process writes a byte when it takes requests."""
        heard = 0
        while heard < processes and not self._stopping:
            with suppress(InterruptedError):
                heard += len(os.read(reader, processes))

    def _keep(self) -> None:
        while self._children:
            try:
                pid, _ = os.wait()
            except ChildProcessError:
                return
            work = self._children.pop(pid, None)
            if work is not None and not self._stopping:
                time.sleep(RESTART_SECONDS)
                if not self._stopping:
                    self._start(work)

    def _stop(self, *_: object) -> None:
        self._stopping = True
        for pid in list(self._children):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port} ({error.strerror}): choose another with --listen, or stop what listens there"
        ) from error
    listener.listen(BACKLOG)
    return listener


def _shown(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _in_child(work: Callable[[], None]) -> None:
    """Run something heavy and once in a process of its own, so that its memory is given back."""
    pid = os.fork()
    if pid == 0:
        _run_and_exit(work)
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise ConfigurationError("the data folder could not be prepared: see above")


def _run_and_exit(work: Callable[[], None]) -> None:
    try:
        work()
    except ConfigurationError as error:
        print(f"roadstead: {error.message}", file=sys.stderr)  # noqa: T201
        os._exit(2)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _end_with_parent() -> None:
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


def _prepare(settings: Settings) -> None:
    from roadstead import wiring

    wiring.prepare(settings)


def _serve(settings: Settings, sockets: list[socket.socket], ready: int) -> None:
    """A serving process, until SIGTERM; requests under way are finished."""
    import uvicorn
    import uvloop

    from roadstead import log, wiring
    from roadstead.api.http1 import RegistryProtocol

    log.configure(settings.log_level)

    async def serve() -> None:
        own = wiring.parts(settings)
        application = await wiring.application(settings, own)

        class Protocol(RegistryProtocol):
            handle_registry = staticmethod(application.handle)

        config = uvicorn.Config(
            _nothing_else,
            http=Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
        server = uvicorn.Server(config)
        answering = asyncio.create_task(_tell_when_started(server, ready))
        await server.serve(sockets)
        answering.cancel()
        await own.database.close()

    uvloop.run(serve())


async def _tell_when_started(server: object, ready: int) -> None:
    while not getattr(server, "started", False):
        await asyncio.sleep(0.005)
    os.write(ready, b".")


async def _nothing_else(scope: dict[str, object], receive: object, send: Callable[[dict[str, object]], object]) -> None:
    """What is not /v2/: nothing yet. The other APIs and the console come here."""
    from roadstead.api.errors import not_found

    await not_found(send)


def _work(settings: Settings) -> None:
    """The worker process: checkpoints, collection, jobs. Until SIGTERM."""
    from roadstead import log, wiring
    from roadstead.jobs.schedule import every

    log.configure(settings.log_level)

    async def work() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        own = wiring.parts(settings)
        collector = own.collector
        await asyncio.gather(
            every(CHECKPOINT_SECONDS, own.database.checkpoint, stop),
            every(settings.gc_interval_seconds, collector.collect, stop),
            every(SWEEP_SECONDS, lambda: collector.collect(sweep=True), stop),
        )
        await own.database.close()

    asyncio.run(work())


def write_ready_file(file: Path, addresses: list[str]) -> None:
    """Whole or not at all: a script that sees the file can read it."""
    staged = file.with_name(f".{file.name}.{os.getpid()}")
    staged.write_text("\n".join(addresses) + "\n")
    staged.rename(file)
