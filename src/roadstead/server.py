"""
`roadstead serve`: a small supervisor, N serving processes on the same listening sockets, one worker process. Past one machine
the two are apart: `serve --no-worker` and `worker`.

The supervisor loads the program once and forks: its code is in memory once for all of them, and a child that dies is started again
in a moment. Children end when the supervisor dies, however it dies.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import mmap
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roadstead.config import Settings, address, only_loopback
from roadstead.errors import ConfigurationError
from roadstead.metrics import PUBLISH_SECONDS, Board, Recorder

if TYPE_CHECKING:
    import uvicorn

    from roadstead.accounts import Accounts
    from roadstead.api.health import Condition
    from roadstead.api.http1 import Observer, RegistryProtocol
    from roadstead.api.messages import Request, Response
    from roadstead.iam.generation import SharedNumber
    from roadstead.jobs.worker import Worker
    from roadstead.scans import Scanning
    from roadstead.tls import Certificate
    from roadstead.wiring import Parts

BACKLOG = 1024
KEEP_ALIVE_SECONDS = 65
CLOSE_SECONDS = 5.0
# When a child has had all the time it may have, and some more, it is killed: nothing that was acknowledged is lost.
KILL_SECONDS = CLOSE_SECONDS + 5.0
RESTART_SECONDS = 1.0
MOST_STARTS = 4
MAINTENANCE_SECONDS = 0.5
JOBS_SECONDS = 1.0
COUNT_SECONDS = 30.0
SWEEP_SECONDS = 24 * 3600.0
TIDY_SECONDS = 300.0
SCANNING_SECONDS = 3600.0
_PR_SET_PDEATHSIG = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Only where there is something to renew: without, SIGHUP ends the program, as when its terminal is closed.
_RENEW_SIGNAL = signal.SIGHUP
_ALL_SIGNALS = (*_STOP_SIGNALS, signal.SIGCHLD, _RENEW_SIGNAL)
_SETTINGS_ARE_WRONG = 2

Work = Callable[[int], None]
"""What a child does; it is told the pipe into which it writes its process id when it takes requests or jobs."""


@dataclass(slots=True)
class _Child:
    """pid is 0 while it does not run; due: when it is to be started. failures: starts since it was last ready."""

    name: str
    work: Work
    pid: int = 0
    due: float = 0.0
    ready: bool = False
    failures: int = 0


@dataclass(frozen=True, slots=True)
class _Secured:
    """The listening sockets that speak TLS, and what they show."""

    sockets: list[socket.socket]
    certificate: Certificate


class Supervisor:
    """Forks the children and keeps them."""

    def __init__(
        self,
        settings: Settings,
        ready: Callable[[list[str], str], None],
        *,
        serves: bool = True,
        works: bool = True,
        health: Sequence[str] = (),
    ) -> None:
        """
        ready: gets the addresses, and the secret of the owner's one-time link while nobody has signed in yet.

        health: HOST:PORTs where the worker answers /healthz, /readyz and /metrics, for a node that only works.
        """
        self._settings = settings
        self._ready = ready
        self._serves = serves
        self._works = works
        self._addresses = settings.addresses() if serves else [address(text) for text in health]
        self._plain_addresses = settings.plain_addresses() if serves else []
        self._children: list[_Child] = []
        self._stopping = False
        self._renewing = False
        # What the preparation tells: the secret of the first owner's link, while there is one.
        self._told = mmap.mmap(-1, mmap.PAGESIZE)
        self._link = ""

    def run(self) -> None:
        """
        Returns after SIGTERM or SIGINT, when the children have drained.

        Raises ConfigurationError; SystemExit(1) when a child dies again and again before it takes requests or jobs.
        """
        if not self._settings.accounts:
            only_loopback([*self._addresses, *self._plain_addresses])
        certificate = _certificate(self._settings) if self._serves else None
        sockets = [_listen(host, port) for host, port in self._addresses]
        secured = _Secured(list(sockets), certificate) if certificate else None
        sockets += [_listen(host, port) for host, port in self._plain_addresses]
        self._reader, self._writer = os.pipe()
        self._woken, waking = os.pipe()
        for end in (self._reader, self._woken, waking):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
        for number in (*_STOP_SIGNALS, signal.SIGCHLD):
            signal.signal(number, self._on_signal)
        if secured:
            signal.signal(_RENEW_SIGNAL, self._on_signal)
        _load(self._settings)
        self._prepare()
        self._add_children(sockets, secured)
        addresses = [f"{'https' if secured and bound in secured.sockets else 'http'}://{_shown(bound)}" for bound in sockets]
        announced = False
        while not self._stopping:
            self._start_due()
            if not announced and all(child.ready for child in self._children):
                announced = True
                self._ready(addresses, self._link)
            self._wait(self._next_due())
            if self._renewing:
                self._renewing = False
                self._signal_all(_RENEW_SIGNAL)
        # The children have their own: when they close theirs, nobody new gets in.
        for bound in sockets:
            bound.close()
        self._end()

    def _add_children(self, sockets: list[socket.socket], secured: _Secured | None) -> None:
        processes = (self._settings.processes or os.cpu_count() or 1) if self._serves else 0
        from roadstead.iam.generation import SharedNumber

        board, shared = Board(processes + self._works), SharedNumber()
        for number in range(processes):
            name = f"serve-{number}"

            def serve(ready: int, number: int = number, name: str = name) -> None:
                _serve(self._settings, sockets, ready, board, number, name, secured, shared)

            self._children.append(_Child(name, serve))
        if self._works:
            own, others = ([], sockets) if self._serves else (sockets, [])

            def work(ready: int) -> None:
                # Or the port would take newcomers until the worker has ended, and nobody would answer them.
                for bound in others:
                    bound.close()
                _work(self._settings, own, ready, board, processes, shared)

            self._children.append(_Child("worker", work))

    def _on_signal(self, number: int, _: object) -> None:
        """Interrupts whatever wait is going on; the loop looks after the rest."""
        if number in _STOP_SIGNALS:
            self._stopping = True
        elif number == _RENEW_SIGNAL:
            self._renewing = True

    def _prepare(self) -> None:
        """Something heavy and once in a process of its own, so that its memory is given back."""
        child = _Child("preparation", lambda _: _prepare(self._settings, self._serves, self._told), pid=0)
        self._children = [child]
        self._start(child)
        while child.pid and not self._stopping:
            self._wait(None)
        if self._stopping:
            self._end()
            sys.exit(0)
        self._children = []
        if child.failures:
            raise ConfigurationError("the data folder could not be prepared: see above")
        self._link = self._told[: self._told.find(b"\0")].decode()
        self._told.close()

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.pid == 0 and child.due <= now:
                self._start(child)

    def _start(self, child: _Child) -> None:
        # A signal that comes in between would be taken by a handler that means the supervisor.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ALL_SIGNALS)
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            if signal.getsignal(_RENEW_SIGNAL) == self._on_signal:
                signal.signal(_RENEW_SIGNAL, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ALL_SIGNALS)
            _end_with_parent()
            _run_and_exit(lambda: child.work(self._writer))
        child.pid, child.ready = pid, False
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ALL_SIGNALS)

    def _next_due(self) -> float | None:
        """Seconds until a child is to be started."""
        due = [child.due for child in self._children if child.pid == 0]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _wait(self, seconds: float | None) -> None:
        """Until a signal, a child's end, a child's word that it is ready, or that many seconds."""
        waiting = select.poll()
        for end in (self._reader, self._woken):
            waiting.register(end, select.POLLIN)
        waiting.poll(None if seconds is None else seconds * 1000 + 1)
        with suppress(BlockingIOError):
            os.read(self._woken, 4096)
        self._hear()
        self._reap()

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            said = os.read(self._reader, 4096)
            pids = {int.from_bytes(said[at : at + 4], "little") for at in range(0, len(said), 4)}
            for child in self._children:
                if child.pid in pids:
                    child.ready, child.failures = True, 0

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in self._children:
                if child.pid == pid:
                    self._bury(child, os.waitstatus_to_exitcode(status))

    def _bury(self, child: _Child, code: int) -> None:
        """Decide what comes after a child. Raises ConfigurationError, SystemExit."""
        was_ready, child.pid, child.ready = child.ready, 0, False
        child.due = time.monotonic() + RESTART_SECONDS
        if self._stopping or (child.name == "preparation" and code == 0):
            return
        child.failures += 1
        if child.name == "preparation":
            return
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        print(f"roadstead: the process {child.name} ended {how}" + ("" if was_ready else " before it was ready"), file=sys.stderr)  # noqa: T201
        if code == _SETTINGS_ARE_WRONG and not was_ready:
            self._end()
            raise ConfigurationError(f"the process {child.name} could not start: see above")
        if child.failures >= MOST_STARTS:
            self._end()
            print(  # noqa: T201
                f"roadstead: giving up, because the process {child.name} did not become ready in {MOST_STARTS} starts: see above",
                file=sys.stderr,
            )
            sys.exit(1)

    def _end(self) -> None:
        """Tell the children to end, wait for them, and kill those that take longer than they may."""
        self._stopping = True
        self._signal_all(signal.SIGTERM)
        kill_at = time.monotonic() + self._settings.drain_delay_seconds + self._settings.drain_seconds + KILL_SECONDS
        while any(child.pid for child in self._children):
            self._wait(max(0.0, kill_at - time.monotonic()))
            if time.monotonic() >= kill_at:
                self._signal_all(signal.SIGKILL)
                kill_at += KILL_SECONDS

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.pid:
                with suppress(ProcessLookupError):
                    os.kill(child.pid, number)


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


def _certificate(settings: Settings) -> Certificate | None:
    """Made before the children are, so that a session begun with one of them can be resumed with another. Raises ConfigurationError."""
    if not settings.tls_cert and not settings.tls_key:
        return None
    from roadstead import tls

    return tls.certificate(settings.tls_cert, settings.tls_key)


def _shown(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _run_and_exit(work: Callable[[], None]) -> None:
    try:
        work()
    except ConfigurationError as error:
        print(f"roadstead: {error.message}", file=sys.stderr)  # noqa: T201
        os._exit(_SETTINGS_ARE_WRONG)
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


def _keep_memory() -> None:
    """
    Bodies come in pieces of up to 256 KiB. By itself glibc takes each of them anew from the kernel, which fills it with zeros
    first: a quarter of an upload's time. Kept pieces are used again, at the cost of some resident memory.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, 16 * 1024 * 1024)
        libc.mallopt(_M_TRIM_THRESHOLD, 32 * 1024 * 1024)


