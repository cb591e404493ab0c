"""The page in a real browser: no error, no request but the file itself, nothing cut off."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

pytestmark = pytest.mark.browser
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# As root, in a container and without a network, with none of the browser's own requests.
_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        message = f"no browser found (looked for {', '.join(_NAMES)}); install one to test the page"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    folder = tmp_path_factory.mktemp("browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found,
            args=_ARGUMENTS,
            env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
            downloads_path=folder,
        )
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [pytest.param(1280, id="desk"), pytest.param(390, id="phone")])
def test_the_report_renders_offline_without_an_error(
    browser: Browser, report_dir: Path, tmp_path: Path, scheme: str, width: int
) -> None:
    page = browser.new_page(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    said: list[str] = []
    requested: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: requested.append(request.url))
    address = (report_dir / "report.html").as_uri()
    page.goto(address, wait_until="networkidle")

    assert said == []
    assert [url for url in requested if not url.startswith("data:")] == [address]
    assert page.locator("h1").is_visible()
    # Nothing is wider than the screen, and every picture has arrived.
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark != "rgb(251, 251, 248)") == (scheme == "dark")
    shot = tmp_path / "report.png"
    page.screenshot(path=shot, full_page=True)
    assert shot.stat().st_size > 50_000
    page.close()


def test_boxes_can_be_hidden(browser: Browser, report_dir: Path) -> None:
    page = browser.new_page()
    page.goto((report_dir / "report.html").as_uri())
    boxes = page.locator(".boxes").first
    assert boxes.is_visible()
    page.get_by_label("Show boxes").uncheck()
    assert not boxes.is_visible()
    page.close()
