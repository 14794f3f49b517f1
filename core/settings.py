"""Every knob of the service, its unit in its name, read once from the environment (`SECATEUR_…`)."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The embedded default needs none of these; scale-out sets `database_url`, `broker_url` and `storage_url`."""

    model_config = SettingsConfigDict(env_prefix="SECATEUR_", env_file=".env", extra="ignore")

    data_dir: Path = Field(
        default=Path("var"), description="SQLite file, blobs, uploads and secrets of the embedded default."
    )
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)

    database_url: SecretStr | None = Field(
        default=None, description="postgresql+psycopg://…; absent: SQLite in data_dir."
    )
    broker_url: SecretStr | None = Field(
        default=None, description="redis://…; absent: the worker polls the jobs table."
    )
    storage_url: str | None = Field(default=None, description="s3://bucket/prefix; absent: files in data_dir.")
    s3_endpoint: str | None = None
    s3_public_endpoint: str | None = Field(
        default=None, description="Where clients reach the store, if elsewhere than this service does."
    )
    s3_region: str = "us-east-1"
    s3_access_key_id: str | None = None
    s3_secret_access_key: SecretStr | None = None

    key_pepper: SecretStr | None = Field(
        default=None, description="Keyed hash of API keys; absent: made once in data_dir."
    )
    admin_key: SecretStr | None = Field(default=None, description="Absent: made and printed once at first start.")

    max_upload_bytes: int = 4 * 1024**3
    upload_max_age_seconds: int = 24 * 3600
    direct_part_bytes: int = Field(
        default=16 * 1024**2, ge=5 * 1024**2, le=1024**3, description="Of one part that a client puts into S3 itself."
    )
    signed_url_seconds: int = Field(
        default=3600, ge=60, le=7 * 24 * 3600, description="So long an address in the store that is handed out works."
    )
    max_request_bytes: int = Field(default=1024**2, description="Bodies other than uploads.")
    requests_per_minute: int | None = Field(
        default=60_000, ge=1, description="Of one key at one web process; projects and organisations may have less."
    )

    worker_devices: list[Literal["cpu", "gpu"]] | None = Field(
        default=None, description="absent: gpu if there is one, and cpu."
    )
    lease_seconds: float = Field(default=60, gt=0)
    poll_seconds: float = Field(default=0.5, gt=0)
    crash_limit: int = Field(default=3, ge=1)
    interrupt_limit: int = Field(default=20, ge=1)
    fault_limit: int = Field(default=10, ge=1, description="Tries that the worker itself, not the job, made fail.")
    device_wait_seconds: float = Field(
        default=600, gt=0, description="How long a job waits for a device that no worker serves."
    )
    retention_days: int = Field(
        default=30, ge=1, description="Ended jobs and their files are kept so long; so long a job may wait."
    )

    webhook_private_networks: list[IPv4Network | IPv6Network] = Field(
        default=[], description="Where webhooks may go beside the public internet, and by plain HTTP: 10.0.0.0/8."
    )
    webhook_ca_file: Path | None = Field(
        default=None, description="Certificates that a webhook's receiver may be signed by, beside the system's."
    )
    webhook_timeout_seconds: float = Field(default=15, gt=0, description="For one try in all, from name to answer.")
    webhook_disable_days: float = Field(default=5, gt=0, description="So long a webhook may fail without a break.")
    webhooks_per_project: int = Field(default=20, ge=1)

    sandbox: Literal["auto", "bubblewrap", "limits"] = Field(
        default="auto", description="auto: bubblewrap where it works, else limits."
    )
    job_memory_bytes: int = 16 * 1024**3
    job_disk_bytes: int = Field(
        default=16 * 1024**3, description="Of any one file, and of all that a job has on the worker's disk."
    )
    inspect_memory_bytes: int = Field(
        default=8 * 1024**3, description="Address space: torch, for uploads that are not ONNX, reserves half of it."
    )
    inspect_seconds: float = Field(default=180, description="ONNX takes seconds; what torch has to convert, a minute.")
    job_grace_seconds: float = Field(default=120, description="Added to a recipe's budget before the child is killed.")

    stop_grace_seconds: float = Field(default=10, description="Between asking the child to end and killing it.")

    web_drain_seconds: float = Field(
        default=5,
        ge=0,
        description="So long a web process that is told to stop still answers, unready; secateur-server: 0.",
    )
    worker_drain_seconds: float = Field(
        default=30,
        ge=0,
        description="So long a worker that is told to stop lets jobs run on before it gives them back; "
        "secateur-server: 0.",
    )

    admin_host: str = "127.0.0.1"
    admin_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Where a process shows its metrics, without a key; absent: nowhere. secateur-server: the web "
        "process here, the worker one port further, the sender two.",
    )
    otlp_endpoint: str | None = Field(
        default=None, description="http://collector:4318, to which traces are sent; absent: none are made."
    )
    log_format: Literal["json", "text"] = "text"


@lru_cache
def settings() -> Settings:
    """Return the settings of this process; tests clear the cache after changing the environment."""
    return Settings()
