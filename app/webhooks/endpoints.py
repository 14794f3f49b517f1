"""`/v1/webhooks`: made, changed, tested, rotated, deleted; and the log of what each was sent.

Making one and rotating its secret take no Idempotency-Key: the stored answer would hold the secret.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from app.answers import json_answer
from app.deps import Id, Reader, Tenant, Writer, check_id
from app.idempotency import Answer, once
from app.openapi import IDEMPOTENT, Responses, heading, problems
from app.pages import PageSize, PageToken, cut_page, page_object, read_page_token
from app.webhooks import service
from app.webhooks.schemas import (
    DeliveriesPage,
    DeliveryDetail,
    DeliveryView,
    NewWebhookView,
    RotationRequest,
    WebhookChange,
    WebhookRequest,
    WebhooksPage,
    WebhookView,
)

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

SENT: Responses = heading(202, "Location") | problems("not-found", "state-conflict")
SECRET = {"Cache-Control": "no-store"}
LAST_WEBHOOK_ID, LAST_DELIVERY_ID = "whk_~", "dlv_~"


@router.post("", status_code=201, response_model=NewWebhookView, responses=problems("quota-exceeded"))
async def create_webhook(tenant: Writer, asked: WebhookRequest) -> Response:
    """Make a webhook. Its secret is in this one answer and never again."""
    view = await tenant.write(lambda session, project: service.create(session, project, tenant.services, asked))
    return json_answer(view, 201, SECRET | {"Location": f"/v1/webhooks/{view['id']}"})


@router.get("", response_model=WebhooksPage, responses=problems("invalid-page-token"))
async def list_webhooks(tenant: Reader, page_size: PageSize = 50, page_token: PageToken = None) -> Response:
    """List the project's webhooks, newest first."""
    before = LAST_WEBHOOK_ID if page_token is None else read_page_token(page_token, "webhooks")
    rows = await tenant.fetch_all(service.webhooks_page_statement, before=before, limit=page_size + 1)
    return json_answer(page_object("webhooks", *cut_page(rows, page_size, "webhooks")))


@router.get("/{webhook_id}", response_model=WebhookView, responses=problems("not-found"))
async def get_webhook(webhook_id: Id, tenant: Reader) -> Response:
    """Show a webhook, and whether it fails."""
    return json_answer(await _webhook(tenant, webhook_id))


@router.patch("/{webhook_id}", response_model=WebhookView, responses=problems("not-found"))
async def change_webhook(webhook_id: Id, tenant: Writer, asked: WebhookChange) -> Response:
    """Change a webhook. One that is switched off is sent nothing, and what waited for it is given up."""
    check_id("webhook", webhook_id)

    def work(session: Session, project_id: str) -> Response:
        return json_answer(service.change(session, project_id, tenant.services, webhook_id, asked))

    return await tenant.write(work)


@router.delete("/{webhook_id}", status_code=204, responses=problems("not-found"))
async def delete_webhook(webhook_id: Id, tenant: Writer) -> Response:
    """Delete a webhook, with the log of its deliveries."""
    check_id("webhook", webhook_id)
    await tenant.write(lambda session, project_id: service.remove(session, project_id, webhook_id))
    return Response(status_code=204)


@router.post(
    "/{webhook_id}/test",
    status_code=202,
    response_model=DeliveryView,
    responses=SENT,
    openapi_extra=IDEMPOTENT,
)
async def test_webhook(request: Request, webhook_id: Id, tenant: Writer) -> Response:
    """Have a message of type `webhook.test` sent, once; its delivery tells what came of it."""
    check_id("webhook", webhook_id)

    def work(session: Session, project_id: str) -> Answer:
        return _sent(service.test(session, project_id, webhook_id))

    return await once(tenant, request, {"test": webhook_id}, work)


@router.post("/{webhook_id}/rotate", response_model=NewWebhookView, responses=problems("not-found"))
async def rotate_secret(webhook_id: Id, tenant: Writer, asked: RotationRequest | None = None) -> Response:
    """Replace the secret. For `overlap_seconds` the old one signs beside the new one, then its time is over."""
    check_id("webhook", webhook_id)
    overlap_seconds = (asked or RotationRequest()).overlap_seconds

    def work(session: Session, project_id: str) -> Response:
        view = service.rotate(session, project_id, tenant.services, webhook_id, overlap_seconds)
        return json_answer(view, headers=SECRET)

    return await tenant.write(work)


@router.get(
    "/{webhook_id}/deliveries", response_model=DeliveriesPage, responses=problems("invalid-page-token", "not-found")
)
async def list_deliveries(
    webhook_id: Id, tenant: Reader, page_size: PageSize = 50, page_token: PageToken = None
) -> Response:
    """List what a webhook was sent and is to be sent, newest first."""
    await _webhook(tenant, webhook_id)
    filters = f"deliveries:{webhook_id}"
    before = LAST_DELIVERY_ID if page_token is None else read_page_token(page_token, filters)
    rows = await tenant.fetch_all(
        service.deliveries_page_statement, webhook_id=webhook_id, before=before, limit=page_size + 1
    )
    return json_answer(page_object("deliveries", *cut_page(rows, page_size, filters)))


@router.get("/{webhook_id}/deliveries/{delivery_id}", response_model=DeliveryDetail, responses=problems("not-found"))
async def get_delivery(webhook_id: Id, delivery_id: Id, tenant: Reader) -> Response:
    """Show a delivery: what is sent, every try, and the beginning of every answer."""
    await _webhook(tenant, webhook_id)
    asked = {"webhook_id": webhook_id, "delivery_id": delivery_id}
    row = await tenant.get(service.delivery_statement, "delivery", delivery_id, **asked)
    return json_answer(service.detail(row, await tenant.fetch_all(service.attempts_statement, **asked)))


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/redeliver",
    status_code=202,
    response_model=DeliveryView,
    responses=SENT,
    openapi_extra=IDEMPOTENT,
)
async def redeliver(request: Request, webhook_id: Id, delivery_id: Id, tenant: Writer) -> Response:
    """Have a message sent again, now, under the same `webhook-id`; if it fails, it is tried again as at first."""
    check_id("webhook", webhook_id)
    check_id("delivery", delivery_id)

    def work(session: Session, project_id: str) -> Answer:
        return _sent(service.redeliver(session, project_id, webhook_id, delivery_id))

    return await once(tenant, request, {"redeliver": delivery_id}, work)


async def _webhook(tenant: Tenant, webhook_id: str) -> dict[str, object]:
    return await tenant.get(service.webhook_statement, "webhook", webhook_id, webhook_id=webhook_id)


def _sent(view: dict[str, object]) -> Answer:
    return Answer(202, view, f"/v1/webhooks/{view['webhook_id']}/deliveries/{view['id']}")
