"""Who is signed in: a signed cookie that names a key of the operator, and the proofs that a POST came from our page.

The cookie holds no key. The key's row is read again with every page, so a revoked key closes its sessions at once.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from app.identity import Identity, still_known
from app.services import Services

MAX_AGE_SECONDS = 12 * 3600
COOKIE = "secateur_session"
SECURE_COOKIE = "__Host-secateur_session"


@dataclass(frozen=True)
class Session:
    """One browser's session; `key_id` is the public id of the key, None before signing in."""

    csrf: str
    key_id: str | None = None


def begin(key_id: str | None = None) -> Session:
    """Start a session with a fresh token; signing in starts a new one, so that a planted cookie is worth nothing."""
    return Session(csrf=secrets.token_urlsafe(24), key_id=key_id)


def read(request: Request, pepper: bytes) -> Session:
    """Return the session of the request's cookie; without one, or with one that is old or not ours, a new one."""
    cookie = request.cookies.get(_cookie_name(request), "")
    try:
        content = _serializer(pepper).loads(cookie, max_age=MAX_AGE_SECONDS)
    except BadSignature:
        return begin()
    return Session(csrf=content["csrf"], key_id=content["key_id"])


def write(request: Request, response: Response, session: Session, pepper: bytes) -> None:
    """Set the session's cookie. Over https its name binds it to this host and to https."""
    response.set_cookie(
        _cookie_name(request),
        _serializer(pepper).dumps({"csrf": session.csrf, "key_id": session.key_id}),
        max_age=MAX_AGE_SECONDS,
        path="/",  # what the __Host- prefix asks for
        httponly=True,
        samesite="lax",
        secure=_is_https(request),
    )


def end(request: Request, response: Response) -> None:
    """Take the cookie away."""
    response.delete_cookie(_cookie_name(request), path="/", httponly=True, samesite="lax", secure=_is_https(request))


def came_from_our_page(request: Request, session: Session, token: str) -> bool:
    """Check the token of a form, and what the browser says of where the form stood.

    A browser that says nothing, or says `null` because pages here send no referrer, is judged by the token alone.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "null")
    if site is not None:
        same_site = site in ("same-origin", "none")
    else:
        same_site = origin == "null" or urlsplit(origin).netloc == request.headers.get("host")
    return same_site and hmac.compare_digest(token.encode(), session.csrf.encode())


async def is_signed_in(services: Services, session: Session) -> bool:
    """Say whether the session's key is still one of the operator's, by its row."""
    return await operator_of(services, session) is not None


async def operator_of(services: Services, session: Session) -> Identity | None:
    """Return whose session it is, by the key's row as it is now; None unless that is the operator's."""
    if session.key_id is None:
        return None
    identity = await still_known(services, session.key_id)
    return identity if identity is not None and identity.is_operator else None


def _serializer(pepper: bytes) -> URLSafeTimedSerializer:
    signing = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    return URLSafeTimedSerializer(pepper, salt="secateur.dashboard.session", signer_kwargs=signing)


def _cookie_name(request: Request) -> str:
    return SECURE_COOKIE if _is_https(request) else COOKIE


def _is_https(request: Request) -> bool:
    return request.url.scheme == "https"