def _load(settings: Settings) -> None:
    """
    Everything that the children need, while there is no thread and no event loop that a fork would break.

    What exists by now is never garbage: without freeze() each child's first collection would write to all of it, and so copy it.
    """
    import uvicorn
    import uvloop

    from roadstead import log, wiring
    from roadstead.api import health, http1
    from roadstead.jobs import schedule

    wiring.load_engines(settings)
    assert uvicorn and uvloop and log and health and http1 and schedule
    gc.collect()
    gc.freeze()


def _prepare(settings: Settings, serves: bool, told: mmap.mmap) -> None:
    from roadstead import wiring

    if settings.otlp_endpoint:
        from roadstead.traces import check_installed

        check_installed()
    wiring.prepare(settings)
    if serves:
        link = asyncio.run(wiring.first_run(settings)).encode()
        told[: len(link)] = link


def _serve(
    settings: Settings,
    sockets: list[socket.socket],
    ready: int,
    board: Board,
    slot: int,
    name: str,
    secured: _Secured | None,
    shared: SharedNumber,
) -> None:
    """A serving process, until SIGTERM; requests under way are finished."""
    import uvloop

    from roadstead import log, wiring
    from roadstead.api.health import Condition

    log.configure(settings.log_level)
    if secured:
        # The supervisor's may be months old.
        secured.certificate.look(at_once=True)
    _keep_memory()
    recorder = Recorder(board, slot, name)

    async def serve() -> None:
        own = wiring.parts(settings)
        known = await wiring.accounts(settings, own, shared)
        condition = Condition()
        observers, close = _observers(settings)
        health = wiring.health(own, recorder, condition)
        server = _server(settings, wiring.application(settings, own, health, known).handle, recorder, condition, observers, secured)
        ending = asyncio.Event()
        following = asyncio.create_task(wiring.look_after(known, ending))
        publishing = asyncio.create_task(_publish(recorder, server, known))
        telling = asyncio.create_task(_tell_when_started(server, ready))
        renewing = asyncio.create_task(_renew(secured.certificate if secured else None))
        await server.serve(sockets)
        for task in (publishing, telling, renewing):
            task.cancel()
        ending.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(following, CLOSE_SECONDS)
        await _close(own, recorder)
        close()

    uvloop.run(serve())


