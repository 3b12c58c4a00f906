"""The drawing of a supervision tree, at a moment and over time."""

from __future__ import annotations

import re
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parameter_strategies import parameters_of, seeds
from remotecalls.figures import NARROW, WIDE, supervision
from remotecalls.figures import supervision_lanes as lanes
from remotecalls.figures.supervision_tree import TONES, describe_tree, draw_tree
from remotecalls.simulators.supervision.model import run
from remotecalls.simulators.supervision.parameters import ALL, ORDERS, SHOP, SupervisionParameters
from remotecalls.simulators.supervision.presets import PRESETS, SIMULATOR
from remotecalls.simulators.supervision.record import Event
from remotecalls.simulators.supervision.result import SupervisionResult
from remotecalls.simulators.supervision.rules import Strategy
from remotecalls.simulators.supervision.snapshot import Flow, Kind, Node, State

SVG = "{http://www.w3.org/2000/svg}"
S = 1_000_000


def of_preset(name: str) -> SupervisionResult:
    preset = SIMULATOR.preset(name)
    return run(preset.parameters, preset.seed)


FIVE = of_preset("five-in-sixty")
STALE = of_preset("stale-neighbor")
TOP_GIVES_UP = of_preset("top-gives-up")


def texts(drawing: str) -> list[str]:
    return ["".join(each.itertext()) for each in ElementTree.fromstring(drawing).iter(f"{SVG}text")]


def number(each: ElementTree.Element, name: str) -> float:
    return float(each.get(name, "0"))


def shift(transform: str | None) -> tuple[float, float]:
    found = re.fullmatch(r"translate\(([-\d.]+) ([-\d.]+)\)", transform or "translate(0 0)")
    assert found is not None
    return float(found[1]), float(found[2])


def points(each: ElementTree.Element, x: float = 0.0, y: float = 0.0) -> list[tuple[float, float]]:
    """The corners of all shapes, and both ends of all letters, on the wide side."""
    dx, dy = shift(each.get("transform"))
    x, y = x + dx, y + dy
    found = [point for child in each for point in points(child, x, y)]
    tag = each.tag.removeprefix(SVG)
    if tag == "rect":
        left, top = x + number(each, "x"), y + number(each, "y")
        found += [(left, top), (left + number(each, "width"), top + number(each, "height"))]
    elif tag == "line":
        found += [(x + number(each, f"x{end}"), y + number(each, f"y{end}")) for end in (1, 2)]
    elif tag == "text":
        long = 6.2 * len(each.text or "")
        start = {"start": 0.0, "middle": long / 2, "end": long}[each.get("text-anchor", "start")]
        left = x + number(each, "x") - start
        found += [(left, y + number(each, "y")), (left + long, y + number(each, "y"))]
    elif tag == "path":
        first = re.match(r"M([-\d.]+) ([-\d.]+)", each.get("d", ""))
        assert first is not None
        found.append((x + float(first[1]), y + float(first[2])))
    return found


def assert_nothing_leaves(drawing: str, width: int) -> None:
    root = ElementTree.fromstring(drawing)
    _, _, wide, high = (float(part) for part in root.get("viewBox", "").split())
    assert wide == width
    for x, y in points(root):
        assert -0.6 <= x <= width + 0.6, x
        assert -0.6 <= y <= high, y


# ---------------------------------------------------------------- the tree, of anything

names = st.text("abcdefgh-123<&", min_size=1, max_size=30)


@st.composite
def trees(draw: st.DrawFn) -> Node:
    """A tree of up to five levels, with names that are unique and may be long."""
    used: set[str] = set()

    def node(depth: int) -> Node:
        name = draw(names.filter(lambda each: each not in used))
        used.add(name)
        is_supervisor = depth == 0 or (depth < 5 and draw(st.booleans()))
        children = (
            [node(depth + 1) for _ in range(draw(st.integers(0, 2)))] if is_supervisor else []
        )
        return Node(
            name,
            Kind.SUPERVISOR if is_supervisor else Kind.WORKER,
            draw(st.sampled_from(State)),
            draw(st.integers(0, 99)),
            draw(st.integers(0, 99)),
            draw(st.sampled_from(Strategy)) if is_supervisor else None,
            tuple(children),
        )

    return node(0)


