"""What a person does with the page, by the names they see. Nothing here waits for time, only for what shows."""
import json
import urllib.request

from playwright.sync_api import expect


class Driver:
    def __init__(self, watched):
        self.watched, self.page = watched, watched.page
        expect(self.page.locator("#connection")).to_have_text("connected")

    def fill(self, **fields):
        """Fields by their label, in `label_with_underscores=value`."""
        for label, value in fields.items():
            self.page.get_by_label(label.replace("_", " "), exact=True).fill(str(value))

    def chooser(self, name):
        return self.page.get_by_role("combobox", name=name, exact=True)

    def choose(self, name, value):
        self.chooser(name).select_option(value)

    def open_more(self):
        if not self.page.locator("#more").evaluate("details => details.open"):
            self.page.get_by_text("More", exact=True).click()

    def small_size(self):
        self.choose("Size", "own")
        self.fill(Width=64, Height=64)

    def prepare(self, prompt, steps=3):
        self.fill(Prompt=prompt)
        self.small_size()
        self.open_more()
        self.fill(Steps=steps)

    def press_draw(self):
        self.page.locator("#go").click()

    def draw(self, prompt, steps=3):
        self.prepare(prompt, steps)
        self.press_draw()

    def size_of(self, image):
        """Width and height of a picture once it has loaded. Its src may change meanwhile: img.decode() would fail."""
        loaded = "img => img.complete && img.naturalWidth > 0 && [img.naturalWidth, img.naturalHeight]"
        return self.page.wait_for_function(loaded, arg=image.element_handle()).json_value()

    def gallery(self):
        return self.page.locator("#gallery > li")

    def queue(self):
        return self.page.locator("#queue > li")

    def expect_idle(self):
        expect(self.queue()).to_have_count(0)
        expect(self.page.locator("#now")).to_be_hidden()

    def chat(self, text):
        self.page.get_by_label("Message").fill(text)
        self.page.get_by_label("Message").press("Enter")

    def history(self):
        """As /history has it, oldest first."""
        with urllib.request.urlopen(self.watched.url + "/history") as answer:
            return list(json.load(answer).values())

    def graphs(self):
        return [entry["prompt"][2] for entry in self.history()]


def sampler_of(graph):
    return next(node["inputs"] for node in graph.values() if node["class_type"] == "KSampler")


def texts_of(graph):
    return [node["inputs"]["text"] for node in graph.values() if node["class_type"] == "CLIPTextEncode"]
