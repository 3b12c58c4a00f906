"""What a lab's cells call: services, failures, deadlines, exercises, quizzes, progress."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from remotecalls.notebook import Lab
from remotecalls.notebook.process import Service, ServiceError


@pytest.fixture
async def clean_lab(lab: Lab) -> AsyncIterator[Lab]:
    """The lab `trial`; at the end it has stopped everything."""
    yield lab
    await lab.stop_all()


# ------------------------------------------------------------------ set-up


def test_the_set_up_says_that_it_is_fine(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Lab("trial")
    assert capsys.readouterr().out == "Lab 'trial' is set up: 2 exercises, 1 quiz.\n"


def test_the_set_up_says_what_to_do(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Lab("No Such Name")
    assert "lower-case words joined by hyphens" in capsys.readouterr().out
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    Lab("trial")
    assert "this kernel is 3.9.1. Run: make lab" in capsys.readouterr().out


# ------------------------------------------------------------------ services in this process


async def test_a_context_manager_is_held_across_cells(clean_lab: Lab) -> None:
    events = []

    @contextlib.asynccontextmanager
    async def service() -> AsyncIterator[str]:
        # A task group and a timeout break when another task than their own leaves them.
        async with asyncio.TaskGroup() as group, asyncio.timeout(30):
            background = group.create_task(asyncio.sleep(60))
            events.append("started")
            yield "value"
            background.cancel()
            events.append("stopped")

    async def first_cell() -> str:
        return await clean_lab.start(service(), "the service")

    value = await asyncio.create_task(first_cell())
    assert value == "value"
    await asyncio.create_task(clean_lab.stop(value))
    assert events == ["started", "stopped"]
    await clean_lab.stop(value)  # a second time does nothing


async def test_a_service_that_does_not_start_is_cancelled(clean_lab: Lab) -> None:
    events = []

    @contextlib.asynccontextmanager
    async def service() -> AsyncIterator[None]:
        try:
            await asyncio.sleep(60)
            yield
        finally:
            events.append("cleaned up")

    with pytest.raises(TimeoutError, match=r"the database did not start within 0\.1 s"):
        await clean_lab.start(service(), "the database", seconds=0.1)
    assert events == ["cleaned up"]


async def test_what_starting_raises_is_raised(clean_lab: Lab) -> None:
    @contextlib.asynccontextmanager
    async def service() -> AsyncIterator[None]:
        raise OSError("port in use")
        yield

    with pytest.raises(OSError, match="port in use"):
        await clean_lab.start(service())


async def test_a_service_that_does_not_stop_is_cancelled(clean_lab: Lab) -> None:
    @contextlib.asynccontextmanager
    async def service() -> AsyncIterator[str]:
        yield "stubborn"
        await asyncio.sleep(60)

    value = await clean_lab.start(service(), "the server")
    with pytest.raises(TimeoutError, match=r"did not stop within 0\.1 s; it was cancelled"):
        await clean_lab.stop(value, seconds=0.1)


async def test_stopping_goes_backwards_and_past_errors(lab: Lab) -> None:
    events = []

    @contextlib.asynccontextmanager
    async def service(name: str) -> AsyncIterator[str]:
        yield name
        events.append(name)
        if name == "second":
            raise RuntimeError("did not end well")

    for name in ("first", "second", "third"):
        await lab.start(service(name))
    directory = lab.temporary_directory()
    with pytest.raises(ExceptionGroup) as caught:
        await lab.stop_all()
    assert [str(error) for error in caught.value.exceptions] == ["did not end well"]
    assert events == ["third", "second", "first"]
    assert not directory.exists()


async def test_ordinary_context_managers_are_left_too(lab: Lab) -> None:
    here, there = socket.socketpair()
    lab.enter(here)
    lab.enter(there)
    await lab.stop(here)
    assert (here.fileno(), there.fileno() >= 0) == (-1, True)
    await lab.stop_all()
    assert there.fileno() == -1


async def test_the_log_of_a_service_in_this_process(clean_lab: Lab) -> None:
    listener = clean_lab.listen("remotecalls.trial")
    logger = logging.getLogger("remotecalls.trial")
    logger.info("request from 127.0.0.1:51234 took 3.2 ms")
    assert listener.log() == ("request from 127.0.0.1:PORT took N ms",)
    assert repr(listener.log()) == "(no line)"
    await clean_lab.stop(listener)
    logger.info("not kept")
    assert listener.log() == ()


# ------------------------------------------------------------------ services as processes


def ask(service: Service, line: bytes) -> bytes:
    where = service.address.host, service.address.port
    with socket.create_connection(where, timeout=5) as connection:
        connection.sendall(line)
        return connection.recv(1000)


async def test_a_process_serves_logs_and_dies(clean_lab: Lab) -> None:
    service = await clean_lab.spawn("text")
    assert repr(service) == "<service text: running>"
    assert service.log() == ()
    assert await asyncio.to_thread(ask, service, b"nonsense\n")
    (line,) = service.log(lines=1)
    assert line.startswith("TIME ")
    with pytest.raises(ServiceError, match=r"wrote 0 of 1 log lines within 0\.1 s"):
        service.log(lines=1, seconds=0.1)
    service.kill()
    assert repr(service) == "<service text: ended>"
    assert not psutil.pid_exists(service.pid)
    assert service.log() == ()  # the file is gone, the log is not
    with pytest.raises(ConnectionRefusedError):
        ask(service, b"")
    await clean_lab.stop(service)


async def test_stopping_a_process_leaves_nothing(clean_lab: Lab) -> None:
    first = await clean_lab.spawn("text")
    second = await clean_lab.spawn("binary")
    await clean_lab.stop(first)
    assert not psutil.pid_exists(first.pid)
    assert second.alive
    await clean_lab.stop_all()
    assert not psutil.pid_exists(second.pid)
    assert not [one for one in psutil.Process().children() if "guardian" in str(one.cmdline())]


async def test_a_service_that_does_not_exist_shows_its_log(clean_lab: Lab) -> None:
    with pytest.raises(ServiceError, match="ended with exit status 2; the end of its log") as error:
        await clean_lab.spawn("telepathy")
    assert "telepathy" in str(error.value)
    assert "is not one of" in str(error.value)


async def test_a_service_that_does_not_listen_in_time_is_killed(clean_lab: Lab) -> None:
    before = {child.pid for child in psutil.Process().children()}
    with pytest.raises(ServiceError, match=r"did not listen within 0\.001 s"):
        await clean_lab.spawn("text", seconds=0.001)
    left = {
        child.pid
        for child in psutil.Process().children()
        if child.pid not in before and "serve" in child.cmdline()
    }
    assert not left


async def test_a_stopped_process_that_does_not_answer_is_killed(clean_lab: Lab) -> None:
    service = await clean_lab.spawn("text")
    os.kill(service.pid, signal.SIGSTOP)
    with pytest.raises(ServiceError, match=r"did not stop within 0\.2 s and was killed"):
        await clean_lab.stop(service, seconds=0.2)
    assert not psutil.pid_exists(service.pid)


OWNER = """
import asyncio, os, signal, sys
from remotecalls.notebook import Lab