def _server(
    settings: Settings,
    handle: Callable[[Request, bytes], Coroutine[Any, Any, Response]],
    recorder: Recorder,
    condition: Condition,
    observers: Sequence[Observer],
    secured: _Secured | None = None,
) -> uvicorn.Server:
    """uvicorn's server with our protocol in it, TLS on some of its sockets, and our way to end."""
    import contextlib

    import uvicorn

    from roadstead.api.http1 import RegistryProtocol

    class Protocol(RegistryProtocol):
        pass

    Protocol.handle, Protocol.recorder, Protocol.observers = staticmethod(handle), recorder, observers

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGTERM, lambda: asyncio.create_task(self.drain()))
            secure = secured.sockets if secured else []
            opened = [await _listen_securely(loop, self._protocol, bound, secured.certificate) for bound in secure if secured]
            await super().startup([bound for bound in sockets or [] if bound not in secure])
            self.servers += opened

        def _protocol(self) -> RegistryProtocol:
            return Protocol(config=self.config, server_state=self.server_state, app_state={})

        async def drain(self) -> None:
            """Say that we go, wait for balancers to notice, close to newcomers, finish what is under way."""
            Protocol.draining = condition.draining = True
            await asyncio.sleep(settings.drain_delay_seconds)
            self.should_exit = True

        @contextlib.contextmanager
        def capture_signals(self) -> Any:
            """uvicorn would end the process by the signal it was told to end by, before we have closed what is ours."""
            yield

    return Server(
        uvicorn.Config(
            _no_application,
            http=Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=settings.drain_seconds,  # type: ignore[arg-type]
        )
    )


