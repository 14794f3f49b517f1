"""Secrets and signatures, held against the example of the specification."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

from core.webhooks.signing import new_salt, secret_of, shown, signed_headers

AT = datetime.fromtimestamp(1614265330, UTC)
SECRET = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
BODY = b'{"test": 2432232314}'


def test_the_signature_is_that_of_the_specifications_own_example() -> None:
    headers = signed_headers([SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", AT, BODY)

    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"


def test_every_secret_signs_for_itself_and_in_order() -> None:
    other = b"o" * 32

    both = signed_headers([SECRET, other], "msg_1", AT, BODY)["webhook-signature"].split(" ")
    alone = [signed_headers([secret], "msg_1", AT, BODY)["webhook-signature"] for secret in (SECRET, other)]

    assert both == alone


def test_a_secret_follows_from_pepper_webhook_and_salt_and_from_nothing_less() -> None:
    salt = new_salt()
    secret = secret_of(b"pepper", "whk_1", salt)
    others = [
        secret_of(b"another", "whk_1", salt),
        secret_of(b"pepper", "whk_2", salt),
        secret_of(b"pepper", "whk_1", new_salt()),
    ]

    assert secret == secret_of(b"pepper", "whk_1", salt)
    assert len(secret) == 32
    assert secret not in others
    assert base64.b64decode(shown(secret).removeprefix("whsec_"), validate=True) == secret
