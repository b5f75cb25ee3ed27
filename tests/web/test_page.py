"""The page at / in a headless Chromium: drawing, queue, gallery, chat, and what it says when something is missing."""
import json
import re

import pytest
from playwright.sync_api import expect

from mock_jobs import FAILING_WORD
from mock_server import MockServer
from page_driver import Driver, sampler_of, texts_of
from png import png_size, png_texts


@pytest.fixture
def driver(site, watch):
    return Driver(watch(site.url))


@pytest.fixture
def mocked(mock, watch):
    return Driver(watch(mock.url))


def size_of(graph):
    """Width and height of the picture that a graph begins with."""
    inputs = next(node["inputs"] for node in graph.values() if node["class_type"] == "EmptyLatentImage")
    return inputs["width"], inputs["height"]


# Drawing.

def test_a_drawing_shows_progress_and_preview_and_can_be_cancelled(site, driver):
    page = driver.page
    with site.slow_drawing() as steps:
        driver.draw("a red barn", steps)
        expect(page.locator("#preview")).to_be_visible()
        expect(page.locator("#now-step")).to_have_text(re.compile(rf"step \d+ of {steps}"))
        expect(page.locator("#now-text")).to_have_text("a red barn")
        assert driver.size_of(page.locator("#preview"))[0] > 0
        assert page.locator("#progress").evaluate("bar => bar.value / bar.max") > 0
        driver.watched.shoot("page-drawing")
        page.get_by_role("button", name="Cancel: a red barn").click()
        driver.expect_idle()
    assert driver.history()[-1]["status"]["messages"][-1][0] == "execution_interrupted"
    expect(driver.gallery()).to_have_count(0)


def test_a_preview_that_is_no_picture_leaves_the_last_one(mocked):
    shown = mocked.page.evaluate("""async () => {
      const bytes = async side => {
        const canvas = new OffscreenCanvas(side, side);
        canvas.getContext("2d").fillRect(0, 0, side, side);
        const picture = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
        return Uint8Array.from([0, 0, 0, 1, 0, 0, 0, 2, ...picture]).buffer;
      };
      const broken = Uint8Array.from([0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3]).buffer, widths = [];
      const note = () => widths.push(el("preview").naturalWidth);
      finish = () => {};  // the mocked queue is empty, and the page asks for it when it likes
      begin("one");
      await hearPreview(await bytes(8)); note();
      await hearPreview(broken); note();
      const [early, late] = [hearPreview(await bytes(16)), hearPreview(await bytes(32))];
      await Promise.all([early, late]); note();
      const last = hearPreview(await bytes(64));
      begin("two");  // what was on its way is of another drawing
      await last;
      return [...widths, el("preview").hidden];
    }""")
    assert shown == [8, 8, 32, True]


def test_a_finished_picture_is_in_the_gallery_and_opens_in_full_size(site, driver):
    page = driver.page
    driver.fill(Negative_prompt="rain")
    driver.draw("a lighthouse")
    expect(driver.gallery()).to_have_count(1)
    driver.expect_idle()
    graph = driver.graphs()[0]
    assert texts_of(graph) == ["a lighthouse", "rain"] and sampler_of(graph)["steps"] == 3

    page.get_by_role("button", name="Open in full size: a lighthouse").click()
    full = page.locator("#full")
    assert driver.size_of(full) == [site.side] * 2
    expect(page.locator("#full-text")).to_contain_text(f"seed {sampler_of(graph)['seed']}")
    data = page.request.get(full.evaluate("img => img.src")).body()
    assert png_size(data) == (site.side, site.side) and '"a lighthouse"' in png_texts(data)["prompt"]
    driver.watched.shoot("page-full-size")
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()


def test_arrows_turn_the_pages_of_the_gallery(driver):
    for prompt in ("first", "second"):
        driver.draw(prompt)
        expect(driver.gallery().get_by_text(prompt)).to_be_visible()
    driver.gallery().first.get_by_role("button", name="Open in full size").click()
    expect(driver.page.locator("#full-text")).to_contain_text("second")
    driver.page.keyboard.press("ArrowRight")
    expect(driver.page.locator("#full-text")).to_contain_text("first")
    expect(driver.page.get_by_role("button", name="Older picture")).to_be_disabled()


