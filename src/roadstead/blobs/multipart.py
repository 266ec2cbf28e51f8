"""
Unfinished multipart uploads in an S3 bucket: what a node leaves that was killed while an object came in.

They are in no listing of objects and cost as much as these. obstore cannot list them, so this asks by botocore, which only workers
load. Google Cloud Storage and Azure are not asked: the bucket's own lifecycle rule does the same there (docs/decisions/0006).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from roadstead.errors import StorageBroken

# obstore's names of a setting, in lower case → botocore's.
_CLIENT = {
    "aws_access_key_id": "aws_access_key_id",
    "aws_secret_access_key": "aws_secret_access_key",
    "aws_session_token": "aws_session_token",
    "aws_token": "aws_session_token",
    "aws_region": "region_name",
    "aws_default_region": "region_name",
    "aws_endpoint": "endpoint_url",
    "aws_endpoint_url": "endpoint_url",
    "aws_endpoint_url_s3": "endpoint_url",
}
_REGION = "us-east-1"  # obstore's, where nobody says otherwise
_VIRTUAL_HOSTS = "aws_virtual_hosted_style_request"
CONNECT_SECONDS, READ_SECONDS = 3, 20
# What says that this server or this account does not do it: nothing is wrong with the blobs then.
_IMPOSSIBLE = {"AccessDenied", "NotImplemented", "MethodNotAllowed"}

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Unfinished:
    key: str
    upload: str
    begun_at_us: int


class Multipart:
    """address: s3://BUCKET/PREFIX; options as for obstore. Blocks: use it in a thread. Raises StorageBroken."""

    def __init__(self, address: str, options: Mapping[str, str]) -> None:
        parts = urlsplit(address)
        self._bucket = parts.netloc
        self._prefix = f"{prefix}/" if (prefix := parts.path.strip("/")) else ""
        arguments = client_arguments(options)
        session = botocore.session.get_session()
        arguments.setdefault("region_name", session.get_config_variable("region") or _REGION)
        try:
            self._client: Any = session.create_client("s3", **arguments)
        except (BotoCoreError, ValueError) as error:
            raise _translated(error) from error

    def abort(self, folder: str, before_us: int) -> int:
        """
        Give up those below the folder that were begun before then; returns how many. Raises StorageBroken.

        Where listing them is not allowed or not known, none are.
        """
        try:
            # All are listed first: some servers refuse to go on from an upload that is gone.
            old = [each for each in self._unfinished(f"{self._prefix}{folder}/") if each.begun_at_us < before_us]
            for each in old:
                self._abort(each)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code"))
            if code not in _IMPOSSIBLE:
                raise _translated(error) from error
            _log.warning("unfinished multipart uploads are left to the bucket's own rules", bucket=self._bucket, code=code)
            return 0
        except BotoCoreError as error:
            raise _translated(error) from error
        return len(old)

    def _unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """Keys are random, so a key has no more than one, and the key alone says where the next page begins."""
        after: dict[str, str] = {}
        while True:
            page = self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=prefix, **after)
            for each in page.get("Uploads", []):
                yield Unfinished(each["Key"], each["UploadId"], int(each["Initiated"].timestamp() * 1e6))
            following = {"KeyMarker": page.get("NextKeyMarker", "")}
            if not page.get("IsTruncated") or following == after:
                return
            after = following

    def _abort(self, unfinished: Unfinished) -> None:
        try:
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=unfinished.key, UploadId=unfinished.upload)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "NoSuchUpload":
                raise


def client_arguments(options: Mapping[str, str]) -> dict[str, Any]:
    """What obstore is told, for botocore. What is not said comes to both from the same AWS_… variables."""
    known = {name if name.startswith("aws_") else f"aws_{name}": value for name, value in _lower(options).items()}
    style = "virtual" if known.get(_VIRTUAL_HOSTS, "").lower() in ("true", "1", "yes", "on") else "path"
    config = Config(
        connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"total_max_attempts": 3}, s3={"addressing_style": style}
    )
    return {"config": config, **{_CLIENT[name]: value for name, value in known.items() if name in _CLIENT}}


def _lower(options: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in options.items()}


def _translated(error: Exception) -> StorageBroken:
    return StorageBroken(f"the object storage does not tell its unfinished uploads ({str(error)[:200]}): try again in a moment")
