"""Names of the server and the locations that they stand for."""

from __future__ import annotations

from collections.abc import Mapping


def location_of(hosts: Mapping[str, str], name: str) -> str | None:
    """
    The location that has this name, or whose host begins it: `eu.gcr.io.corp.example` is eu.gcr.io's, because gcloud takes only names
    that begin so (contract.md, mode C). None for a name of no location.

    hosts: lower-case host → location. A host of one label, such as `registry`, begins no other name. name: without a port.
    """
    # `eu.gcr.io.` is the same name with DNS's root.
    labels = name.lower().removesuffix(".").split(".")
    beginnings = (".".join(labels[:count]) for count in range(len(labels), 0, -1) if count > 1 or len(labels) == 1)
    return next((hosts[each] for each in beginnings if each in hosts), None)


def name_in(header: str) -> str:
    """The name in a Host header that the application has found to be one: in lower case, without the port and DNS's root."""
    name, separator, port = header.rpartition(":")
    # The last colon of `[::1]` stands before no port.
    return (name if separator and port.isdigit() else header).lower().removesuffix(".")
