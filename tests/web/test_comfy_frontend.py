"""The ComfyUI frontend as it comes from PyPI, unmodified, in a headless Chromium: its default workflow is queued with
its Run button, watched, shown, reopened from its PNG, cancelled, and found again after a reload."""
import pathlib
import re
import time
import urllib.request

import pytest
from playwright.sync_api import expect

from page_driver import sampler_of
from png import png_texts
from sites import CHECKPOINT, HearthSite, MockSite, kinds

package = pytest.importorskip("comfyui_frontend_package", reason="comfyui-frontend-package is not installed")
STATIC = pathlib.Path(package.__file__).parent / "static"
STARTING_REQUESTS = pathlib.Path(__file__).parent / "frontend_requests.txt"

# What this frontend writes to the console on any server, each with its reason.
ALLOWED = [
    r"ComfyApp graph accessed before initialization",  # its own order of loading
    r"404 .*/api/userdata/comfy\.templates\.json",     # templates the user saved; there are none
    r"ERR_\w+ https://api\.comfy\.org/releases",       # news about ComfyUI from outside; the test keeps it from leaving
]


@pytest.fixture(params=kinds())
def site(request, tmp_path):
    with MockSite(STATIC) if request.param == "mock" else HearthSite(tmp_path, STATIC) as running:
        yield running


class Frontend:
    def __init__(self, watched):
        self.watched, self.page = watched, watched.page
        expect(self.page.locator("#graph-canvas")).to_be_visible(timeout=60000)
        self.wait_for_graph()

    def wait_for_graph(self):
        self.page.wait_for_function("() => window.app?.graph?.nodes?.length > 0", timeout=60000)

    def node(self, kind, expression):
        """A value of the first node of a kind."""
        found = "window.app.graph.nodes.find(n => n.type === kind)"
        return self.page.evaluate(f"kind => (node => {expression})({found})", kind)

    def set_widget(self, kind, name, value):
        self.page.evaluate("""([kind, name, value]) => { window.app.graph.nodes.find(n => n.type === kind)
          .widgets.find(w => w.name === name).value = value; }""", [kind, name, value])

    def make_small(self, steps=3):
        for name in ("width", "height"):
            self.set_widget("EmptyLatentImage", name, 64)
        self.set_widget("KSampler", "steps", steps)

    def run(self):
        with self.page.expect_response(re.compile("/api/prompt$")) as answered:
            self.page.get_by_test_id("queue-button").click()
        assert answered.value.status == 200, answered.value.text()
        return answered.value.json()["prompt_id"]

    def job(self, prompt_id):
        return self.page.request.get(f"{self.watched.url}/api/jobs/{prompt_id}").json()

    def wait_for_status(self, prompt_id, status):
        """Asks again and again; each question is a request of its own, so nothing sleeps."""
        end = time.monotonic() + 60
        while self.job(prompt_id)["status"] != status:
            assert time.monotonic() < end, f"the job is {self.job(prompt_id)['status']}, not {status}"

    def expect_active(self, count):
        expect(self.page.get_by_test_id("queue-overlay-toggle")).to_contain_text(f"{count} active")


@pytest.fixture
def open_frontend(site, watch):
    """A user who has seen the tutorial, as the frontend itself notes it: its default workflow opens."""
    def open_it():
        request = urllib.request.Request(f"{site.url}/api/settings/Comfy.TutorialCompleted", b"true", method="POST")
        urllib.request.urlopen(request).close()
        watched = watch(site.url)
        watched.context.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), lambda route: route.abort())
        return Frontend(watched)

    opened = []
    yield lambda: opened.append(open_it()) or opened[-1]
    for frontend in opened:
        complaints = frontend.watched.complaints
        complaints[:] = [line for line in complaints if not any(re.search(allowed, line) for allowed in ALLOWED)]


@pytest.fixture
def frontend(open_frontend):
    return open_frontend()


