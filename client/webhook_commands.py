"""`secateur webhooks …`: where a project is told of its jobs, and what became of each message."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer
from rich.table import Column, Table

from client import options
from client.terminal import add_row, open_client, out, print_json, problems_shown, show
from client.webhooks import Delivery, Webhook

webhooks = typer.Typer(no_args_is_help=True, help="Be told of jobs: make webhooks, test them, see what they were sent.")

WebhookId = Annotated[str, typer.Argument(help="The webhook's id, whk_…", metavar="ID")]
DeliveryId = Annotated[str, typer.Argument(help="The delivery's id, dlv_…", metavar="DELIVERY")]
Events = Annotated[list[str] | None, typer.Option("--event", help="Only this event (repeatable): job.succeeded.")]


@webhooks.command("create")
def create(
    url: Annotated[str, typer.Argument(help="Where to send: https://…")],
    event: Events = None,
    description: Annotated[str, typer.Option(help="Yours to choose.")] = "",
    as_json: options.AsJson = False,
    server: options.Server = None,
    key: options.Key = None,
) -> None:
    """Make a webhook and show its secret, this once."""
    with problems_shown(), open_client(server, key) as client:
        _show_with_secret(client.webhooks.create(url, events=event or (), description=description), as_json=as_json)


@webhooks.command("list")
def list_all(as_json: options.AsJson = False, server: options.Server = None, key: options.Key = None) -> None:
    """List the project's webhooks."""
    with problems_shown(), open_client(server, key) as client:
        found = list(client.webhooks.list())
        if as_json:
            print_json([webhook.raw for webhook in found])
            return
        table = Table(Column("webhook", no_wrap=True, min_width=30), "url", "events", "state")
        for webhook in found:
            add_row(table, webhook.id, webhook.url, ", ".join(webhook.events) or "all", _state_of(webhook))
        out.print(table)


@webhooks.command("switch")
def switch(
    webhook_id: WebhookId,
    is_on: Annotated[bool, typer.Option("--on/--off", help="On again after it was switched off; off: sent nothing.")],
    as_json: options.AsJson = False,
    server: options.Server = None,
    key: options.Key = None,
) -> None:
    """Switch a webhook on or off."""
    with problems_shown(), open_client(server, key) as client:
        webhook = client.webhooks.update(webhook_id, active=is_on)
        show(webhook.raw, f"{webhook.id} is {_state_of(webhook)}", as_json=as_json)


@webhooks.command("rotate")
def rotate(
    webhook_id: WebhookId,
    overlap_seconds: Annotated[int, typer.Option(help="So long the old secret signs as well.", min=0)] = 24 * 3600,
    as_json: options.AsJson = False,
    server: options.Server = None,
    key: options.Key = None,
) -> None:
    """Replace a webhook's secret and show the new one, this once."""
    with problems_shown(), open_client(server, key) as client:
        _show_with_secret(client.webhooks.rotate(webhook_id, overlap_seconds=overlap_seconds), as_json=as_json)


@webhooks.command("delete")
def delete(webhook_id: WebhookId, server: options.Server = None, key: options.Key = None) -> None:
    """Delete a webhook, with the log of its deliveries."""
    with problems_shown(), open_client(server, key) as client:
        client.webhooks.delete(webhook_id)


@webhooks.command("test")
def send_test(
    webhook_id: WebhookId, as_json: options.AsJson = False, server: options.Server = None, key: options.Key = None
) -> None:
    """Have a test message sent."""
    with problems_shown(), open_client(server, key) as client:
        _show_delivery(client.webhooks.test(webhook_id), as_json=as_json)


@webhooks.command("deliveries")
def deliveries(
    webhook_id: WebhookId,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 20,
    as_json: options.AsJson = False,
    server: options.Server = None,
    key: options.Key = None,
) -> None:
    """List what a webhook was sent and is to be sent, newest first."""
    with problems_shown(), open_client(server, key) as client:
        found = list(islice(client.webhooks.deliveries(webhook_id, page_size=min(limit, 100)), limit))
        if as_json:
            print_json([delivery.raw for delivery in found])
            return
        table = Table(Column("delivery", no_wrap=True, min_width=30), "event", "state", "tries", "answer", "job")
        for one in found:
            answer = one.status if one.error is None else one.error
            add_row(table, one.id, one.type, one.state, one.attempt, answer, one.job_id)
        out.print(table)


@webhooks.command("redeliver")
def redeliver(
    webhook_id: WebhookId,
    delivery_id: DeliveryId,
    as_json: options.AsJson = False,
    server: options.Server = None,
    key: options.Key = None,
) -> None:
    """Have a message sent again."""
    with problems_shown(), open_client(server, key) as client:
        _show_delivery(client.webhooks.redeliver(webhook_id, delivery_id), as_json=as_json)


def _show_with_secret(webhook: Webhook, *, as_json: bool) -> None:
    show(webhook.raw, f"{webhook.id}\nsecret, shown this once: {webhook.secret}", as_json=as_json)


def _show_delivery(delivery: Delivery, *, as_json: bool) -> None:
    line = f"{delivery.id} {delivery.state}\n  see:  secateur webhooks deliveries {delivery.webhook_id}"
    show(delivery.raw, line, as_json=as_json)


def _state_of(webhook: Webhook) -> str:
    if webhook.active:
        return "on"
    return f"off ({webhook.disabled_reason})" if webhook.disabled_reason else "off"
