"""What a receiver of webhooks trusts, with messages signed by the specification's own example."""

from __future__ import annotations

import pytest

from client import NotGenuine, UsageError, verify_webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
NOW = 1614265330.0
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
OTHER = "v1,AAAAAAsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_genuine_message_is_returned() -> None:
    assert verify_webhook(HEADERS, BODY, SECRET, now=NOW) == {"test": 2432232314}


def test_names_of_headers_have_no_case_and_the_prefix_may_be_left_out() -> None:
    shouted = {name.upper(): value for name, value in HEADERS.items()}

    assert verify_webhook(shouted, BODY, SECRET.removeprefix("whsec_"), now=NOW)


def test_one_fitting_signature_of_several_is_enough() -> None:
    several = {**HEADERS, "webhook-signature": f"v1a,xyz {OTHER} {HEADERS['webhook-signature']} v1,\N{SNOWMAN}"}

    assert verify_webhook(several, BODY, SECRET, now=NOW)


@pytest.mark.parametrize("seconds", [-299, 0, 299])
def test_a_message_of_now_is_taken(seconds: int) -> None:
    assert verify_webhook(HEADERS, BODY, SECRET, now=NOW + seconds)


@pytest.mark.parametrize("seconds", [-301, 301, 10**9])
def test_an_old_message_is_refused_however_well_it_is_signed(seconds: int) -> None:
    with pytest.raises(NotGenuine, match="not of now"):
        verify_webhook(HEADERS, BODY, SECRET, now=NOW + seconds)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-id", "msg_other"),
        ("webhook-id", ""),
        ("webhook-timestamp", "1614265331"),
        ("webhook-timestamp", "soon"),
        ("webhook-timestamp", ""),
        ("webhook-signature", OTHER),
        ("webhook-signature", HEADERS["webhook-signature"].removeprefix("v1,")),
        ("webhook-signature", HEADERS["webhook-signature"].replace("v1,", "v1a,")),
        ("webhook-signature", ""),
    ],
)
def test_a_header_that_was_changed_is_noticed(name: str, value: str) -> None:
    with pytest.raises(NotGenuine):
        verify_webhook({**HEADERS, name: value}, BODY, SECRET, now=NOW)


@pytest.mark.parametrize("body", [b"", BODY + b" ", b'{"test":2432232314}', BODY.replace(b"4", b"5")])
def test_a_body_that_was_changed_is_noticed(body: bytes) -> None:
    with pytest.raises(NotGenuine, match="No signature"):
        verify_webhook(HEADERS, body, SECRET, now=NOW)


def test_another_secret_fits_nothing_and_what_is_none_is_told() -> None:
    with pytest.raises(NotGenuine):
        verify_webhook(HEADERS, BODY, "whsec_" + "A" * 32, now=NOW)
    with pytest.raises(UsageError, match="secret"):
        verify_webhook(HEADERS, BODY, "whsec_not base64!", now=NOW)
