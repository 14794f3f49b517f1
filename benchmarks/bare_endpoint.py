"""The yardstick of `benchmarks.api`: the least that an async FastAPI endpoint does."""

from __future__ import annotations

from fastapi import FastAPI

app = FastAPI(openapi_url=None)


@app.get("/")
async def hello() -> dict[str, str]:
    return {"status": "ok"}
