"""Files that gather in an S3 store part by part: put by clients, by URLs that are signed for one step each, or by us.

Over boto3, which signs what obstore cannot: the parts of a multipart upload. Everything blocks, but for the URLs.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from typing import Any, Final
from urllib.parse import quote, urlsplit

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.settings import Settings
from core.storage.base import HEAD_BYTES, BlobMissing, Gathered, Part, PartsMismatch, StorageUnavailable, key_of

READ_BYTES: Final = 1024 * 1024
COPY_LIMIT_BYTES: Final = 5 * 1024**3
"""The most that S3 copies in one step; boto3 copies more in parts."""


class S3Direct:
    """Signs for one bucket. Parts gather in an object of the upload's own, which nobody else reads or names."""

    def __init__(self, settings: Settings) -> None:
        url = urlsplit(settings.storage_url or "")
        self._bucket, self._prefix = url.netloc, url.path.strip("/")
        self._settings = settings

    def begin(self, upload_id: str) -> str:
        """Begin a multipart upload and return the store's name for it."""
        with _errors(upload_id):
            begun = self._client.create_multipart_upload(**self._at(_gathering(upload_id)))
            return str(begun["UploadId"])

    def part_url(self, upload_id: str, multipart_id: str, part: Part, seconds: int) -> str:
        """Return where one part is to be PUT. Its size is signed, too: the store takes neither more nor less."""
        place = {"UploadId": multipart_id, "PartNumber": part.number, "ContentLength": part.size_bytes}
        return self._signed("upload_part", self._at(_gathering(upload_id)) | place, seconds)

    def put_part(self, upload_id: str, multipart_id: str, number: int, content: bytes | bytearray) -> None:
        """Put one part ourselves; one of the same number is replaced."""
        place = self._at(_gathering(upload_id)) | {"UploadId": multipart_id, "PartNumber": number}
        with _errors(upload_id):
            self._client.upload_part(**place, Body=bytes(content))

    def put_tail(self, upload_id: str, number: int, content: bytes | bytearray) -> None:
        """Keep the beginning of a part that is not whole yet: parts but the last must have 5 MiB."""
        with _errors(upload_id):
            self._client.put_object(**self._at(f"{_gathering(upload_id)}.tail{number}"), Body=bytes(content))

    def tail(self, upload_id: str, number: int) -> bytes:
        """Return what is kept of a part. Raises BlobMissing."""
        with _errors(upload_id):
            found = self._client.get_object(**self._at(f"{_gathering(upload_id)}.tail{number}"))
            return bytes(found["Body"].read())

    def parts(self, upload_id: str, multipart_id: str) -> list[Part]:
        """List the parts that have arrived. Raises BlobMissing when nothing is gathered under these names any more."""
        with _errors(upload_id):
            pages = self._client.get_paginator("list_parts").paginate(
                **self._at(_gathering(upload_id)), UploadId=multipart_id
            )
            found = [part for page in pages for part in page.get("Parts", [])]
        return [Part(part["PartNumber"], part["Size"], part["ETag"]) for part in found]

    def join(self, upload_id: str, multipart_id: str, parts: list[Part]) -> None:
        """Make one object of the parts, unless that was done before. Raises PartsMismatch when one was replaced."""
        listed = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        place = self._at(_gathering(upload_id))
        with _errors(upload_id):
            self._client.complete_multipart_upload(**place, UploadId=multipart_id, MultipartUpload={"Parts": listed})

    def read(self, upload_id: str) -> Gathered:
        """Read all that was joined and count its sha256. Raises BlobMissing where nothing was joined yet."""
        counted, size_bytes, head = hashlib.sha256(), 0, b""
        with _errors(upload_id):
            body = self._client.get_object(**self._at(_gathering(upload_id)))["Body"]
            for chunk in body.iter_chunks(READ_BYTES):
                counted.update(chunk)
                size_bytes += len(chunk)
                head = head or chunk[:HEAD_BYTES]
        return Gathered(counted.hexdigest(), size_bytes, head)

    def publish(self, upload_id: str, sha256: str) -> None:
        """Copy what was joined to its place among the blobs, inside the store."""
        source = self._at(_gathering(upload_id))
        with _errors(upload_id):
            whole = TransferConfig(multipart_threshold=COPY_LIMIT_BYTES, use_threads=False)
            self._client.copy(CopySource=source, **self._at(key_of(sha256)), Config=whole)

    def discard(self, upload_id: str, multipart_id: str) -> None:
        """Forget the parts and what was joined of them; what is not there is forgotten already."""
        self.abandon(upload_id, multipart_id)
        with _errors(upload_id):
            self._forget(upload_id)

    def abandon(self, upload_id: str, multipart_id: str) -> None:
        """Forget the parts of one gathering, of which an upload may by mischance have two."""
        with _errors(upload_id):
            try:
                self._client.abort_multipart_upload(**self._at(_gathering(upload_id)), UploadId=multipart_id)
            except ClientError as error:
                if _code_of(error) not in _MISSING:
                    raise

    def download_url(self, sha256: str, *, name: str, media_type: str, seconds: int) -> str:
        """Return where a blob can be read as a file of this name, for so long."""
        told = {
            "ResponseContentDisposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
            "ResponseContentType": media_type,
        }
        return self._signed("get_object", self._at(key_of(sha256)) | told, seconds)

    def _forget(self, upload_id: str) -> None:
        place = self._at(_gathering(upload_id))
        for found in self._client.list_objects_v2(Bucket=place["Bucket"], Prefix=place["Key"]).get("Contents", []):
            self._client.delete_object(Bucket=place["Bucket"], Key=found["Key"])

    def _at(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": f"{self._prefix}/{key}".lstrip("/")}

    def _signed(self, operation: str, parameters: dict[str, Any], seconds: int) -> str:
        return str(self._signer.generate_presigned_url(operation, Params=parameters, ExpiresIn=seconds))

    @cached_property
    def _client(self) -> Any:
        return _client(self._settings, self._settings.s3_endpoint)

    @cached_property
    def _signer(self) -> Any:
        return _client(self._settings, self._settings.s3_public_endpoint or self._settings.s3_endpoint)


def _gathering(upload_id: str) -> str:
    return f"gathering/{upload_id}"


def _client(settings: Settings, endpoint: str | None) -> Any:
    """Return a client; without keys in the settings, the usual AWS chain of credentials is asked."""
    keys: dict[str, str] = {}
    if settings.s3_access_key_id and settings.s3_secret_access_key:
        keys["aws_access_key_id"] = settings.s3_access_key_id
        keys["aws_secret_access_key"] = settings.s3_secret_access_key.get_secret_value()
    config = Config(
        signature_version="s3v4",  # a custom endpoint would get version 2, which stores refuse
        s3={"addressing_style": "path" if endpoint else "auto"},
        request_checksum_calculation="when_required",  # clients that PUT to a URL count no CRC
        max_pool_connections=32,  # as many as threads at most
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": 3},
    )
    with _making:
        return _session().client("s3", endpoint_url=endpoint, region_name=settings.s3_region, config=config, **keys)


_making: Final = threading.Lock()
"""Clients may be shared between threads, and the session that makes them may not."""


@cache
def _session() -> Any:
    """Return the one session: it keeps what it has read of S3's description, which takes a third of a second."""
    return boto3.session.Session()


_MISSING: Final = {"NoSuchUpload", "NoSuchKey", "404"}
_REPLACED: Final = {"InvalidPart", "InvalidPartOrder", "EntityTooSmall"}


def _code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def _errors(upload_id: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = _code_of(error)
        if code in _MISSING:
            raise BlobMissing(f"Nothing is gathered in the store for {upload_id}.") from error
        if code in _REPLACED:
            raise PartsMismatch(f"The store does not join the parts of {upload_id}: {code}.") from error
        raise StorageUnavailable(f"The store of files refuses a step of {upload_id}: {code}.") from error
    except BotoCoreError as error:
        raise StorageUnavailable(f"The store of files does not answer: {type(error).__name__}.") from error
