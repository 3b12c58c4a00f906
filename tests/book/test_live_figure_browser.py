"""The live figure in a real browser: what it loads, shows, says, and how fast."""

import json
import random
import statistics
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from live_figure_site import build
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from conftest import NARROW, WIDE, Watched, axe_violations, watch
from remotecalls.booksite import serve_book
from remotecalls.figures.page import Page as Model
from remotecalls.simulators.catalog import SIMULATORS
from remotecalls.simulators.parameters import (
    Choice,
    IntegerRange,
    ParameterError,
    Simulator,
    controls,
    format_quantity,
    from_json,
    to_json,
)

FIRST_FRAME_MS = 4_000
"""From Start to the first picture, on two cores that have nothing else to do."""

SLIDER_MS = 150
"""From an input event to the new picture on the page, likewise."""

SLACK = 2
"""What a busy or slower machine may take on top, as a factor."""

REQUESTS = {"metastable": 20, "phases": 12, "autoscaling": 16, "consistency": 32}
"""How many results are compared, where 40 would take long."""

FRAMING = SIMULATORS["framing"]


@pytest.fixture(scope="module")
def figure_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a small site with figures, served by the book's own server."""
    directory = tmp_path_factory.mktemp("live-figure")
    done = build(directory)
    assert done.returncode == 0, done.stderr
    (directory / "html" / "404.html").write_text("<!doctype html><title>Nothing here</title>")
    with serve_book(directory / "html") as url:
        yield url


OpenFigure = Callable[..., Page]


@pytest.fixture
def open_figure(browser: Browser, figure_site: str) -> Iterator[OpenFigure]:
    """Return a function that opens a page of the small site; each is checked at the end."""
    contexts: list[BrowserContext] = []
    opened: list[Watched] = []

    def open_one(path: str = "index.html", *, checked: bool = True, **options: Any) -> Page:
        context = browser.new_context(base_url=figure_site, **options)
        contexts.append(context)
        watched = watch(context, figure_site)
        if checked:
            opened.append(watched)
        record_pictures(watched.page)
        watched.page.goto(path)
        return watched.page

    yield open_one
    for watched in opened:
        watched.check()
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def started(browser: Browser, figure_site: str) -> Iterator[Page]:
    """One page whose figure runs, for tests that leave it as they found it: reset."""
    context = browser.new_context(
        base_url=figure_site,
        viewport=WIDE,
        reduced_motion="reduce",
        permissions=["clipboard-read", "clipboard-write"],
    )
    watched = watch(context, figure_site)
    record_pictures(watched.page)
    watched.page.goto("index.html")
    start(watched.page)
    settle(watched.page)
    # A reader who asked for less motion gets one picture, and it stands still.
    assert len(shown(watched.page)) == 1
    yield watched.page
    watched.check()
    context.close()


@pytest.fixture
def running(started: Page) -> Page:
    """The running figure, at its own settings again."""
    started.get_by_role("button", name="Reset").click()
    settle(started)
    return started


def record_pictures(page: Page) -> None:
    """Keep the detail of every "live-figure-shown" event in `window.shown`."""
    page.add_init_script(
        "window.shown = [];"
        "addEventListener('live-figure-shown', (event) => window.shown.push(event.detail));"
    )


def start(page: Page) -> float:
    """Press Start on the first figure and return the milliseconds to its first picture."""
    page.get_by_role("button", name="Run the model").first.click()
    return first_picture(page)


def first_picture(page: Page) -> float:
    page.wait_for_function("window.shown.length > 0")
    assert shown(page)[0]["kind"] == "run"
    return float(shown(page)[0]["milliseconds"])


