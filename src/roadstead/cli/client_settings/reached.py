"""Whether a client that is configured so would reach the server: it is really asked, without any credential."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roadstead.cli.client_settings.wanted import Mode, Wanted

if TYPE_CHECKING:
    import ssl

    import httpx

ANSWER_SECONDS = 15.0
_PROGRAM_SECONDS = 60.0
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """result: ok, failed or skipped."""

    check: str
    result: str
    detail: str


def asked(wanted: Wanted, apis: Sequence[str]) -> list[str]:
    """The addresses that the client asks; apis: Google's names that it asks besides the registry's, where nothing moves them."""
    if wanted.mode in (Mode.DNS, Mode.PROXY):
        return [f"https://{name}" for name in dict.fromkeys([*(each.host for each in wanted.names), *apis])]
    own = [wanted.server] if apis else []
    return list(dict.fromkeys([*own, *(f"{wanted.scheme}://{each.authority}" for each in wanted.names)]))


def reach(wanted: Wanted, addresses: Sequence[str]) -> list[Finding]:
    """Of each address, asked side by side: a name that does not resolve may take its time."""
    import ssl

    verify = ssl.create_default_context(cadata=wanted.ca or None)
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(lambda address: _reach(wanted, address, verify), addresses))


def _reach(wanted: Wanted, address: str, verify: ssl.SSLContext) -> Finding:
    import httpx

    check = f"{address} is this server"
    proxy = wanted.proxy if wanted.mode is Mode.PROXY else None
    try:
        with httpx.Client(base_url=address, verify=verify, proxy=proxy, timeout=ANSWER_SECONDS, trust_env=False) as client:
            registry, alive = _answer(client, "/v2/"), _answer(client, "/healthz")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Finding(check, "failed", _why(str(error) or type(error).__name__))
    version = registry.headers.get("docker-distribution-api-version")
    if registry.status_code not in (200, 401) or version != "registry/2.0":
        return Finding(check, "failed", f"no registry answers there: GET /v2/ gave {registry.status_code}")
    if alive.status_code != 200:
        return Finding(
            check, "failed", f"a registry answers there, but no Roadstead: GET /healthz gave {alive.status_code}. Is it Google's?"
        )
    return Finding(check, "ok", "it answers, and its certificate is trusted" if address.startswith("https") else "it answers")


def _answer(client: httpx.Client, path: str) -> httpx.Response:
    """Without its content, which may be anybody's and of any size."""
    with client.stream("GET", path) as response:
        return response


def program(command: Sequence[str]) -> Finding:
    name = command[0].rpartition("/")[2]
    found = shutil.which(command[0])
    if found is None:
        return Finding(f"{name} is installed", "skipped", "it is not on this machine's PATH")
    try:
        done = subprocess.run([found, *command[1:]], capture_output=True, text=True, timeout=_PROGRAM_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return Finding(f"{name} is installed", "failed", "it does not start")
    said = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return Finding(f"{name} is installed", "failed" if done.returncode else "ok", said[0][:200] if said else "")


def _why(problem: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in problem:
        reason = problem.partition("certificate verify failed: ")[2].partition(" (_ssl")[0]
        return f"its certificate is not trusted for this name: {reason or 'see the certificate'}"
    return problem[:300]
