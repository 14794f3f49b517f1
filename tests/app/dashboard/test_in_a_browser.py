"""The dashboard in a real browser: sign in, watch a job to its end, keep its file, cancel another."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, expect, sync_playwright

from app.services import Services
from tests.app.dashboard.samples import add_model, add_worker, beat, finish_job, sample_report, start_job, submit_job

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's own Chromium, or the one that `playwright install chromium` brought."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    expect.set_options(timeout=30_000)  # on a machine that is busy with other tests
    with sync_playwright() as playwright:
        try:
            launched = playwright.chromium.launch(executable_path=path, args=QUIET)
        except Error as error:
            pytest.fail(f"No Chromium to test with: {str(error).splitlines()[0]} Install one, or run `make browser`.")
        yield launched
        launched.close()


@contextmanager
def opened(browser: Browser, address: str, **options: bool) -> Iterator[Page]:
    """Give a fresh window in which nothing may go wrong and nothing may be asked of anyone else."""
    faults: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            faults.append(message.text)

    def watch(request: Request) -> None:
        if not request.url.startswith((address, "data:")):
            faults.append(f"asked {request.url}")

    page = browser.new_page(**options)
    page.on("console", hear)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", watch)
    yield page
    page.context.close()
    assert faults == []


def sign_in(page: Page, address: str, admin_key: str) -> None:
    page.goto(f"{address}/admin")
    expect(page).to_have_title("Sign in · Secateur")
    page.get_by_label("Admin key").fill(admin_key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_an_admin_follows_a_job_to_its_file_and_cancels_another(
    browser: Browser, address: str, services: Services, admin_key: str, tmp_path: Path
) -> None:
    database, content = services.database, b"a smaller network" * 9999
    watched = submit_job(database, add_model(database, "watched.onnx"))
    unwanted = submit_job(database, add_model(database, "unwanted.onnx"))
    claim = start_job(database, watched)
    add_worker(database, watched)

    with opened(browser, address) as page:
        sign_in(page, address, admin_key)
        expect(page.get_by_role("link", name="watched.onnx")).to_be_visible()
        page.get_by_role("link", name="Jobs", exact=True).click()
        expect(page.get_by_role("table").get_by_role("row")).to_have_count(3)

        page.get_by_role("link", name="watched.onnx").click()
        page.evaluate("window.isTheSamePage = true")
        beat(database, claim, "score", 0.31, "unit 7 of 27")
        expect(page.locator(".figure")).to_have_text("31.0 %")
        expect(page.get_by_text("unit 7 of 27", exact=True)).to_be_visible()
        beat(database, claim, "recover", 0.62)
        expect(page.get_by_role("progressbar")).to_have_attribute("value", "0.62")
        expect(page.locator("[aria-current=step]")).to_contain_text("recover")
        assert page.evaluate("window.isTheSamePage")

        sha256 = finish_job(database, services.storage, claim, tmp_path, sample_report(), content)
        expect(page.get_by_role("heading", name="Outcome")).to_be_visible()
        expect(page.get_by_text("The target was met.")).to_be_visible()
        expect(page.locator(".figures")).to_contain_text("0.684")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download model.onnx").click()
        assert hashlib.sha256(Path(download.value.path()).read_bytes()).hexdigest() == sha256
        assert download.value.suggested_filename == "model.onnx"

        page.goto(f"{address}/admin/jobs/{unwanted}")
        page.get_by_role("button", name="Cancel the job").click()
        expect(page.get_by_role("status")).to_contain_text("Cancelled")


def test_without_javascript_the_pages_are_whole(
    browser: Browser, address: str, services: Services, admin_key: str, tmp_path: Path
) -> None:
    job_id = submit_job(services.database, add_model(services.database))
    claim = start_job(services.database, job_id)

    with opened(browser, address, java_script_enabled=False) as page:
        sign_in(page, address, admin_key)
        page.goto(f"{address}/admin/jobs/{job_id}")
        expect(page.get_by_role("progressbar")).to_be_visible()
        assert page.locator("meta[http-equiv=refresh]").count() == 1

        finish_job(services.database, services.storage, claim, tmp_path, sample_report())
        page.reload()
        expect(page.get_by_role("heading", name="Outcome")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_title("Sign in · Secateur")


@pytest.mark.parametrize("width", [320, 1280])
def test_no_page_is_wider_than_its_window(
    browser: Browser, address: str, services: Services, admin_key: str, tmp_path: Path, width: int
) -> None:
    job_id = submit_job(services.database, add_model(services.database, "a_very_long_name_" * 9 + ".onnx"))
    finish_job(services.database, services.storage, start_job(services.database, job_id), tmp_path, sample_report())
    add_worker(services.database, job_id)

    with opened(browser, address) as page:
        page.set_viewport_size({"width": width, "height": 700})
        sign_in(page, address, admin_key)
        for path in ("/admin", "/admin/jobs", f"/admin/jobs/{job_id}"):
            page.goto(address + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_the_keyboard_reaches_the_content_first(browser: Browser, address: str, admin_key: str) -> None:
    with opened(browser, address) as page:
        sign_in(page, address, admin_key)
        page.goto(f"{address}/admin/jobs")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.get_by_label("State")).to_be_focused()