def shown(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate("window.shown")
    return found


def settle(page: Page) -> None:
    """Return when no picture has come for a fifth of a second."""
    page.evaluate(
        """() => new Promise((resolve) => {
            let timer = setTimeout(resolve, 200);
            addEventListener("live-figure-shown", () => {
                clearTimeout(timer);
                timer = setTimeout(resolve, 200);
            });
        })"""
    )


def set_value(page: Page, parameter: str, value: int | str | bool) -> None:
    """Set a control as a reader's hand would, and wait for the picture."""
    count = len(shown(page))
    control = page.locator(f'rc-live-figure >> nth=0 >> [data-parameter="{parameter}"]')
    control.evaluate(
        """(input, value) => {
            if (input.type === "checkbox") input.checked = value;
            else input.value = value;
            input.dispatchEvent(new Event("input", { bubbles: true }));
        }""",
        value,
    )
    page.wait_for_function("(count) => window.shown.length > count", arg=count)


def result_of(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        page.evaluate("document.querySelector('rc-live-figure').result")
    )
    return found


def python_result(seed: int = 1, **values: Any) -> dict[str, Any]:
    parameters = from_json(FRAMING.parameters, values)
    found: dict[str, Any] = json.loads(json.dumps(FRAMING.run(parameters, seed).to_json()))
    return found


# ---------------------------------------------------------------- before Start


def test_without_javascript_the_figure_is_complete_and_offers_nothing_that_fails(
    open_figure: OpenFigure,
) -> None:
    page = open_figure(java_script_enabled=False)
    picture = page.get_by_role("img", name="8 messages of").first
    expect(picture).to_be_visible()
    expect(page.locator(".rc-live-summary")).to_contain_text("8 of 8 messages intact")
    expect(page.locator(".rc-live-start")).to_be_hidden()
    expect(page.get_by_label("Gap between messages")).to_be_disabled()
    page.get_by_text("The same in tables").click()
    expect(page.get_by_role("table", name="recv() calls")).to_be_visible()


def test_nothing_is_loaded_before_start_and_two_figures_share_what_is(
    open_figure: OpenFigure,
) -> None:
    page = open_figure("deep/second.html", reduced_motion="reduce")
    requested: list[str] = []
    workers: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("worker", lambda worker: workers.append(worker.url))
    page.reload()
    page.wait_for_load_state("networkidle")
    assert requested
    assert not [url for url in requested if "pyodide" in url or "worker" in url]

    start(page)
    page.get_by_role("button", name="Run the model").click()
    page.wait_for_function("window.shown.length > 1")
    for name in ("pyodide.asm.wasm", "snapshot.zip", "models-"):
        assert len([url for url in requested if name in url]) == 1
    assert len(workers) == 1
    results = page.evaluate(
        "[...document.querySelectorAll('rc-live-figure')].map((each) => JSON.parse(each.result))"
    )
    for found, (name, seed) in zip(
        results, [("chatty-writer", 3), ("nagle-delayed-ack", 1)], strict=True
    ):
        assert found == python_result(seed, **to_json(FRAMING.preset(name).parameters))
    # `watch` aborted and noted each request to another host; the fixture asserts there was none.


def test_print_shows_the_picture_and_not_the_controls(open_figure: OpenFigure) -> None:
    page = open_figure()
    page.emulate_media(media="print")
    expect(page.get_by_role("img").first).to_be_visible()
    expect(page.locator(".rc-live-form")).to_be_hidden()
    expect(page.get_by_role("button", name="Run the model")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_before_and_after_start(open_figure: OpenFigure, scheme: str) -> None:
    page = open_figure(color_scheme=scheme, reduced_motion="reduce")
    page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", scheme)
    assert violations_in_figure(page) == []
    start(page)
    for summary in page.locator("rc-live-figure summary").all():
        summary.click()
    assert violations_in_figure(page) == []


def violations_in_figure(page: Page) -> list[str]:
    """Every rule of axe, on the page less what Sphinx's bare theme puts around the figure."""
    page.evaluate(
        """() => {
            if (document.querySelector("main")) return;
            const main = document.createElement("main");
            main.append(document.querySelector("h1"), document.querySelector("rc-live-figure"));
            document.body.replaceChildren(main);
        }"""
    )
    return axe_violations(page)


# ---------------------------------------------------------------- Start


def test_the_first_frame_comes_in_time_and_focus_moves_to_the_controls(
    open_figure: OpenFigure,
) -> None:
    times = []
    for _ in range(2):
        page = open_figure(reduced_motion="reduce")
        button = page.get_by_role("button", name="Run the model")
        button.focus()
        page.keyboard.press("Enter")
        times.append(first_picture(page))
        expect(page.get_by_role("status")).to_contain_text("runs in your browser")
        expect(button).to_be_hidden()
        assert page.evaluate("document.activeElement.dataset.action") == "play"
    print(f"\nfirst frame {min(times):.0f} ms after Start (stated: {FIRST_FRAME_MS} ms)")
    assert min(times) < FIRST_FRAME_MS * SLACK


def test_a_runtime_that_does_not_start_in_time_is_given_up_and_can_be_tried_again(
    open_figure: OpenFigure,
) -> None:
    page = open_figure(checked=False, reduced_motion="reduce")
    stalled: list[Route] = []
    page.context.route("**/snapshot.zip", lambda route: stalled.append(route))
    figure = page.locator("rc-live-figure")
    figure.evaluate("(each) => { each.dataset.startDeadlineMs = 1500; }")
    page.get_by_role("button", name="Run the model").click()
    expect(page.get_by_role("alert")).to_contain_text("did not start within 2 seconds")
    assert figure.evaluate("(each) => each.state") == "failed"
    assert len(stalled) == 1
    again = page.get_by_role("button", name="Try again")
    expect(again).to_be_focused()
    page.context.unroute("**/snapshot.zip")
    figure.evaluate("(each) => { delete each.dataset.startDeadlineMs; }")
    again.click()
    first_picture(page)
    expect(page.get_by_role("alert")).to_be_empty()
    assert result_of(page) == python_result()


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("**/models-*.zip", "models-"),
        ("**/live-figure-worker.js*", "script did not load"),
    ],
)
def test_a_missing_file_is_named_and_can_be_tried_again(
    open_figure: OpenFigure, missing: str, message: str
) -> None:
    page = open_figure(checked=False, reduced_motion="reduce")
    page.context.route(missing, lambda route: route.fulfill(status=404, body="no"))
    page.get_by_role("button", name="Run the model").click()
    expect(page.get_by_role("alert")).to_contain_text("The model could not be started")
    expect(page.get_by_role("alert")).to_contain_text(message)
    page.context.unroute(missing)
    page.get_by_role("button", name="Try again").click()
    first_picture(page)
    assert result_of(page) == python_result()


