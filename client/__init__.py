"""Secateur's Python SDK and command line: HTTP only, and nothing of the service's own code.

from client import Client
"""

from client.client import Client
from client.errors import ClientError, DownloadCorrupt, JobFailed, NotGenuine, Refused, ServerUnreachable, UsageError
from client.manifests import Verified, read_public_keys, verify_manifest
from client.resources import Artifact, Candidate, Job
from client.signatures import verify_webhook
from client.tenancy import Key, Project
from client.webhooks import Delivery, Webhook

__all__ = [
    "Artifact",
    "Candidate",
    "Client",
    "ClientError",
    "Delivery",
    "DownloadCorrupt",
    "Job",
    "JobFailed",
    "Key",
    "NotGenuine",
    "Project",
    "Refused",
    "ServerUnreachable",
    "UsageError",
    "Verified",
    "Webhook",
    "read_public_keys",
    "verify_manifest",
    "verify_webhook",
]
