"""The measured server as its client sees it: address, credentials, and the few calls that prepare content."""

import base64
import hashlib
import http.client
import json
import re
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ACCEPT = ", ".join(
    (
        OCI_MANIFEST,
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)


def sha256(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


@dataclass
class Server:
    """pid: its main process; child processes are counted with it."""

    name: str
    url: str
    pid: int = 0
    credentials: str = ""  # user:password
    note: str = ""  # what it syncs before it answers a push
    static: bool = False  # not a registry: serves the same bytes as files
    fixed: str | None = None  # the Authorization of every request, "" for none; otherwise it is what the server asks for
    leaves_out: frozenset[str] = frozenset()  # steps that are none of its
    results: dict[str, list[dict]] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    tags_per_s: float | None = None
    images_per_s: float = 0.0
    last_image: str = ""
    _authorizations: dict[str, tuple[str, float]] = field(default_factory=dict)

    @classmethod
    def parse(cls, specification: str) -> "Server":
        """NAME=URL,PID[,USER:PASSWORD]"""
        name, rest = specification.split("=", 1)
        url, pid, *credentials = rest.split(",", 2)
        return cls(name, url.rstrip("/"), int(pid), credentials[0] if credentials else "")

    @property
    def address(self) -> str:
        return urllib.parse.urlsplit(self.url).netloc

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address, timeout=600)

    def authorization(self, *repositories: str) -> str:
        """The header's value: Basic, or Bearer (one token for all the repositories) if the server challenges for it; '' if open."""
        if self.fixed is not None:
            return self.fixed
        key = ",".join(repositories)
        value, until = self._authorizations.get(key, ("", 0.0))
        if until < time.time():
            value, until = self._authorizations[key] = self._ask_authorization(repositories)
        return value

    def _ask_authorization(self, repositories: tuple[str, ...]) -> tuple[str, float]:
        basic = "Basic " + base64.b64encode(self.credentials.encode()).decode() if self.credentials else ""
        connection = self.connect()
        connection.request("GET", f"/v2/{repositories[0]}/tags/list" if repositories else "/v2/")
        response = connection.getresponse()
        response.read()
        challenge = response.getheader("WWW-Authenticate") or ""
        if response.status != 401 or not challenge.lower().startswith("bearer"):
            return basic, float("inf")
        parameters = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        query = [("service", parameters.get("service", ""))] + [("scope", f"repository:{name}:pull,push,delete") for name in repositories]
        url = parameters["realm"] + "?" + urllib.parse.urlencode(query)
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": basic} if basic else {})) as answer:
            grant = json.load(answer)
        until = time.time() + max(30, grant.get("expires_in", 60) - 60)
        return "Bearer " + (grant.get("token") or grant["access_token"]), until

    def header_lines(self, repository: str | None, *more: str) -> list[str]:
        value = self.authorization(repository) if repository else ""
        return ([f"Authorization: {value}"] if value else []) + list(more)

    def call(
        self,
        verb: str,
        path: str,
        repository: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        connection: http.client.HTTPConnection | None = None,
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        headers = dict(headers or {})
        if value := self.authorization(repository):
            headers["Authorization"] = value
        connection = connection or self.connect()
        connection.request(verb, path, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()

    def put_blob(self, repository: str, payload: bytes, connection: http.client.HTTPConnection | None = None) -> dict:
        """Returns its descriptor, without a media type. Raises RuntimeError."""
        status, headers, body = self.call("POST", f"/v2/{repository}/blobs/uploads/", repository, b"", connection=connection)
        if status != 202:
            raise RuntimeError(f"{self.name}: POST upload: {status} {body[:200]!r}")
        location = path_of(headers["Location"])
        digest = "sha256:" + sha256(payload)
        path = location + ("&" if "?" in location else "?") + "digest=" + urllib.parse.quote(digest)
        kind = {"Content-Type": "application/octet-stream"}
        status, _, body = self.call("PUT", path, repository, payload, kind, connection)
        if status != 201:
            raise RuntimeError(f"{self.name}: PUT blob: {status} {body[:200]!r}")
        return {"digest": digest, "size": len(payload)}

    def put_manifest(self, repository: str, reference: str, payload: bytes, connection: http.client.HTTPConnection | None = None) -> None:
        path, kind = f"/v2/{repository}/manifests/{reference}", {"Content-Type": OCI_MANIFEST}
        status, _, body = self.call("PUT", path, repository, payload, kind, connection)
        if status != 201:
            raise RuntimeError(f"{self.name}: PUT manifest: {status} {body[:300]!r}")

    def count_tags(self, repository: str) -> int:
        count, path, connection = 0, f"/v2/{repository}/tags/list", self.connect()
        while path:
            status, headers, body = self.call("GET", path, repository, connection=connection)
            if status != 200:
                return count
            count += len(json.loads(body).get("tags") or [])
            path = next_page(headers)
        return count


def path_of(location: str) -> str:
    return "/" + location.split("://", 1)[1].split("/", 1)[1] if "://" in location else location


def next_page(headers: http.client.HTTPMessage) -> str:
    found = re.search(r"<([^>]+)>", headers.get("Link") or "")
    return path_of(found[1]) if found else ""
