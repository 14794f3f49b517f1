"""One line an event, as text or JSON, with the job, request and trace it belongs to; secrets are taken out first."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, TextIO

import structlog

from core.settings import Settings
from core.tracing.carried import show_trace

SECRET_NAMES: Final = re.compile(r"key|secret|token|password|authorization|cookie|pepper|_url$", re.IGNORECASE)
HARMLESS_NAMES: Final = frozenset({"key_id", "page_token"})
SECRET_TEXTS: Final = re.compile(
    r"sct_[0-9a-z]{12}_[0-9a-z]+|whsec_[0-9A-Za-z+/=]+|(?<=://)[^/\s:@]*:[^/\s@]*(?=@)|(?<=X-Amz-Signature=)[0-9a-f]+"
)
"""Our keys, webhooks' secrets, user and password of a URL, and what signs an address in the store, in any text."""

HIDDEN: Final = "[hidden]"


def configure_logging(settings: Settings) -> None:
    """Send structlog's and the libraries' lines to standard error, in the format that the settings ask for."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        *([show_trace] if settings.otlp_endpoint else []),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]
    as_json = settings.log_format == "json"
    render: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(  # straight to the stream: by way of the standard library a line costs twice as much
        processors=[*shared, render],
        logger_factory=partial(_lines_to, sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[remove, render]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)


def _lines_to(stream: TextIO, *_name: object) -> _Lines:
    """Return what writes to the stream; the name that a module's logger may have is not asked for."""
    return _Lines(stream)


class _Lines(structlog.WriteLogger):
    """A line that the stream does not take, on a full disk or into a closed pipe, is lost, and fails no work."""

    def msg(self, message: str) -> None:
        with suppress(OSError, ValueError):
            super().msg(message)

    info = warning = error = critical = msg


def hide_secrets(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what must not be written: values under telling names, and keys and passwords inside any text."""
    for name, value in line.items():
        line[name] = _hidden(name, value)
    return line


def redact(text: str) -> str:
    """Return a text without the keys and passwords in it."""
    return SECRET_TEXTS.sub(HIDDEN, text)


def _hidden(name: str, value: object) -> object:
    """Return a value without its secrets; `name` is the nearest name above it, in dicts and lists too."""
    if SECRET_NAMES.search(name) and name not in HARMLESS_NAMES:
        return HIDDEN
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: _hidden(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(name, item) for item in value]
    return value
