"""Secateur's Python SDK and command line: HTTP only, and nothing of the service's own code.

from client import Client
"""

from client.client import Client
from client.errors import ClientError, DownloadCorrupt, JobFailed, Refused, ServerUnreachable, UsageError
from client.resources import Artifact, Candidate, Job

__all__ = [
    "Artifact",
    "Candidate",
    "Client",
    "ClientError",
    "DownloadCorrupt",
    "Job",
    "JobFailed",
    "Refused",
    "ServerUnreachable",
    "UsageError",
]
