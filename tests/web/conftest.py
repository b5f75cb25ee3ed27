"""A headless Chromium, and pages in it that keep what the browser complained about."""
import os
import pathlib
import shutil

import pytest

from sites import HearthSite, MockSite, kinds

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")
    program = os.environ.get("HEARTH_TEST_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not program:
        pytest.skip("there is no Chromium: install the package chromium, or set HEARTH_TEST_CHROMIUM to a browser")
    with playwright.sync_playwright() as running:
        # Tests run as root in containers, where Chromium's own sandbox and /dev/shm are not to be had.
        chromium = running.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield chromium
        chromium.close()


class Watch:
    """One browser page and what was said about it."""

    def __init__(self, browser, url, **context):
        self.context = browser.new_context(viewport={"width": 1440, "height": 900}, **context)
        self.page = self.context.new_page()
        self.page.set_default_timeout(15000)
        self.url = url
        self.complaints, self.outside = [], []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._note)

    def _hear(self, message):
        if message.type == "error":
            self.complaints.append(f"{message.text} {message.location.get('url', '')}")

    def _note(self, request):
        if not request.url.startswith((self.url, self.url.replace("http", "ws", 1), "data:", "blob:")):
            self.outside.append(request.url)

    def shoot(self, name):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@pytest.fixture
def watch(browser):
    """watch(url, **context options): opens a page. What the browser complains about fails the test."""
    opened = []

    def open_page(url, path="/", **context):
        opened.append(Watch(browser, url, **context))
        opened[-1].page.goto(url + path)
        return opened[-1]

    yield open_page
    complaints = [line for each in opened for line in each.complaints]
    for each in opened:
        each.context.close()
    assert complaints == []


@pytest.fixture(params=kinds())
def site(request, tmp_path):
    with MockSite() if request.param == "mock" else HearthSite(tmp_path) as running:
        yield running


@pytest.fixture
def mock():
    with MockSite() as running:
        yield running
