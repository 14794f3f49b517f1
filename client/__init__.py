"""Secateur's Python SDK and command line: HTTP only, and nothing of the service's own code.

from client import Client
"""

from client.client import Client
from client.errors import ClientError, DownloadCorrupt, JobFailed, NotGenuine, Refused, ServerUnreachable, UsageError
from client.resources import Artifact, Candidate, Job
from client.signatures import verify_webhook
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
    "NotGenuine",
    "Refused",
    "ServerUnreachable",
    "UsageError",
    "Webhook",
    "verify_webhook",
]