@settings(max_examples=60, deadline=None)
@given(trees(), st.data())
def test_any_tree_can_be_drawn_with_any_messages(top: Node, data: st.DataObject) -> None:
    ends = st.sampled_from([*(node.name for node in top), "clients"])
    flow = st.builds(Flow, ends, ends, st.sampled_from(["get", "put them"]), st.integers(1, 99_999))
    flows = data.draw(st.lists(flow, max_size=4))
    for width in (NARROW, WIDE):
        drawing = draw_tree(top, flows, width)
        assert_nothing_leaves(drawing, width)
        found = texts(drawing)
        for node in top:
            assert any(each == node.name or is_shortened(each, node.name) for each in found)
        assert sum(each in set(State) for each in found) >= len([*top])
    words = describe_tree(top, flows)
    for node in top:
        assert f"{node.kind.value.capitalize()} {node.name}" in words
    for flow in flows:
        assert f"{flow.receiver} {flow.count:,} times {flow.message}" in words


def is_shortened(shown: str, name: str) -> bool:
    return shown.endswith("…") and name.startswith(shown.removesuffix("…"))


def small_tree(**states: State) -> Node:
    workers = tuple(
        Node(name, Kind.WORKER, states.get(name, State.RUNNING)) for name in ("a", "b", "c", "d")
    )
    return Node("up", Kind.SUPERVISOR, State.RUNNING, 0, 0, Strategy.REST_FOR_ONE, workers)


def test_a_supervisor_has_corners_and_a_worker_is_round() -> None:
    root = ElementTree.fromstring(draw_tree(small_tree()))
    boxes = [each for each in root.iter(f"{SVG}rect") if number(each, "height") == 20]
    assert [number(each, "rx") > 0 for each in boxes] == [False, True, True, True, True]
    assert number(boxes[0], "x") < number(boxes[1], "x") == number(boxes[4], "x")
    assert all(one_below(one, other) for one, other in pairwise(boxes))


def one_below(one: ElementTree.Element, other: ElementTree.Element) -> bool:
    return number(one, "y") + number(one, "height") < number(other, "y")


def test_each_state_has_a_word_a_sign_and_a_color_of_its_own() -> None:
    drawings = {state: draw_tree(small_tree(b=state)) for state in State}
    signs = set()
    for state, drawing in drawings.items():
        assert texts(drawing).count(state.value) == (4 + 1 if state is State.RUNNING else 1)
        assert f"--rc-{TONES[state]}," in drawing
        signs.add(re.sub(r"--rc-\w+, #\w+", "", drawing.split(">b<")[0]))
    assert len(signs) == len(State)
    assert len(set(TONES.values())) == len(State)


def test_the_outline_of_who_is_not_up_is_broken() -> None:
    for state in State:
        root = ElementTree.fromstring(draw_tree(small_tree(b=state)))
        boxes = [each for each in root.iter(f"{SVG}rect") if number(each, "height") == 20]
        is_broken = ["dasharray" in each.get("style", "") for each in boxes]
        is_up = state in (State.RUNNING, State.STALE)
        assert is_broken == [False, False, not is_up, False, False]


def test_restarts_and_waiting_messages_are_shown_where_there_are_any() -> None:
    worker = Node("a", Kind.WORKER, State.RUNNING, 3, 1_234)
    top = Node("up", Kind.SUPERVISOR, State.RUNNING, 0, 0, Strategy.ONE_FOR_ALL, (worker,))
    found = texts(draw_tree(top))
    assert "3" in found
    assert "1,234" in found
    assert "one-for-all" in found
    assert not [each for each in texts(draw_tree(small_tree())) if each.isdigit()]


def arrows(drawing: str) -> list[tuple[float, float, float]]:
    """Of each arrow the height where it begins, that where it ends, and its place between."""
    found = re.findall(
        r'd="M[\d.]+ ([\d.]+)H([\d.]+)q4 0 4 -?4V([\d.]+)q0 (-?\d) -4 -?4H[\d.]+m5', drawing
    )
    return [(float(start), float(end) + float(turn), float(x)) for start, x, end, turn in found]


