"""What a layer may cost: it was written by a stranger, and a few kilobytes can unpack to terabytes."""

from __future__ import annotations

import dataclasses

MIB = 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """
    A layer past one of the first group is refused with ScanFailed; past one of the second, the file is left out and noted.

    ratio holds from the first 16 MiB on: text of one repeated byte packs to 1/1032 with gzip, a real layer to 1/3, a sparse disk to 1/200.
    zstd_window_bytes is memory that the archive, not we, would choose.
    """

    unpacked_bytes: int = 64 * 1024 * MIB
    ratio: int = 500
    entries: int = 2_000_000
    path_bytes: int = 4096
    path_depth: int = 256
    extension_bytes: int = MIB
    index_entries: int = 250_000
    packages: int = 500_000
    zstd_window_bytes: int = 128 * MIB

    file_bytes: int = 128 * MIB
    listing_bytes: int = 32 * MIB
    text_bytes: int = 64 * 1024
    archive_entries: int = 100_000
    archive_depth: int = 3
    notes: int = 20


DEFAULT = Limits()
