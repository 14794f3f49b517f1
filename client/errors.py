"""What can go wrong on the client's side, as a tree; each leaf has the command line's exit code.

ClientError             1
├── JobFailed           1   the job ended without a result
├── DownloadCorrupt     1   the bytes that came are not the bytes that were promised
├── NotGenuine          1   a message or manifest is not from the service, not whole, or not of now
├── UsageError          2   an option, a file or a setting of the user's
├── ServerUnreachable   3   no answer for as long as we were patient
└── Refused             4   the server understood and said no
"""

from __future__ import annotations

from client.problem import Problem


class ClientError(Exception):
    """Say what was found, where, and what to do about it."""

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, what_to_do: str | None = None) -> None:
        super().__init__(what)
        self.problem = Problem(title=self.title, what=what, where=where, what_to_do=what_to_do)

    title = "The command could not finish"


class DownloadCorrupt(ClientError):
    title = "The download is damaged"


class NotGenuine(ClientError):
    title = "This cannot be trusted"


class UsageError(ClientError):
    exit_code = 2
    title = "The command cannot be followed"


class ServerUnreachable(ClientError):
    exit_code = 3
    title = "The server does not answer"


class _Told(ClientError):
    """An error that the server described; its words are kept as they are."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


class Refused(_Told):
    exit_code = 4


class JobFailed(_Told):
    """A job that ended as failed, rejected, expired or cancelled; `job_id` names it."""

    def __init__(self, problem: Problem, job_id: str) -> None:
        super().__init__(problem)
        self.job_id = job_id