def test_an_arrow_goes_from_the_row_of_the_sender_to_that_of_the_receiver() -> None:
    rows = {name: 26 * (place + 0.5) for place, name in enumerate(("up", "a", "b", "c", "d"))}
    for sender, receiver in [("a", "d"), ("d", "a"), ("c", "b"), ("up", "b")]:
        drawing = draw_tree(small_tree(), [Flow(sender, receiver, "get", 7)])
        [(start, end, _)] = arrows(drawing)
        assert abs(start - rows[sender]) < 13
        assert abs(end - rows[receiver]) < 13
        assert "get 7" in texts(drawing)


def test_messages_of_a_pair_are_one_arrow_and_arrows_do_not_lie_on_each_other() -> None:
    flows = [
        Flow("a", "b", "get", 3),
        Flow("a", "b", "put", 4),
        Flow("b", "a", "put", 5),
        Flow("a", "d", "put", 6),
        Flow("c", "d", "put", 7),
    ]
    drawing = draw_tree(small_tree(), flows)
    assert "↓ get 3, put 4" in texts(drawing)
    assert "↑ put 5" in texts(drawing)
    assert "put 6" in texts(drawing)
    found = [(min(arrow[:2]), max(arrow[:2]), arrow[2]) for arrow in arrows(drawing)]
    assert len(found) == 4
    for (top, bottom, x), (other_top, other_bottom, other_x) in combinations(found, 2):
        assert x != other_x or bottom < other_top or other_bottom < top
    there, back = (arrow for arrow in arrows(drawing) if max(arrow[:2]) < 26 * 3)
    assert not set(there[:2]) & set(back[:2])
    heights = sorted(
        number(each, "y")
        for each in ElementTree.fromstring(drawing).iter(f"{SVG}text")
        if re.match(r"([↑↓] )?(get|put) \d", each.text or "")
    )
    assert all(other - one >= 12 for one, other in pairwise(heights))


def test_what_has_no_room_and_what_comes_from_outside_is_listed() -> None:
    flows = [
        Flow("a", "b", "a message with a long name", 3),
        Flow("clients", "a", "request", 4),
        Flow("clients", "b", "request", 5),
        Flow("c", "c", "again", 6),
    ]
    narrow = [each.replace("\u00a0", " ") for each in texts(draw_tree(small_tree(), flows, NARROW))]
    assert "clients: request to a 4, b 5" in narrow
    assert "c: again to c 6" in narrow
    assert "a: a message with a long name to b 3" in narrow
    assert "3" in narrow
    wide = texts(draw_tree(small_tree(), flows, WIDE))
    assert "a message with a long name 3" in wide
    assert not any(each.startswith("a: ") for each in wide)


def test_of_many_children_the_first_are_drawn_and_the_others_counted() -> None:
    """A running system may have thousands."""
    workers = tuple(
        Node(f"w-{n}", Kind.WORKER, State.DEAD if n % 100 == 99 else State.RUNNING)
        for n in range(1_000)
    )
    top = Node("up", Kind.SUPERVISOR, State.RUNNING, 0, 0, Strategy.ONE_FOR_ONE, workers)
    flows = [Flow("outside", worker.name, "get", 1) for worker in workers]
    flows += [Flow(worker.name, "outside", "put", 1) for worker in workers]
    for width in (NARROW, WIDE):
        drawing = draw_tree(top, flows, width)
        assert_nothing_leaves(drawing, width)
        found = texts(drawing)
        assert [each for each in found if re.fullmatch(r"w-\d+", each)] == [
            f"w-{n}" for n in range(11)
        ]
        assert "and 989 more: 979 running, 10 dead" in found
        assert any("992 more" in each.replace("\u00a0", " ") for each in found)
        assert "and 993 more" in found
        assert len(drawing) < 40_000
    words = describe_tree(top, flows)
    assert "Below up and 989 more: 979 running, 10 dead." in words
    assert "And 1,976 more messages." in words
    few = Node("up", Kind.SUPERVISOR, State.RUNNING, 0, 0, None, workers[:12])
    assert [each for each in texts(draw_tree(few)) if each.startswith("w-")][-1] == "w-11"


