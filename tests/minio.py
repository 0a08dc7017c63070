"""MinIO as a real object store: a server on loopback that tells Kafka of new objects, and a client."""

from __future__ import annotations

import os
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from streams.local.ports import LOOPBACK, free_ports
from streams.topics import UPLOADS
from tests.tools import require_built
from tests.waiting import until

ARN = "arn:minio:sqs::PRIMARY:kafka"
KEY, SECRET = "dailies-test", "dailies-test-secret"


def program() -> str:
    """The server, as ``make minio`` has built or found it; without it the test skips by name."""
    return require_built("minio")


@dataclass
class Minio:
    """One server. Its events wait in a folder of its own while Kafka is away."""

    folder: Path
    kafka: str
    port: int = field(default_factory=lambda: free_ports(1)[0])
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client's process is given."""
        names = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}
        return names | {"AWS_ENDPOINT_URL": self.endpoint}

    def start(self) -> None:
        """Start it, and return when it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        own = {
            "MINIO_ROOT_USER": KEY,
            "MINIO_ROOT_PASSWORD": SECRET,
            "MINIO_BROWSER": "off",
            "MINIO_NOTIFY_KAFKA_ENABLE_PRIMARY": "on",
            "MINIO_NOTIFY_KAFKA_BROKERS_PRIMARY": self.kafka,
            "MINIO_NOTIFY_KAFKA_TOPIC_PRIMARY": UPLOADS.name,
            "MINIO_NOTIFY_KAFKA_QUEUE_DIR_PRIMARY": str(self.spool),
        }
        command = [program(), "server", "--address", f"{LOOPBACK}:{self.port}", "--quiet", str(self.folder / "data")]
        with (self.folder / "minio.log").open("ab") as log:
            self.process = subprocess.Popen(command, env={**os.environ, **own}, stdout=log, stderr=log)
        until(self._ready, "MinIO to answer", 120)

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "minio.log").read_text()[-2000:]
        try:
            with urllib.request.urlopen(f"{self.endpoint}/minio/health/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """End it; objects and unsent events stay."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    @property
    def spool(self) -> Path:
        """Where events wait for Kafka."""
        return self.folder / "spool"

    def spooled(self) -> int:
        """How many events wait."""
        return sum(1 for path in self.spool.rglob("*") if path.is_file())

    @cached_property
    def client(self) -> Any:
        """An S3 client."""
        from botocore.session import get_session

        return get_session().create_client(
            "s3", endpoint_url=self.endpoint, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1"
        )

    def bucket(self, name: str, *, versioned: bool = False) -> str:
        """A bucket that tells of new objects."""
        self.client.create_bucket(Bucket=name)
        if versioned:
            self.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        told = {"QueueConfigurations": [{"QueueArn": ARN, "Events": ["s3:ObjectCreated:*"]}]}
        self.client.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=told)
        return name

    def put(self, bucket: str, key: str, data: bytes) -> str:
        """Upload an object in one piece; its URI."""
        self.client.put_object(Bucket=bucket, Key=key, Body=data)
        return f"s3://{bucket}/{key}"

    def put_in_parts(self, bucket: str, key: str, parts: list[bytes]) -> tuple[str, str]:
        """Upload an object in parts; its URI and its etag."""
        place = {"Bucket": bucket, "Key": key}
        upload = self.client.create_multipart_upload(**place)["UploadId"]
        done = []
        for number, data in enumerate(parts, 1):
            answer = self.client.upload_part(**place, UploadId=upload, PartNumber=number, Body=data)
            done.append({"PartNumber": number, "ETag": answer["ETag"]})
        answer = self.client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": done})
        return f"s3://{bucket}/{key}", answer["ETag"].strip('"')