def test_time_moves_by_itself_and_can_be_paused(open_figure: OpenFigure) -> None:
    page = open_figure(reduced_motion="no-preference")
    start(page)
    page.wait_for_function("window.shown.length > 5")
    page.get_by_role("button", name="Pause").click()
    settle(page)
    count = len(shown(page))
    settle(page)
    assert len(shown(page)) == count
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()


# ---------------------------------------------------------------- equal results


def random_requests(simulator: Simulator[Any, Any], number: int) -> list[dict[str, Any]]:
    """Draw settings from the whole of their ranges, with every preset among them."""
    rng = random.Random(2_026)
    drawn: list[tuple[dict[str, Any], int]] = [
        (to_json(preset.parameters), preset.seed) for preset in simulator.presets
    ]
    while len(drawn) < number:
        values: dict[str, Any] = {}
        for name, control in controls(simulator.parameters).items():
            if isinstance(control, IntegerRange):
                values[name] = rng.randint(control.minimum, control.maximum)
            elif isinstance(control, Choice):
                values[name] = rng.choice(control.options)[0]
            else:
                values[name] = rng.random() < 0.5
        with suppress(ParameterError):  # two of them contradict each other
            from_json(simulator.parameters, values)
            drawn.append((values, rng.randrange(10_000)))
    return [
        {
            "figure": "equal",
            "simulator": simulator.name,
            "values": values,
            "seed": seed,
            "at_us": None if number % 2 else rng.randrange(2_000_000),
            "width": (360, 640)[number % 3 == 0],
        }
        for number, (values, seed) in enumerate(drawn)
    ]


@pytest.mark.parametrize("name", SIMULATORS)
def test_results_and_drawings_equal_the_python_model_s(running: Page, name: str) -> None:
    """The same requests go to a worker of the page and to CPython; the answers agree entirely."""
    requests = random_requests(SIMULATORS[name], REQUESTS.get(name, 40))
    answers: list[dict[str, Any]] = running.evaluate(
        """async (requests) => {
            const { runtime } = JSON.parse(document.querySelector("rc-live-figure").dataset.config);
            const absolute = (url) => new URL(url, document.baseURI).href;
            const isNew = window.comparing === undefined;
            const worker = window.comparing ??=
                new Worker(absolute(runtime.worker), { type: "module" });
            const ask = (message) => new Promise((resolve, reject) => {
                worker.onmessage = ({ data }) =>
                    data.failure === undefined ? resolve(data.answer) : reject(data.failure);
                worker.postMessage({ id: 1, ...message });
            });
            const urls = { runtime: absolute(runtime.runtime), models: absolute(runtime.models) };
            if (isNew) await ask({ kind: "start", urls, lock: runtime.lock });
            const answers = [];
            for (const request of requests) answers.push(await ask({ kind: "run", request }));
            return answers;
        }""",
        requests,
    )
    model = Model()
    for request, answer in zip(requests, answers, strict=True):
        assert answer == json.loads(model.run(json.dumps(request))), request["values"]
    assert len({answer["result"] for answer in answers}) == len(requests)


