"""A bucket on an S3 server in this process, for tests of what lies on object storage."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Bucket:
    """A bucket.

    Attributes:
        name: Its name.
        endpoint: Address of the server.
        client: That of boto3.
    """

    name: str
    endpoint: str
    client: Any

    def address(self, key: str) -> str:
        """Returns the address of a key."""
        return f"s3://{self.name}/{key}"

    def put(self, key: str, content: bytes) -> str:
        """Stores something and returns its address."""
        self.client.put_object(Bucket=self.name, Key=key, Body=content)
        return self.address(key)

    def put_folder(self, folder: Path, prefix: str) -> str:
        """Stores all files of a folder below a prefix and returns its address."""
        for file in folder.rglob("*"):
            if file.is_file():
                self.put(f"{prefix}/{file.relative_to(folder).as_posix()}", file.read_bytes())
        return self.address(prefix)

    def delete(self, key: str) -> None:
        """Deletes a key."""
        self.client.delete_object(Bucket=self.name, Key=key)


def serve_bucket() -> Iterator[Bucket]:
    """Serves a bucket, to which the environment leads, until the generator is closed."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("AWS_"):
                patch.delenv(name)
        patch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT", endpoint)
        patch.setenv("AWS_ALLOW_HTTP", "true")
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        client.create_bucket(Bucket="pictures")
        yield Bucket("pictures", endpoint, client)
    server.stop()