async def _listen_securely(
    loop: asyncio.AbstractEventLoop, protocol: Callable[[], RegistryProtocol], bound: socket.socket, certificate: Certificate
) -> asyncio.Server:
    from roadstead.tls import HANDSHAKE_SECONDS, SHUTDOWN_SECONDS

    return await loop.create_server(
        protocol,
        sock=bound,
        ssl=certificate.context,
        backlog=BACKLOG,
        ssl_handshake_timeout=HANDSHAKE_SECONDS,
        ssl_shutdown_timeout=SHUTDOWN_SECONDS,
    )


async def _renew(certificate: Certificate | None) -> None:
    """Show renewed certificates: soon after their files have changed, or at once on SIGHUP."""
    if certificate is None:
        return
    from roadstead.tls import LOOK_SECONDS

    asyncio.get_running_loop().add_signal_handler(_RENEW_SIGNAL, certificate.renew)
    while True:
        certificate.look()
        await asyncio.sleep(LOOK_SECONDS)


async def _no_application(scope: object, receive: object, send: object) -> None:
    """uvicorn wants one; our protocol never calls it."""


def _observers(settings: Settings) -> tuple[list[Observer], Callable[[], None]]:
    """Who is told of each request, and what to do at the end. Usually nobody and nothing. Raises ConfigurationError."""
    found: list[Observer] = []
    close: Callable[[], None] = lambda: None  # noqa: E731
    if settings.access_log:
        from roadstead.log import AccessLog

        found.append(AccessLog())
    if settings.otlp_endpoint:
        from roadstead.traces import Tracer

        tracer = Tracer(settings.otlp_endpoint)
        found.append(tracer)
        close = tracer.close
    return found, close


async def _publish(recorder: Recorder, server: uvicorn.Server | None, known: Accounts | None = None) -> None:
    recorded = dropped = 0
    while True:
        if server is not None:
            recorder.set("connections", len(server.server_state.connections))
        if known is not None:
            recorder.add("audit_entries", known.audit.recorded - recorded)
            recorder.add("audit_dropped", known.audit.dropped - dropped)
            recorded, dropped = known.audit.recorded, known.audit.dropped
        recorder.publish()
        await asyncio.sleep(PUBLISH_SECONDS)


async def _close(own: Parts, recorder: Recorder) -> None:
    recorder.publish()
    with suppress(TimeoutError):
        await asyncio.wait_for(own.database.close(), CLOSE_SECONDS)


async def _tell_when_started(server: uvicorn.Server, ready: int) -> None:
    while not server.started:
        await asyncio.sleep(0.005)
    _tell(ready)


def _tell(ready: int) -> None:
    os.write(ready, os.getpid().to_bytes(4, "little"))