def test_the_result_follows_the_controls(running: Page) -> None:
    assert result_of(running) == python_result()
    set_value(running, "gap_us", 500)
    assert result_of(running) == python_result(gap_us=500)
    set_value(running, "framing", "delimiter")
    set_value(running, "nagle", True)
    assert result_of(running) == python_result(gap_us=500, framing="delimiter", nagle=True)
    expect(running.locator("rc-live-figure svg")).to_have_count(1)
    assert running.locator("[data-preset]").first.input_value() == ""


def test_a_preset_sets_every_control_and_the_seed(running: Page) -> None:
    count = len(shown(running))
    running.get_by_label("Start from").select_option(label="Nagle meets delayed ACK")
    running.wait_for_function("(count) => window.shown.length > count", arg=count)
    preset = FRAMING.preset("nagle-delayed-ack")
    assert result_of(running) == python_result(preset.seed, **to_json(preset.parameters))
    expect(running.locator("[data-sentence]")).to_have_text(preset.sentence)
    expect(running.locator(".rc-live-summary")).to_contain_text("held data back 4 times")


def test_the_seed_draws_other_messages_and_a_bad_one_is_refused(running: Page) -> None:
    running.get_by_text("More settings").click()
    seed = running.get_by_label("Seed")
    seed.fill("42")
    settle(running)
    assert result_of(running) == python_result(42)
    seed.fill("123456")
    expect(running.get_by_role("alert")).to_have_text("The seed is a whole number from 0 to 9999.")
    seed.fill("7")
    expect(running.get_by_role("alert")).to_be_empty()
    settle(running)
    assert result_of(running) == python_result(7)
    running.get_by_text("More settings").click()


def test_readouts_use_the_same_words_as_python(running: Page) -> None:
    rng = random.Random(5)
    cases = [
        (value, unit)
        for unit in ("µs", "bytes", "kbit/s", "messages", "")
        for value in [0, 1, 2, 999, 1_000, 1_001, 999_999, 1_000_000, 1_000_001]
        + [rng.randrange(3_000_000) for _ in range(40)]
    ]
    words = running.evaluate(
        """async (cases) => {
            const { formatQuantity } = await import(
                document.querySelector('script[src*="live-figure.js"]').src);
            return cases.map(([value, unit]) => formatQuantity(value, unit));
        }""",
        cases,
    )
    assert words == [format_quantity(value, unit) for value, unit in cases]
    gap = running.get_by_label("Gap between messages")
    expect(gap).to_have_attribute("aria-valuetext", "20 ms")
    set_value(running, "gap_us", 1_500)
    expect(gap).to_have_attribute("aria-valuetext", "1.5 ms")
    expect(running.locator("[data-parameter=gap_us] + .rc-live-value")).to_have_text("1.5 ms")


# ---------------------------------------------------------------- while it runs


def test_a_slider_s_picture_comes_in_time(running: Page) -> None:
    running.evaluate("window.shown.length = 0")
    gap = running.get_by_label("Gap between messages")
    for step in range(12):
        gap.focus()
        count = len(shown(running))
        running.keyboard.press("ArrowLeft" if step % 2 else "ArrowRight")
        running.wait_for_function("(count) => window.shown.length > count", arg=count)
    times = sorted(each["milliseconds"] for each in shown(running))
    middle = statistics.median(times)
    print(f"\nslider to picture: median {middle:.0f} ms, slowest {times[-1]:.0f} ms")
    assert middle < SLIDER_MS * SLACK


def test_the_largest_run_is_still_a_slider(running: Page) -> None:
    for name, value in {
        "messages": 24,
        "largest_bytes": 2_000,
        "smallest_bytes": 2_000,
        "recv_bytes": 64,
        "maximum_segment_bytes": 200,
    }.items():
        set_value(running, name, value)
    took = shown(running)[-1]["milliseconds"]
    print(f"\nlargest run: {took:.0f} ms for {len(result_of(running)['reads'])} reads")
    assert took < 1_000 * SLACK