def test_same_again_draws_the_same_with_another_seed(driver):
    driver.draw("an owl")
    expect(driver.gallery()).to_have_count(1)
    driver.gallery().first.get_by_role("button", name="Same again, other seed").click()
    expect(driver.gallery()).to_have_count(2)
    before, after = driver.graphs()
    assert sampler_of(before)["seed"] != sampler_of(after)["seed"]
    sampler_of(after)["seed"] = sampler_of(before)["seed"]
    assert before == after


def test_use_these_settings_fills_the_form(driver):
    page = driver.page
    driver.fill(Negative_prompt="fog")
    driver.prepare("a harbour", steps=5)
    driver.fill(Seed=77, CFG=4.5)
    driver.choose("Sampler", "heun")
    driver.press_draw()
    expect(driver.gallery()).to_have_count(1)
    driver.choose("Preset", "quality")
    driver.fill(Prompt="something else", Negative_prompt="", Seed=1)
    driver.choose("Size", "512x512")

    driver.gallery().first.get_by_role("button", name="Use these settings").click()
    wanted = {"Prompt": "a harbour", "Negative prompt": "fog", "Steps": "5", "CFG": "4.5", "Seed": "77", "Width": "64",
              "Height": "64"}
    for label, value in wanted.items():
        expect(page.get_by_label(label, exact=True)).to_have_value(value)
    expect(driver.chooser("Sampler")).to_have_value("heun")
    expect(page.get_by_label("a new one each time")).not_to_be_checked()


def compute_of(graph):
    """What a graph says of memory and attention, or nothing."""
    nodes = [node["inputs"] for node in graph.values() if node["class_type"] == "HearthComputeOptions"]
    return {name: value for name, value in nodes[0].items() if not isinstance(value, list)} if nodes else None


def test_use_these_settings_takes_memory_and_attention_too(driver):
    page, note = driver.page, driver.page.locator("#preset-note")
    driver.draw("plain")
    expect(driver.gallery()).to_have_count(1)
    kept = {"precision": "fp16", "attention": "default", "vae_slicing": "on", "vae_tiling": "on", "vae_tile": 256}
    page.evaluate("options => queue(graphOf({...formSettings(), prompt: 'careful', compute: options}))", kept)
    expect(driver.gallery()).to_have_count(2)

    driver.gallery().first.get_by_role("button", name="Use these settings").click()
    expect(note).to_contain_text("as in that picture: precision fp16, vae slicing on, vae tiling on, vae tile 256")
    page.reload()  # remembered with the form
    expect(note).to_contain_text("precision fp16")
    driver.press_draw()
    expect(driver.gallery()).to_have_count(3)
    driver.choose("Preset", "quality")
    expect(note).to_have_text(re.compile("^(?!Memory)"))
    driver.small_size()
    driver.press_draw()
    expect(driver.gallery()).to_have_count(4)
    assert [compute_of(graph) for graph in driver.graphs()] == [None, kept, kept, None]

    page.evaluate("options => { state.presets.find(each => each.name === 'batch').compute = options; }", kept)
    driver.choose("Preset", "batch")
    driver.gallery().last.get_by_role("button", name="Use these settings").click()
    expect(note).to_contain_text("as in that picture: as the server has it")
    assert page.evaluate("formSettings().compute") is None, "the picture had none, though its preset has"


def test_several_pictures_are_drawn_a_batch_at_a_time_from_following_seeds(driver):
    driver.prepare("three cats")
    driver.fill(Seed=40, Pictures=3, Drawn_together=2)
    driver.press_draw()
    expect(driver.gallery()).to_have_count(3)
    batches = [next(node["inputs"]["batch_size"] for node in graph.values() if "batch_size" in node["inputs"])
               for graph in driver.graphs()]
    assert batches == [2, 1] and [sampler_of(graph)["seed"] for graph in driver.graphs()] == [40, 41]


def test_presets_fill_the_form(driver):
    page = driver.page
    expect(driver.chooser("Preset")).to_have_value("balanced")
    driver.choose("Preset", "quality")
    driver.open_more()
    expect(page.get_by_label("Steps")).to_have_value("30")
    expect(page.get_by_label("CFG", exact=True)).to_have_value("9")
    driver.choose("Preset", "batch")
    expect(page.get_by_label("Pictures", exact=True)).to_have_value("8")
    expect(page.get_by_label("Drawn together")).to_have_value("8")