def test_a_tree_that_is_too_narrow_is_refused() -> None:
    with pytest.raises(ValueError, match="narrowest drawing is 360"):
        draw_tree(small_tree(), [], 300)


# ---------------------------------------------------------------- over time


@settings(max_examples=25, deadline=None)
@given(parameters_of(SupervisionParameters), seeds)
def test_any_run_can_be_drawn_at_any_time_and_nothing_leaves_the_picture(
    parameters: SupervisionParameters, seed: int
) -> None:
    result = run(parameters, seed)
    for width in (NARROW, WIDE):
        for at_us in (0, result.end_us // 2, result.end_us):
            assert_nothing_leaves(supervision.draw(result, at_us, width), width)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_nothing_moves_while_time_does(preset, width: int) -> None:  # type: ignore[no-untyped-def]
    result = run(preset.parameters, preset.seed)
    places = set()
    for at_us in range(0, result.end_us + 1, result.end_us // 7):
        root = ElementTree.fromstring(supervision.draw(result, at_us, width))
        names = [
            (each.text, each.get("y"))
            for each in root.iter(f"{SVG}text")
            if each.text in ("Processes", "Requests without an answer", "0 µs")
        ]
        places.add((root.get("viewBox"), tuple(names)))
    assert len(places) == 1


def bars(drawing: str, name: str) -> list[ElementTree.Element]:
    """What is drawn in the lane of a process."""
    root = ElementTree.fromstring(drawing)
    heights = [
        number(each, "y") - 4
        for each in root.iter(f"{SVG}text")
        if each.text == name and number(each, "x") < lanes.LEFT and each.get("text-anchor")
    ]
    [middle] = [height for height in heights if height > title_height(root, "Processes")]
    found = [
        each
        for each in root
        if each.tag == f"{SVG}line"
        and number(each, "y1") == number(each, "y2") == pytest.approx(middle)
    ]
    hollow = [
        each
        for each in root
        if each.tag == f"{SVG}rect"
        and number(each, "y") + number(each, "height") / 2 == pytest.approx(middle)
    ]
    return found + hollow


def title_height(root: ElementTree.Element, title: str) -> float:
    return next(number(each, "y") for each in root.iter(f"{SVG}text") if each.text == title)


def test_a_lane_has_a_bar_for_each_state_in_its_place() -> None:
    for result in (FIVE, STALE, TOP_GIVES_UP):
        drawing = supervision.draw(result, result.end_us)
        pixels = (WIDE - lanes.RIGHT - lanes.LEFT) / result.end_us
        for name in ALL:
            found = bars(drawing, name)
            assert len(found) == len(result.intervals[name])
            starts = sorted(
                number(each, "x1") if each.tag == f"{SVG}line" else number(each, "x")
                for each in found
            )
            expected = [lanes.LEFT + each.from_us * pixels for each in result.intervals[name]]
            assert starts == pytest.approx(expected, abs=0.1)
    assert [each.tag for each in bars(supervision.draw(STALE, STALE.end_us), ORDERS)].count(
        f"{SVG}rect"
    ) == 1


def test_time_hides_what_has_not_happened() -> None:
    early, late = supervision.draw(FIVE, 15 * S), supervision.draw(FIVE, FIVE.end_us)
    for name in ALL:
        for each in bars(early, name):
            assert number(each, "x2") <= lanes.Plot(FIVE, 0, WIDE).x(15 * S) + 0.1
    cross = "l8 8m0 -8l-8 8"
    legend = supervision.draw(FIVE, 0).count(cross)
    # Each cross has a rim; in the tree a cross is the sign of the dead, without one.
    assert early.count(cross) - dead_in_tree(FIVE, 15 * S) == legend - dead_in_tree(FIVE, 0) + 2 * 2
    assert late.count(cross) == legend - dead_in_tree(FIVE, 0) + 2 * 6
    assert "1 within 60 s, 5 allowed" in texts(supervision.draw(FIVE, 13 * S))
    assert "6 within 60 s, 5 allowed" in texts(supervision.draw(FIVE, 30 * S))
    assert "0 within 60 s, 5 allowed" in texts(late)


def dead_in_tree(result: SupervisionResult, at_us: int) -> int:
    """How many are dead in the tree."""
    return sum(node.state is State.DEAD for node in result.snapshot(at_us))


def test_who_gives_up_is_flagged() -> None:
    drawing = supervision.draw(TOP_GIVES_UP, TOP_GIVES_UP.end_us)
    assert drawing.count("h12l-6 11z") == 1 + len(TOP_GIVES_UP.times(Event.GAVE_UP)) == 3
    assert supervision.draw(STALE, STALE.end_us).count("h12l-6 11z") == 1


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_each_bar_and_mark_is_explained(width: int) -> None:
    found = texts(supervision.draw(FIVE, FIVE.end_us, width))
    for word in [*(state.value for state in State), "killed", "gives up"]:
        assert word in found
    for word in ("Processes", "Restarts that shop counts", "Requests without an answer"):
        assert found.count(word) == 1


def test_the_panel_counts_for_the_supervisor_of_the_victim() -> None:
    temporary, killed = of_preset("temporary"), of_preset("supervisor-killed")
    assert "Restarts that front counts" in texts(supervision.draw(temporary, 0))
    found = texts(supervision.draw(killed, killed.end_us))
    assert "Restarts that top counts" in found
    assert "1 within 60 s, 3 allowed" in found


def columns_of(drawing: str, tone: str) -> dict[float, tuple[float, float]]:
    """Of each column in a color, by where it stands: its top and its height."""
    paths = re.findall(rf'd="([Mhvz\d. -]+)" style="fill:var\(--rc-{tone},', drawing)
    found = re.findall(r"M([\d.]+) ([\d.]+)h[\d.]+v([\d.]+)h-", "".join(paths))
    return {float(x): (float(top), float(high)) for x, top, high in found}


def heights_of(drawing: str, tone: str) -> float:
    """All heights of the columns in a color, summed."""
    return sum(high for _, high in columns_of(drawing, tone).values())


def test_failed_requests_stand_on_those_that_were_lost() -> None:
    drawing = supervision.draw(TOP_GIVES_UP, TOP_GIVES_UP.end_us)
    lost, failed = columns_of(drawing, "bad"), columns_of(drawing, "c2")
    both = lost.keys() & failed.keys()
    assert both
    base = max(top + high for top, high in [*lost.values(), *failed.values()])
    for x in both:
        assert lost[x][0] + lost[x][1] == pytest.approx(base, abs=0.15)
        assert failed[x][0] + failed[x][1] == pytest.approx(lost[x][0], abs=0.15)


def test_the_line_of_restarts_ends_at_the_cursor_and_the_band_is_the_period() -> None:
    moves = of_preset("window-moves")
    for at_us in (20 * S, 90 * S):
        plot = lanes.Plot(moves, at_us, WIDE)
        root = ElementTree.fromstring(supervision.draw(moves, at_us))
        [steps] = [
            each.get("d", "")
            for each in root.iter(f"{SVG}path")
            if re.fullmatch(r"M[\d. ]+(H[\d.]+V[\d.]+)+H[\d.]+", each.get("d", ""))
        ]
        places = [float(x) for x in re.findall(r"H([\d.]+)", steps)]
        assert places == sorted(places)
        assert places[-1] == pytest.approx(plot.x(at_us), abs=0.1)
        assert len(places) == 2 + sum(step <= at_us for step, _ in moves.windows[SHOP][1:])
        [band] = [
            each
            for each in root.iter(f"{SVG}rect")
            if "fill-opacity:0.12" in each.get("style", "")
            and "--rc-accent" in each.get("style", "")
        ]
        since_us = max(at_us - 60 * S, 0)
        assert number(band, "x") == pytest.approx(plot.x(since_us), abs=0.1)
        assert number(band, "x") + number(band, "width") == pytest.approx(plot.x(at_us), abs=0.2)
    base, top = (float(y) for y in (re.findall(r"M[\d.]+ ([\d.]+)", steps)[0], min(
        re.findall(r"V([\d.]+)", steps), key=float
    )))  # fmt: skip
    assert (base - top) * 6 / 5 == pytest.approx(lanes._WINDOW, abs=0.2)


def test_the_height_of_columns_is_the_number_of_requests() -> None:
    drawing = supervision.draw(TOP_GIVES_UP, TOP_GIVES_UP.end_us)
    lost, failed = TOP_GIVES_UP.total("lost"), TOP_GIVES_UP.total("failed")
    assert lost > 0
    assert heights_of(drawing, "c2") / heights_of(drawing, "bad") == pytest.approx(
        failed / lost, rel=0.05
    )
    assert f"lost {lost:,} (solid), failed {failed:,} (outlined)" in texts(drawing)
    assert heights_of(supervision.draw(TOP_GIVES_UP, 5 * S), "c2") == 0


# ---------------------------------------------------------------- words and numbers


def test_words_say_what_the_picture_shows() -> None:
    words = supervision.describe_result(FIVE)
    assert "shop is one-for-one. stock is killed 6 times, first after 10 s." in words
    assert "Started again: shop 1, customers 1, orders 1, stock 6." in words
    assert "shop gives up after 30 s." in words
    stale = supervision.describe_result(STALE)
    assert "customers is killed once, after 12 s." in stale
    assert "orders is stale for 48 s." in stale
    ended = supervision.describe_result(TOP_GIVES_UP)
    assert "The system ends after" in ended
    assert "Dead at the end" not in ended
    assert "Dead at the end: web-1." in supervision.describe_result(of_preset("temporary"))
    normal = supervision.describe_result(of_preset("transient"))
    assert "stock ends as it should once" in normal
    assert "Nobody is started again." in normal
    late = run(SupervisionParameters(victim="stock", restart="temporary", kills=3), 1)
    assert "2 kills found no process." in supervision.describe_result(late)
    for result in (FIVE, STALE, TOP_GIVES_UP):
        said = supervision.describe_result(result)
        assert f"Of {result.total('arrived')} requests {result.total('answered')} are" in said
        assert f"{result.total('failed')} fail, {result.total('lost')} are lost" in said
        assert supervision.describe_result(result) in supervision.draw(result, 0)


def test_tables_say_what_the_picture_shows() -> None:
    processes, workers, restarts, log = supervision.tables(FIVE)
    cells = {row[0]: dict(zip(processes.columns, row, strict=True)) for row in processes.rows}
    assert cells["stock"]["started again"] == "6"
    assert cells["web-2"]["starting"] == "1 s"
    assert list(cells) == list(ALL)
    for row in workers.rows:
        of = dict(zip(workers.columns, row, strict=True))
        traffic = FIVE.traffic[of["worker"]]
        assert of["arrived"] == str(len(traffic.arrived))
        assert of["lost"] == str(len(traffic.lost))
        assert of["messages lost with mailboxes"] == str(len(traffic.messages_lost))
        assert of["things forgotten"] == str(len(traffic.state_lost))
        assert of["waiting at the end"] == str(traffic.waiting(FIVE.end_us))
    assert [row[1:] for row in restarts.rows] == [
        *((SHOP, str(count), "yes") for count in range(1, 6)),
        (SHOP, "6", "no"),
        ("top", "1", "yes"),
    ]
    assert len(log.rows) == len(FIVE.log)
    assert ("30 s", "shop", "gave-up", "") in log.rows


def test_long_tables_are_cut_and_say_so() -> None:
    parameters = SupervisionParameters(
        victim="stock", intensity=12, period_us=1_000_000, kills=20, interval_us=200_000,
        start_us=100_000, failing_starts=60,
    )  # fmt: skip
    result = run(parameters, 1)
    assert len(result.log) > 100
    log = supervision.tables(result)[-1]
    assert len(log.rows) == 100
    assert log.caption == f"What happened: the first 100 of {len(result.log)}"


def test_the_times_of_events_are_in_order() -> None:
    for result in (FIVE, STALE, TOP_GIVES_UP):
        times = supervision.event_times(result)
        assert times == sorted(set(times))
        assert {0, result.end_us, *(entry.at_us for entry in result.log)} <= set(times)
        assert {kill.at_us for kill in result.kills} <= set(times)


def test_a_drawing_that_is_too_narrow_is_refused() -> None:
    with pytest.raises(ValueError, match="narrowest drawing is 360"):
        supervision.draw(FIVE, 0, 300)