def test_only_the_newest_settings_are_run_while_a_slider_is_dragged(running: Page) -> None:
    running.evaluate("window.shown.length = 0")
    running.get_by_label("Gap between messages").evaluate(
        """(input) => {
            for (let value = 0; value <= 200000; value += 500) {
                input.value = value;
                input.dispatchEvent(new Event("input", { bubbles: true }));
            }
        }"""
    )
    settle(running)
    # The first of the 401 events started a run; the 400 that came meanwhile became one.
    assert len(shown(running)) == 2
    assert result_of(running) == python_result(gap_us=200_000)


def test_the_summary_waits_until_the_settings_rest(running: Page) -> None:
    running.wait_for_timeout(700)
    changes = running.evaluate(
        """async () => {
            let changes = 0;
            const summary = document.querySelector(".rc-live-summary");
            const observer = new MutationObserver((records) => { changes += records.length; });
            observer.observe(summary, { childList: true, characterData: true, subtree: true });
            const input = document.querySelector("[data-parameter=recv_bytes]");
            for (let value = 1000; value >= 64; value -= 48) {
                input.value = value;
                input.dispatchEvent(new Event("input", { bubbles: true }));
                await new Promise((resolve) => setTimeout(resolve, 60));
            }
            const dragging = changes;
            await new Promise((resolve) => setTimeout(resolve, 1200));
            observer.disconnect();
            return [dragging, changes - dragging];
        }"""
    )
    assert changes == [0, 1]


@pytest.mark.parametrize("viewport", [{"width": 1_280, "height": 800}, NARROW])
def test_the_picture_stays_in_view_while_a_setting_is_moved(
    running: Page, viewport: dict[str, int]
) -> None:
    running.set_viewport_size(viewport)
    settle(running)
    for label in ("Gap between messages", "Nagle's algorithm", "Gap between messages"):
        control = running.get_by_label(label)
        control.focus()
        control.scroll_into_view_if_needed()
        picture = running.locator("rc-live-figure svg").bounding_box()
        assert picture is not None
        assert picture["y"] > -20
        assert control.evaluate(
            """(control) => {
                const { x, y, width, height } = control.getBoundingClientRect();
                return document.elementFromPoint(x + width / 2, y + height / 2) === control;
            }"""
        ), f"{label} is covered"
    running.set_viewport_size(WIDE)
    settle(running)


def test_an_error_of_the_model_stands_in_the_figure_in_words(running: Page) -> None:
    smallest = running.get_by_label("Smallest message")
    before = result_of(running)
    smallest.fill("500")
    expect(running.get_by_role("alert")).to_have_text(
        "Smallest message is 500 bytes, above the largest, 200 bytes. "
        "Lower the smallest message or raise the largest."
    )
    expect(smallest).to_have_attribute("aria-invalid", "true")
    assert result_of(running) == before
    smallest.fill("100")
    expect(running.get_by_role("alert")).to_be_empty()
    expect(running.locator("[aria-invalid]")).to_have_count(0)
    settle(running)
    assert result_of(running) == python_result(smallest_bytes=100)


def test_time_is_stepped_from_event_to_event(running: Page) -> None:
    step = running.get_by_role("button", name="Next event")
    time = running.get_by_label("Simulated time")
    end_us = result_of(running)["end_us"]
    expect(time).to_have_value(str(end_us))
    step.click()
    expect(time).to_have_value("0")
    expect(running.locator("rc-live-figure svg text", has_text="r1")).to_have_count(0)
    settle(running)
    events = sorted(
        {write["called_us"] for write in result_of(running)["writes"]}
        | {segment["arrived_us"] for segment in result_of(running)["segments"]}
        | {read["returned_us"] for read in result_of(running)["reads"]}
    )
    for expected in events[1:4]:
        step.click()
        expect(time).to_have_value(str(expected))
    expect(running.locator("rc-live-figure svg text", has_text="r1")).to_have_count(1)


def test_the_keyboard_reaches_every_control_in_order(running: Page) -> None:
    page = running
    page.get_by_label("Simulated time").focus()
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "() => { const e = document.activeElement;"
                " return e.labels?.[0]?.textContent.trim() || e.textContent.trim(); }"
            )
        )
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", reached[-1]
    assert reached == [
        "Play",
        "Next event",
        "Reset",
        "Copy link to these settings",
        "Start from",
        "Framing",
        "Gap between messages",
        "Bytes asked of recv()",
        "Smallest message",
        "Nagle's algorithm",
        "More settings",
        "The same in tables",
    ]
    page.get_by_label("Nagle's algorithm").focus()
    page.keyboard.press("Space")
    settle(page)
    assert result_of(page) == python_result(nagle=True)


