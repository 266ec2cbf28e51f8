"""
The Open Container Initiative's own conformance suite, run against a registry and counted.

As a program, `python -m tests.kit.conformance [URL]` prints the counts of every version and exits 1 unless all of them are passes.
Without URL it starts a Roadstead of its own.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

from tests.kit.program import NOTHING_MORE
from tests.kit.server import serving

PROGRAM = Path(__file__).parents[2] / ".cache/bin/conformance"
VERSIONS = ("1.1", "dev")
TIMEOUT_SECONDS = 300

# The suite leaves these out of 1.1 because that version only recommends them, or does not know them yet.
# OCI_DATA_SPARSE stays off, which is the suite's default for every version: it pushes manifests whose layers and children are
# missing. The specification demands that only for the subject (OCI_DATA_SUBJECT_MISSING, which is on), and answering
# MANIFEST_BLOB_UNKNOWN is our promise that what can be named can also be pulled.
CATEGORIES = {
    "OCI_API_BLOBS_DIGEST_HEADER": "true",
    "OCI_API_BLOBS_UPLOAD_CANCEL": "true",
    "OCI_API_MANIFESTS_DIGEST_HEADER": "true",
    "OCI_API_MANIFESTS_TAG_PARAM": "true",
}


class SuiteDidNotRun(RuntimeError):
    """The suite ended without results, or with an exit code that contradicts them; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Case:
    """One request of the suite. status is passed, skipped, failure or error; reason is empty for most that passed."""

    name: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    version: str
    cases: Sequence[Case]

    @property
    def passed(self) -> list[Case]:
        return [case for case in self.cases if case.status == "passed"]

    @property
    def skipped(self) -> list[Case]:
        return [case for case in self.cases if case.status == "skipped"]

    @property
    def failed(self) -> list[Case]:
        """Everything that neither passed nor was skipped, so that an unknown status counts as a failure."""
        return [case for case in self.cases if case.status not in {"passed", "skipped"}]

    def __str__(self) -> str:
        counts = f"{len(self.passed)} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"
        return f"OCI conformance {self.version}: {counts}"

    def details(self) -> str:
        """What failed and what was skipped, with the suite's reason."""
        return "\n".join(f"{case.status}: {case.name}\n    {case.reason}" for case in [*self.failed, *self.skipped])


def run(
    url: str, version: str, results: Path, program: Path = PROGRAM, project: str = "", settings: Mapping[str, str] = NOTHING_MORE
) -> Report:
    """
    Run the suite in two new repositories of the project, by default a new one; its own reports stay in the folder results.

    settings: the suite's own, such as OCI_USERNAME and OCI_PASSWORD.

    Raises SuiteDidNotRun.
    """
    address = urlsplit(url)
    project = project or f"conformance-{secrets.token_hex(4)}"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OCI_")},
        **CATEGORIES,
        "OCI_VERSION": version,
        "OCI_REGISTRY": address.netloc,
        "OCI_TLS": "disabled" if address.scheme == "http" else "enabled",
        "OCI_REPO1": f"{project}/repository-1",
        "OCI_REPO2": f"{project}/repository-2",
        "OCI_RESULTS_DIR": str(results),
        **settings,
    }
    results.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([program], capture_output=True, text=True, cwd=results, env=environment, timeout=TIMEOUT_SECONDS, check=False)
    if not (results / "junit.xml").exists():
        raise SuiteDidNotRun(f"{done.stdout}\n{done.stderr}")
    report = Report(version, read_cases(results / "junit.xml"))
    if not report.cases or bool(report.failed) != bool(done.returncode):
        raise SuiteDidNotRun(f"exit code {done.returncode}, yet {report}\n{done.stdout}\n{done.stderr}")
    return report


def read_cases(junit: Path) -> list[Case]:
    """The leaves of the suite's tree; its totals also count every branch."""
    cases = ElementTree.parse(junit).iter("testcase")
    return [Case(case.get("name", ""), case.get("status", "error"), (case.findtext("system-out") or "").strip()) for case in cases]


def compare(url: str) -> bool:
    """Print the counts of each version, then what is not a pass; true when everything is."""
    with tempfile.TemporaryDirectory() as folder:
        reports = [run(url, version, Path(folder, version)) for version in VERSIONS]
    print(f"{'version':<10}{'passed':>8}{'failed':>8}{'skipped':>9}")
    for report in reports:
        print(f"{report.version:<10}{len(report.passed):>8}{len(report.failed):>8}{len(report.skipped):>9}")
    for report in reports:
        print(f"{report}\n{report.details()}".strip())
    return not any(report.failed or report.skipped for report in reports)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kit.conformance", description=__doc__)
    parser.add_argument("url", nargs="?", help="base address of a registry, e.g. http://127.0.0.1:5000")
    url: str | None = parser.parse_args().url
    if not PROGRAM.exists():
        sys.exit("the conformance suite is not installed: run tests/install-tools")
    if url:
        return 0 if compare(url) else 1
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder, "data")) as server:
        return 0 if compare(server.url) else 1


if __name__ == "__main__":
    sys.exit(main())