def test_the_default_workflow_is_run_and_its_picture_shown(site, frontend):
    assert frontend.node("CheckpointLoaderSimple", "node.widgets[0].value") == CHECKPOINT
    frontend.make_small()
    frontend.page.get_by_role("button", name="Fit View").click()
    prompt_id = frontend.run()
    frontend.wait_for_status(prompt_id, "completed")
    frontend.page.wait_for_function("""side => window.app.graph.nodes.find(n => n.type === 'SaveImage')
      .imgs?.[0]?.naturalWidth === side""", arg=site.side)
    frontend.expect_active(0)
    output = frontend.job(prompt_id)["outputs"]["9"]["images"][0]
    assert output["filename"] == "ComfyUI_00001_.png"
    frontend.watched.shoot("frontend-picture")


def test_progress_and_preview_are_seen_and_the_run_is_cancelled(site, frontend):
    page = frontend.page
    with site.slow_drawing() as steps:
        frontend.make_small(steps)
        prompt_id = frontend.run()
        frontend.expect_active(1)
        page.wait_for_function("() => window.app.graph.nodes.find(n => n.type === 'KSampler').progress > 0")
        page.wait_for_function("() => Object.keys(window.app.nodePreviewImages || {}).length > 0")
        frontend.watched.shoot("frontend-progress")
        page.get_by_role("button", name="Cancel current run").click()
        frontend.wait_for_status(prompt_id, "cancelled")
        frontend.expect_active(0)


def test_a_png_dropped_on_the_canvas_brings_its_workflow_back(site, frontend):
    page = frontend.page
    frontend.make_small()
    prompt_id = frontend.run()
    frontend.wait_for_status(prompt_id, "completed")
    name = frontend.job(prompt_id)["outputs"]["9"]["images"][0]["filename"]
    png = page.request.get(f"{site.url}/api/view?filename={name}&type=output&subfolder=").body()
    assert {"prompt", "workflow"} <= set(png_texts(png))

    page.evaluate("() => window.app.graph.clear()")
    assert page.evaluate("() => window.app.graph.nodes.length") == 0
    page.evaluate("""bytes => {
      const moved = new DataTransfer();
      moved.items.add(new File([new Uint8Array(bytes)], "picture.png", {type: "image/png"}));
      const where = {dataTransfer: moved, bubbles: true, cancelable: true, clientX: 700, clientY: 500};
      document.getElementById("graph-canvas").dispatchEvent(new DragEvent("dragover", where));
      document.getElementById("graph-canvas").dispatchEvent(new DragEvent("drop", where)); }""", list(png))
    frontend.wait_for_graph()
    seed = frontend.node("KSampler", "node.widgets.find(w => w.name === 'seed').value")
    assert seed == sampler_of(frontend.job(prompt_id)["workflow"]["prompt"])["seed"]
    assert frontend.node("EmptyLatentImage", "node.widgets.find(w => w.name === 'width').value") == 64


def test_the_queue_is_there_again_after_a_reload(site, frontend):
    page = frontend.page
    with site.slow_drawing() as steps:
        frontend.make_small(steps)
        first, second = frontend.run(), frontend.run()
        frontend.expect_active(2)
        page.reload()
        frontend.wait_for_graph()
        frontend.expect_active(2)
        page.get_by_test_id("queue-overlay-toggle").click()
        page.get_by_role("button", name="Clear queued").click()
        frontend.expect_active(1)
        frontend.watched.shoot("frontend-queue")
        page.get_by_text("Running", exact=True).hover()
        page.get_by_role("button", name="Cancel", exact=True).click()
        frontend.wait_for_status(first, "cancelled")
        frontend.expect_active(0)
    assert page.request.get(f"{site.url}/api/jobs/{second}").json().get("status") in (None, "cancelled")


def test_it_asks_for_what_the_list_says(site, open_frontend):
    """The list is what the server has to answer. A new version of the frontend that asks for more shows here."""
    asked = []
    frontend = open_frontend()
    frontend.page.on("request", lambda request: asked.append((request.method, request.url)))
    frontend.page.reload()
    frontend.wait_for_graph()
    frontend.expect_active(0)
    frontend.page.wait_for_load_state("networkidle")
    found = {f"{method} {url.removeprefix(site.url)}" for method, url in asked if url.startswith(site.url)}
    found = {re.sub(r"clientId=\w+", "clientId=ID", line) for line in found
             if not re.search(r"/(assets|fonts|scripts|extensions|cursor)/", line)}
    listed = {line for line in STARTING_REQUESTS.read_text().splitlines() if line and not line.startswith("#")}
    assert found <= listed, sorted(found - listed)