def test_a_seed_of_64_bits_arrives_whole(driver):
    driver.prepare("a big number")
    driver.fill(Seed=18446744073709551615)
    driver.press_draw()
    expect(driver.gallery()).to_have_count(1)
    assert sampler_of(driver.graphs()[0])["seed"] == 18446744073709551615
    driver.fill(Seed=1)
    driver.gallery().first.get_by_role("button", name="Use these settings").click()
    expect(driver.page.get_by_label("Seed", exact=True)).to_have_value("18446744073709551615")


# The queue.

def test_jobs_wait_in_the_queue_and_are_cancelled_one_by_one_or_all(site, driver):
    with site.slow_drawing() as steps:
        for prompt in ("one", "two", "three"):
            driver.draw(prompt, steps)
            expect(driver.queue().get_by_text(prompt)).to_be_visible()
        expect(driver.queue()).to_have_text([re.compile("drawing: one"), re.compile("two"), re.compile("three")])
        expect(driver.page.locator("#queue-count")).to_have_text("3 to do")
        driver.watched.shoot("page-queue")
        driver.page.get_by_role("button", name="Cancel: two").click()
        expect(driver.queue()).to_have_count(2)
        driver.page.get_by_role("button", name="Cancel all").click()
        driver.expect_idle()
    expect(driver.page.get_by_role("button", name="Cancel all")).to_be_hidden()
    expect(driver.gallery()).to_have_count(0)


def test_after_a_reload_queue_and_progress_are_back(site, driver):
    page = driver.page
    with site.slow_drawing() as steps:
        driver.draw("a long one", steps)
        driver.draw("and another", steps)
        expect(driver.queue()).to_have_count(2)
        page.reload()
        expect(driver.queue()).to_have_count(2)
        expect(page.locator("#now")).to_be_visible()
        expect(page.get_by_label("Prompt", exact=True)).to_have_value("and another")
        page.get_by_role("button", name="Cancel all").click()
        driver.expect_idle()


def test_a_lost_connection_comes_back_by_itself(site, driver):
    page = driver.page
    page.evaluate("""() => { window.seen = [];
      new MutationObserver(() => window.seen.push(document.getElementById("connection").dataset.state))
        .observe(document.getElementById("connection"), {attributes: true}); }""")
    site.drop_connections()
    page.wait_for_function("() => window.seen.includes('lost') && window.seen.at(-1) === 'open'")
    driver.draw("after the storm")
    expect(driver.gallery()).to_have_count(1)
    # A server that is away for a moment makes the browser complain, rightly.
    driver.watched.complaints[:] = [line for line in driver.watched.complaints if "ERR_CONNECTION_REFUSED" not in line]


# Chat.

def test_chat_streams_an_answer_and_knows_what_was_said(site, driver):
    page = driver.page

    def answer_at_length(route):  # a real model would say as much or as little as it likes
        route.continue_(post_data=json.dumps(route.request.post_data_json | {"ignore_eos": True, "max_tokens": 600}))

    if not site.is_mock:
        page.route("**/v1/chat/completions", answer_at_length)
    with site.slow_answer():
        driver.chat("Why is the sky blue?")
        expect(page.locator("#chat-log .assistant")).not_to_be_empty()
        if site.is_mock:
            expect(page.locator("#chat-log .assistant")).to_have_text("Because the air scatters ")
        expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(page.get_by_role("button", name="Send")).to_be_visible(timeout=60000)
    expect(page.locator("#chat-speed")).to_contain_text("tokens")
    driver.watched.shoot("page-chat")
    if not site.is_mock:
        return
    assert page.locator("#chat-log .assistant").inner_text().endswith("the sky is blue.")
    driver.chat("And at night?")
    expect(page.locator("#chat-log .assistant")).to_have_count(2)
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    asked = site.server.bodies["/v1/chat/completions"][-1]["messages"]
    assert [turn["role"] for turn in asked] == ["user", "assistant", "user"]
    page.get_by_role("button", name="New chat").click()
    expect(page.locator("#chat-log")).to_be_empty()