def _work(settings: Settings, sockets: list[socket.socket], ready: int, board: Board, slot: int, shared: SharedNumber) -> None:
    """The worker process: jobs, collection, counts, the database's maintenance. Until SIGTERM."""
    from roadstead import log, wiring
    from roadstead.api.health import Condition
    from roadstead.jobs.schedule import every

    log.configure(settings.log_level)
    recorder = Recorder(board, slot, "worker")

    async def work() -> None:
        stop, condition = asyncio.Event(), Condition()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        own = wiring.parts(settings)
        known = await wiring.accounts(settings, own, shared)
        _tell(ready)
        beside = [asyncio.create_task(_publish(recorder, None))]
        # A count may take long, and nobody waits for it.
        beside.append(asyncio.create_task(every(COUNT_SECONDS, own.counter.count, stop)))
        if sockets:
            beside.append(asyncio.create_task(_answer_health(settings, own, recorder, condition, stop, sockets)))
        await asyncio.gather(
            every(MAINTENANCE_SECONDS, own.database.maintain, stop),
            every(JOBS_SECONDS, lambda: _run_jobs(own.worker, recorder), stop),
            every(settings.gc_interval_seconds, lambda: _collect(own, recorder, sweep=False), stop),
            every(SWEEP_SECONDS, lambda: _collect(own, recorder, sweep=True), stop),
            every(TIDY_SECONDS, lambda: wiring.tidy(known), stop),
            every(TIDY_SECONDS, lambda: _watch_keys(known, recorder), stop),
            *_scanning(settings, own, recorder, stop),
        )
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await _close(own, recorder)

    asyncio.run(work())


def _scanning(settings: Settings, own: Parts, recorder: Recorder, stop: asyncio.Event) -> list[Coroutine[Any, Any, None]]:
    from roadstead.jobs.schedule import every

    if own.scanning is None:
        return []
    scanning = own.scanning()
    work = [
        *(every(JOBS_SECONDS, partial(_run_jobs, reader, recorder), stop) for reader in own.readers),
        every(SCANNING_SECONDS, scanning.look_after, stop),
        _end_scans(own, scanning, stop),
    ]
    if settings.advisories_update_seconds:
        work.append(every(settings.advisories_update_seconds, scanning.feeds.update, stop))
    return work


async def _end_scans(own: Parts, scanning: Scanning, stop: asyncio.Event) -> None:
    """However many are queued."""
    await stop.wait()
    for reader in own.readers:
        reader.end()
    scanning.layers.close()


async def _answer_health(
    settings: Settings, own: Parts, recorder: Recorder, condition: Condition, stop: asyncio.Event, sockets: list[socket.socket]
) -> None:
    """A node that only works has no serving process to ask."""
    from roadstead import wiring

    server = _server(settings, wiring.health_only(wiring.health(own, recorder, condition)).handle, recorder, condition, ())
    serving = asyncio.create_task(server.serve(sockets))
    # uvicorn has taken the signal by now; both must hear of it.
    while not server.started:
        await asyncio.sleep(0.005)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    condition.draining = True
    await serving


async def _run_jobs(worker: Worker, recorder: Recorder) -> None:
    recorder.add("jobs_run", await worker.run_due())


async def _watch_keys(known: Accounts | None, recorder: Recorder) -> None:
    from roadstead import wiring

    recorder.set("service_account_keys_expiring", await wiring.keys_expiring(known))


async def _collect(own: Parts, recorder: Recorder, sweep: bool) -> None:
    begun = time.monotonic()
    try:
        collected = await own.collector.collect(sweep)
    except Exception:
        recorder.add("gc_failures", 1)
        raise
    recorder.add("gc_runs", 1)
    recorder.add("gc_freed_blobs", collected.blobs)
    recorder.add("gc_freed_bytes", collected.size_bytes)
    recorder.add("gc_expired_uploads", collected.uploads)
    recorder.add("gc_removed_orphans", collected.orphans)
    recorder.set("gc_last_run_timestamp_seconds", time.time())
    recorder.set("gc_last_run_duration_seconds", time.monotonic() - begun)


def write_ready_file(file: Path, addresses: list[str]) -> None:
    """Whole or not at all: a script that sees the file can read it."""
    staged = file.with_name(f".{file.name}.{os.getpid()}")
    staged.write_text("\n".join(addresses) + "\n")
    staged.chmod(0o644)  # unlike everything else that we make: a script of another user may wait for it
    staged.rename(file)