def test_a_link_carries_the_settings(running: Page, open_figure: OpenFigure) -> None:
    set_value(running, "gap_us", 2_500)
    set_value(running, "nagle", True)
    set_value(running, "framing", "length-prefix")
    running.get_by_role("button", name="Copy link").click()
    expect(running.get_by_role("status")).to_contain_text("in the clipboard")
    link = running.evaluate("navigator.clipboard.readText()")
    assert link == running.url
    # A link is anyone's text: what is not a setting is not taken.
    other = open_figure(f"{link}&lid=1&gaps=<b>&messages=abc", reduced_motion="reduce")
    expect(other.get_by_role("status")).to_contain_text("link's settings")
    expect(other.get_by_label("Gap between messages")).to_have_value("2500")
    expect(other.get_by_label("Kind of gap")).to_have_value("steady")
    start(other)
    found = result_of(other)
    del found["parameters"]["messages"]
    asked = {"gap_us": 2_500, "nagle": True, "framing": "length-prefix", "gaps": "steady"}
    assert asked.items() <= found["parameters"].items()


def test_on_a_phone_the_narrow_drawing_is_shown_and_nothing_overflows(
    running: Page, open_figure: OpenFigure
) -> None:
    running.set_viewport_size(NARROW)
    running.wait_for_function(
        "document.querySelector('rc-live-figure svg').getAttribute('viewBox').startsWith('0 0 360')"
    )
    for page in (running, open_figure(viewport=NARROW)):
        picture = page.locator("rc-live-figure svg >> visible=true")
        expect(picture).to_have_count(1)
        assert (picture.get_attribute("viewBox") or "").startswith("0 0 360 ")
        letters = picture.evaluate(
            "(svg) => 12 * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width"
        )
        assert letters >= 11
        assert page.evaluate(
            "document.querySelector('rc-live-figure').scrollWidth"
            " <= document.querySelector('rc-live-figure').clientWidth + 1"
        )
    running.set_viewport_size(WIDE)
    running.wait_for_function(
        "document.querySelector('rc-live-figure svg').getAttribute('viewBox').startsWith('0 0 640')"
    )


# ---------------------------------------------------------------- the book itself


def test_the_figure_of_the_first_chapter_runs_in_the_book(
    open_page: Callable[..., Watched], site: Path
) -> None:
    path = "chapters/sockets.html"
    assert (site / path).is_file(), f"{path} is missing: run `make html` first"
    page = open_page(path, color_scheme="light", reduced_motion="reduce").page
    record_pictures(page)
    page.reload()
    took = start(page)
    print(f"\nfirst frame in the book: {took:.0f} ms")
    assert took < FIRST_FRAME_MS * SLACK
    found = result_of(page)
    assert found == python_result(found["seed"], **found["parameters"])
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("html")).to_have_attribute("data-theme", scheme)
        # What stands around the figure is judged in every mode by itself.
        assert axe_violations(page, "rc-live-figure") == []


def test_thirty_thousand_events_are_still_a_slider(open_page: Callable[..., Watched]) -> None:
    page = open_page("chapters/metastable.html", reduced_motion="reduce").page
    record_pictures(page)
    page.reload()
    start(page)
    settle(page)
    found = result_of(page)
    assert found["events"] > 30_000
    page.evaluate("window.shown.length = 0")
    slider = page.locator("[data-parameter=timeout_us]").first
    for step in range(8):
        slider.focus()
        count = len(shown(page))
        page.keyboard.press("ArrowLeft" if step % 2 else "ArrowRight")
        page.wait_for_function("(count) => window.shown.length > count", arg=count)
    middle = statistics.median(each["milliseconds"] for each in shown(page))
    print(f"\nslider to the whole result of {found['events']:,} events: median {middle:.0f} ms")
    assert middle < SLIDER_MS * SLACK
    # More than a page can bear is refused, and says what to do.
    page.locator("[data-parameter=rate]").first.fill("500")
    expect(page.get_by_role("alert").first).to_contain_text("Choose a lower rate or peak")
    assert result_of(page)["parameters"]["rate"] == 40