def test_stop_ends_an_answer_and_the_server_hears_of_it(site, driver):
    page = driver.page

    def go_on_for_ever(route):  # a real model would stop when it likes
        route.continue_(post_data=json.dumps(route.request.post_data_json | {"ignore_eos": True}))

    page.route("**/v1/chat/completions", go_on_for_ever)
    with site.slow_answer():
        driver.chat("Count to ten thousand, one number a line.")
        expect(page.locator("#chat-log .assistant")).not_to_be_empty()
        page.get_by_role("button", name="Stop").click()
        expect(page.locator("#chat-log .assistant.cut")).to_be_visible()
        expect(page.get_by_role("button", name="Send")).to_be_visible()
        if site.is_mock:
            for _ in range(2000):
                if site.server.answers_cut:
                    break
                page.evaluate("() => fetch('/prompt')")  # one more turn of the server's loop
            assert site.server.answers_cut == 1


# What is missing or wrong.

def test_the_model_that_comes_along_is_drawn_at_the_size_it_was_made_for(watch):
    with MockServer(checkpoints=["sprite.safetensors"]) as server:
        driver = Driver(watch(server.url))
        expect(driver.chooser("Size")).to_have_value("128x128")
        server.checkpoints.insert(0, "mine.safetensors")
        driver.page.reload()
        driver.choose("Model", "mine.safetensors")
        expect(driver.chooser("Size")).to_have_value("1024x1024")
        driver.choose("Model", "sprite.safetensors")
        driver.fill(Prompt="a red apple")
        driver.press_draw()
        expect(driver.gallery()).to_have_count(1)
        assert size_of(driver.graphs()[0]) == (128, 128)


def test_without_any_model_the_page_says_what_to_do(watch):
    with MockServer(checkpoints=[], language_models=[]) as server:
        watched = watch(server.url)
        driver, page = Driver(watched), watched.page
        expect(page.locator("#no-checkpoint")).to_contain_text("/srv/hearth/models/checkpoints")
        expect(page.locator("#no-language-model")).to_contain_text("hearth pull")
        expect(page.locator("#go")).to_be_disabled()
        expect(page.get_by_label("Message")).to_be_disabled()
        watched.shoot("page-no-models")
        server.checkpoints.append("new.safetensors")
        page.get_by_role("button", name="Look again").click()
        expect(page.locator("#no-checkpoint")).to_be_hidden()
        driver.draw("with the new one")
        expect(driver.gallery()).to_have_count(1)


def test_a_server_that_only_talks_still_has_its_chat(watch):
    with MockServer(can_draw=False) as server:
        watched = watch(server.url)
        expect(watched.page.locator("#no-checkpoint")).to_contain_text("without the part that draws")
        expect(watched.page.locator("#connection")).to_have_text("language models only")
        watched.page.get_by_label("Message").fill("Why?")
        watched.page.get_by_label("Message").press("Enter")
        expect(watched.page.locator("#chat-log .assistant")).to_contain_text("the sky is blue.")
        expect(watched.page.get_by_role("alert")).to_be_empty()
        watched.complaints.clear()  # the browser notes every 404


def test_a_checkpoint_that_went_away_is_named_with_its_folder(mock, mocked):
    mock.server.checkpoints[:] = ["other.safetensors"]
    mocked.draw("too late")
    expect(mocked.page.get_by_role("alert")).to_contain_text("v1-5-pruned-emaonly-fp16.safetensors")
    expect(mocked.page.get_by_role("alert")).to_contain_text("checkpoints/")
    mocked.page.get_by_role("button", name="Dismiss").click()
    expect(mocked.page.get_by_role("alert")).to_be_empty()
    assert any("400" in line for line in mocked.watched.complaints)  # the browser notes every refusal
    mocked.watched.complaints.clear()


def test_a_drawing_that_fails_says_where_and_why(mocked):
    mocked.draw(f"a cat {FAILING_WORD}")
    expect(mocked.page.get_by_role("alert")).to_contain_text("KSampler: the sampler was told to fail")
    expect(mocked.page.locator("#gallery .failed")).to_contain_text("the sampler was told to fail")
    mocked.expect_idle()