async def main():
    lab = Lab("forgetful")
    service = await lab.spawn("text")
    frozen = await lab.spawn("text")
    os.kill(frozen.pid, signal.SIGSTOP)
    directory = lab.temporary_directory()
    print(service.pid, frozen.pid, directory, service._log._path.parent, flush=True)
    sys.stdin.read()
    if sys.argv[1] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    os.kill(frozen.pid, signal.SIGCONT)
    if sys.argv[1] == "raise":
        raise RuntimeError("a cell fails")

asyncio.run(main())
"""


@pytest.mark.parametrize("end", ["kill", "raise", "return"])
def test_nothing_outlives_the_kernel_however_it_ends(end: str) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, end],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline().startswith("Lab 'forgetful'")
    service, frozen, *directories = owner.stdout.readline().split()
    assert all(Path(directory).is_dir() for directory in directories)
    assert running(int(service))
    assert running(int(frozen))
    owner.communicate("")
    # A frozen process does not see the end of its input; the guardian kills it after 2 s.
    until = time.monotonic() + 6
    while time.monotonic() < until and (
        running(int(service))
        or running(int(frozen))
        or any(Path(directory).exists() for directory in directories)
    ):
        time.sleep(0.02)
    assert not running(int(service))
    assert not running(int(frozen))
    assert not [directory for directory in directories if Path(directory).exists()]


def running(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not collected does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# ------------------------------------------------------------------ deadlines and failures


async def test_within_ends_a_wait(lab: Lab) -> None:
    async def quick() -> int:
        return 7

    assert await lab.within(1, quick()) == 7
    with pytest.raises(TimeoutError, match=r"waited 0\.05 s for the answer of node 3"):
        await lab.within(0.05, asyncio.sleep(60), "the answer of node 3")


async def test_within_lets_the_timeout_of_the_callee_pass(lab: Lab) -> None:
    async def late() -> None:
        raise TimeoutError("the callee's own")

    with pytest.raises(TimeoutError, match="the callee's own"):
        await lab.within(1, late())


async def test_eventually_waits_for_a_condition(lab: Lab) -> None:
    done: list[int] = []
    asyncio.get_running_loop().call_later(0.05, done.append, 1)
    await lab.eventually(2, lambda: bool(done), "it is done")
    with pytest.raises(TimeoutError, match=r"waited 0\.05 s until it is undone"):
        await lab.eventually(0.05, lambda: not done, "it is undone")


def test_expected_failures_are_printed(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    with lab.expect(EOFError, ValueError):
        raise EOFError("the stream ended after 3 of 6 bytes")
    assert capsys.readouterr().out == "EOFError: the stream ended after 3 of 6 bytes\n"
    with (
        pytest.raises(AssertionError, match="EOFError or ValueError was expected"),
        lab.expect(EOFError, ValueError),
    ):
        pass
    with pytest.raises(KeyError), lab.expect(EOFError):
        raise KeyError


# ------------------------------------------------------------------ exercises and quizzes


def test_the_hint_ladder_ends_at_the_solution(lab: Lab) -> None:
    assert repr(lab.hint("count")) == "Hint 1 of 2: Which byte ends a message?"
    assert repr(lab.hint("count")) == "Hint 2 of 2: bytes has a method count."
    assert 'lab.solution("count") shows our solution, 2 lines of code.' in repr(lab.hint("count"))
    assert repr(lab.hint("echo")).startswith("Hint 1 of 2")
    shown = repr(lab.solution("count"))
    assert shown.startswith("Our solution, 2 lines of code:")
    assert 'return data.count(b"\\n")' in shown
    assert "<pre>" in lab.solution("count")._repr_html_()


def test_a_failing_check_leads_to_the_hints(lab: Lab) -> None:
    report = lab.check("count", lambda data: 7)
    assert report.next_step == 'Next: lab.hint("count")'
    assert lab.check("count", lambda data: data.count(b"\n")).next_step == ""


def test_unknown_names_are_answered(lab: Lab) -> None:
    for answer in (lab.exercise("cuont"), lab.hint("cuont"), lab.solution("cuont")):
        assert "no exercise 'cuont'. Did you mean 'count'? It has: count, echo." in repr(answer)
    assert "Did you mean 'count'?" in str(lab.check("cuont", 1))
    assert "no quiz 'rcv'. Did you mean 'recv'?" in repr(lab.quiz("rcv"))
    assert "no quiz" in repr(lab.answer("rcv", "a"))
    assert "no simulator 'farming'. Did you mean 'framing'?" in repr(lab.panel("farming"))


def test_solutions_may_be_absent(lab: Lab, root: Path) -> None:
    (root / "solutions" / "trial.py").unlink()
    assert "part of a checkout of the book" in repr(lab.solution("count"))


def test_the_task_card(lab: Lab) -> None:
    card = lab.exercise("count")
    assert repr(card).splitlines() == [
        "Exercise count (build): Count the messages",
        "  Write `count(data)`.",
        "  About 10 minutes; our solution has 2 lines of code.",
    ]
    assert "Count the messages" in card._repr_html_()


def test_every_option_of_a_quiz_is_explained(lab: Lab) -> None:
    assert repr(lab.quiz("recv")).splitlines() == [
        "What does recv(1024) return?",
        '  a) Always b"hello".',
        "  b) Between 1 and 10 bytes.",
        'lab.answer("recv", "a")',
    ]
    assert "<code>recv(1024)</code>" in lab.quiz("recv")._repr_html_()
    assert "<p>b) Between 1 and 10 bytes.</p>" in lab.quiz("recv")._repr_html_()
    wrong, right = lab.answer("recv", "a"), lab.answer("recv", "B")
    assert repr(wrong) == "Not this time.\n  a) One send is not one receive."
    assert repr(right) == "Right.\n  b) The stream keeps the order of the bytes."
    assert (bool(wrong), bool(right)) == (False, True)
    assert "'c' is not one of them" in repr(lab.answer("recv", "c"))
    assert "name at least one" in repr(lab.answer("recv"))
    assert repr(lab.answer("recv", "a", "b")) == "Choose one option."


def test_predictions_are_compared(lab: Lab) -> None:
    assert repr(lab.predict("reads", 3)) == "Your prediction of reads: 3"
    assert repr(lab.compare("reads", 3)) == "reads: predicted 3, measured 3, as predicted."
    assert repr(lab.compare("reads", 4)) == "reads: predicted 3, measured 4, not as predicted."
    assert 'lab.predict("bytes", ...)' in repr(lab.compare("bytes", 4))


# ------------------------------------------------------------------ progress


def test_progress_is_kept_and_exported(lab: Lab, root: Path) -> None:
    assert repr(lab.progress()).splitlines() == [
        "name   state         details",
        "count  not begun",
        "echo   not begun",
        "recv   not answered  quiz",
    ]
    lab.check("count", lambda data: 7)
    lab.hint("count")
    lab.check("count", lambda data: data.count(b"\n"))
    lab.check("count", ...)
    lab.solution("count")
    lab.answer("recv", "b")
    table = repr(Lab("trial").progress())  # another kernel
    assert "count  passed     3 checks, 1 hint, solution seen" in table
    assert "recv   right      quiz" in table
    assert "<td>passed</td>" in lab.progress()._repr_html_()
    assert repr(lab.export_progress(root / "mine.json")) == "Your progress is in mine.json."
    exported = json.loads((root / "mine.json").read_text())
    assert exported["labs"]["trial"]["exercises"]["count"]["passed"] is True
    assert [path.name for path in (root / "home").iterdir()] == ["progress.json"]


def test_tests_do_not_touch_the_readers_progress(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Lab("trial").check("count", lambda data: data.count(b"\n"))
    monkeypatch.setenv("REMOTECALLS_PROGRESS", "off")
    before = (root / "home" / "progress.json").read_bytes()
    lab = Lab("trial")
    assert "passed" not in repr(lab.progress())
    lab.check("echo", lambda port, line: b"")
    assert "echo   not yet" in repr(lab.progress())
    assert (root / "home" / "progress.json").read_bytes() == before


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b'{"labs": 7}', b'{"version": 2}'])
def test_a_damaged_file_is_kept_aside(root: Path, content: bytes) -> None:
    home = root / "home"
    home.mkdir()
    (home / "progress.json").write_bytes(content)
    lab = Lab("trial")
    lab.check("count", lambda data: data.count(b"\n"))
    shown = repr(lab.progress())
    assert "count  passed" in shown
    assert "could not be read" in shown
    assert "progress.damaged.json" in shown
    assert (home / "progress.damaged.json").read_bytes() == content


# ------------------------------------------------------------------ panels


def test_a_panel_shows_its_first_picture_without_widgets(lab: Lab) -> None:
    bundles = [
        lab.panel("framing", preset="small-buffer", seed=7)._repr_mimebundle_() for _ in "12"
    ]
    static = [
        {kind: value for kind, value in bundle.items() if "widget" not in kind}
        for bundle in bundles
    ]
    assert static[0] == static[1]
    assert set(bundles[0]) - set(static[0]) == {"application/vnd.jupyter.widget-view+json"}
    assert "<svg" in static[0]["text/html"]
    assert "aria-label=" in static[0]["text/html"]
    assert "seed 7: 8 messages" in static[0]["text/plain"]


def test_a_panel_has_a_control_for_every_parameter(lab: Lab) -> None:
    panel = lab.panel("framing")
    assert panel.widget.preset.value == "lucky"
    controls = panel.widget.controls
    from remotecalls.simulators.framing import FramingParameters, run
    from remotecalls.simulators.parameters import controls as declared

    assert list(controls) == list(declared(FramingParameters))
    controls["recv_bytes"].value = 64
    assert panel.result == run(FramingParameters(recv_bytes=64), 1)
    assert panel.widget.preset.value == ""
    panel.widget.seed.value = 9
    assert panel.result == run(FramingParameters(recv_bytes=64), 9)
    before = panel.widget.picture.value
    panel.widget.preset.value = "chatty-writer"
    assert controls["gap_us"].value == 4_000
    assert panel.widget.picture.value != before


def test_a_panel_says_which_settings_contradict_each_other(lab: Lab) -> None:
    panel = lab.panel("framing")
    before = panel.result
    panel.widget.controls["smallest_bytes"].value = 500
    assert "smallest_bytes is 500" in panel.widget.message.value
    assert panel.result == before
    panel.widget.controls["largest_bytes"].value = 600
    assert "smallest_bytes" not in panel.widget.message.value
    assert panel.result != before


def test_a_panel_shows_earlier_moments(lab: Lab) -> None:
    panel = lab.panel("framing")
    widget = panel.widget
    last = widget.picture.value
    widget.moment.value = 0
    assert widget.time.value == "0 µs"
    assert widget.picture.value != last
    assert repr(lab.panel("framing", preset="no-such")).startswith("framing.preset is 'no-such'")


@pytest.fixture(autouse=True)
def _no_guardian_stays() -> Iterator[None]:
    yield
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            assert "guardian" not in " ".join(child.cmdline()), "a guardian was left behind"