def test_a_wrong_range_is_explained(mock, mocked):
    mocked.prepare("too many steps")
    mocked.page.locator("#draw").evaluate("form => { form.noValidate = true; }")
    mocked.fill(Steps=10001)
    mocked.press_draw()
    expect(mocked.page.get_by_role("alert")).to_contain_text("Value 10001 bigger than max of 10000 (steps)")
    mocked.watched.complaints.clear()


def test_an_unanswered_question_shows_the_servers_words(mock, mocked):
    mock.server.language_models[:] = []
    mocked.chat("anybody there?")
    expect(mocked.page.locator("#chat-log .broken")).to_contain_text("model 'smollm2' does not exist")
    mocked.watched.complaints.clear()


def test_with_an_api_key_the_page_asks_for_it_and_then_works(watch):
    with MockServer(api_key="a secret; with=signs") as server:
        watched = watch(server.url)
        page = watched.page
        page.get_by_label("API key").fill("a secret; with=signs")
        watched.complaints.clear()
        page.get_by_role("button", name="Use it").click()
        driver = Driver(watched)
        driver.draw("behind a door")
        expect(driver.gallery()).to_have_count(1)
        assert driver.size_of(driver.gallery().locator("img")) == [64, 64]
        expect(page.locator("#key-row")).to_be_hidden()


def test_what_others_write_stays_text(mock, mocked):
    evil = "<img src=x onerror=\"document.title='taken'\"> & \"quotes\""
    mocked.draw(evil)
    expect(mocked.gallery().locator("p")).to_have_text(evil)
    mocked.chat(evil)
    expect(mocked.page.locator("#chat-log .user")).to_have_text(evil)
    assert mocked.page.title() == "Hearth" and mocked.page.locator("#gallery img").count() == 1


# The page as a whole.

def test_memory_in_use_is_shown(driver):
    page = driver.page
    expect(page.locator("#memory-text")).to_have_text(re.compile(r"[\d.]+ [GM]iB of [\d.]+ [GM]iB in use"))
    page.locator("#memory summary").click()
    expect(page.locator("#memory-note")).to_contain_text("could be given to a model now")


def test_the_keyboard_is_enough(driver):
    page = driver.page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the prompt")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Prompt", exact=True)).to_be_focused()
    page.keyboard.type("typed")
    driver.small_size()
    driver.chooser("Preset").focus()
    page.keyboard.press("Control+Enter")
    expect(driver.gallery()).to_have_count(1)


def test_every_control_has_a_name(mocked):
    mocked.draw("names")
    expect(mocked.gallery()).to_have_count(1)
    nameless = mocked.page.evaluate("""() => [
      ...document.querySelectorAll("button, input, select, textarea, progress, meter")]
      .filter(item => !(item.ariaLabel || item.labels?.[0]?.textContent.trim() || item.textContent.trim()))
      .map(item => item.outerHTML)""")
    assert nameless == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_colour_schemes_can_be_read(site, watch, scheme):
    watched = watch(site.url, color_scheme=scheme)
    driver = Driver(watched)
    driver.draw("colours")
    expect(driver.gallery()).to_have_count(1)
    watched.shoot(f"page-{scheme}")
    contrasts = watched.page.evaluate("""() => {
      const linear = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
      const light = c => { const [r, g, b] = c.map(linear);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
      const parse = text => text.match(/[\\d.]+/g).map(Number);
      const ground = item => { for (let at = item; at; at = at.parentElement) {
        const c = parse(getComputedStyle(at).backgroundColor); if (c.length < 4 || c[3] > 0) return c.slice(0, 3); } };
      const ratio = item => { const [a, b] = [parse(getComputedStyle(item).color).slice(0, 3), ground(item)].map(light);
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); };
      return ["h1", "h2", "label", "#prompt", "#go", "#memory-text", "#gallery p", ".row button", "#connection"]
        .map(name => [name, ratio(document.querySelector(name))]); }""")
    assert [each for each in contrasts if each[1] < 4.5] == []


def test_a_narrow_screen_needs_no_sideways_scrolling(site, watch):
    watched = watch(site.url)
    watched.page.set_viewport_size({"width": 380, "height": 800})
    Driver(watched)
    watched.shoot("page-narrow")
    assert watched.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_nothing_comes_from_elsewhere(driver):
    driver.draw("at home")
    expect(driver.gallery()).to_have_count(1)
    assert driver.watched.outside == []
