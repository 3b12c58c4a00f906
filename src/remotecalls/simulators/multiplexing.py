"""One page over one link, fetched in three ways: who waits for whom.

The same answers, a few large ones and many small ones, come over the same link by

* HTTP/1.1 with one connection: one answer after the other, in the order of the requests, and a
  round trip for each (RFC 9112, section 9.3; nobody pipelines);
* HTTP/1.1 with a pool of connections: each does the same with the next request of the queue;
* HTTP/2 with one connection: all requests at once. The server cuts the answers into frames and
  sends one of each in turn, as far as the flow-control windows allow (RFC 9113, section 5.2).

TCP below (`lossy_tcp.py`) delivers each connection's bytes in order. So a lost segment holds up all
that was sent behind it on its connection, whatever answer it belongs to.

The n-th data segment on the link is lost or not by the same draw in each way. All draws are whole
numbers. Left out: the time of the server, priorities, compression, and the requests' own bytes.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

import simpy

from remotecalls.simulators.lossy_tcp import Link, Receiver, Sender, after
from remotecalls.simulators.multiplexing_parameters import (
    HANDSHAKES,
    LARGE_FIRST,
    SHUFFLED,
    SMALL_FIRST,
    MultiplexingParameters,
)
from remotecalls.simulators.multiplexing_result import (
    HTTP2,
    MODELS,
    POOL,
    Asked,
    ModelRun,
    MultiplexingResult,
)
from remotecalls.simulators.multiplexing_trace import Download, Frame, Trace, answers, turns
from remotecalls.simulators.parameters import Preset, Simulator

HTTP1_HEAD_BYTES = 200
"""Status line and header fields of an answer."""

HTTP2_HEAD_BYTES = 40
"""The same as header block, most of it references to the table of HPACK (RFC 7541)."""

FRAME_HEADER_BYTES = 9

SimulatedProcess = Generator[simpy.Event, Any, None]


def run(parameters: MultiplexingParameters, seed: int) -> MultiplexingResult:
    """Fetch the same page in every way.

    Args:
        parameters: the settings.
        seed: decides which segments are lost, and the order of the requests if it is shuffled.

    Returns:
        All runs. Equal arguments give equal results in CPython and in the browser.
    """
    requests = _requests(parameters, random.Random(seed))
    runs = tuple(_fetch(model, parameters, requests, seed) for model in MODELS)
    return MultiplexingResult(parameters, seed, requests, runs)


def _requests(parameters: MultiplexingParameters, rng: random.Random) -> tuple[Asked, ...]:
    large = [(f"L{n + 1}", True, parameters.large_bytes) for n in range(parameters.large_answers)]
    small = [(f"s{n + 1}", False, parameters.small_bytes) for n in range(parameters.small_answers)]
    ordered = large + small if parameters.order == LARGE_FIRST else small + large
    if parameters.order == SHUFFLED:
        rng.shuffle(ordered)
    return tuple(Asked(index, *each) for index, each in enumerate(ordered))


def _losses(parameters: MultiplexingParameters, seed: int) -> Callable[[int], bool]:
    """Return a function that says whether the data segment of a number is lost."""
    rng = random.Random(seed)

    def loses(number: int) -> bool:
        drawn = rng.randrange(1_000) < parameters.loss_per_mille
        return drawn or number == parameters.lost_segment

    return loses


# ---------------------------------------------------------------- both ends of HTTP


class Connection:
    """One connection, both ends: what HTTP/1.1 and HTTP/2 have in common."""

    def __init__(self, fetch: Fetch, number: int) -> None:
        """Make a connection that is not set up yet."""
        self.fetch = fetch
        self.number = number
        self.receiver = Receiver(fetch.env, number, self.deliver)
        self.trace = Trace(number, held=self.receiver.held)
        self.sender = Sender(fetch.env, fetch.link, number, self.produce, self.receiver)
        fetch.env.process(self._open())

    def _open(self) -> SimulatedProcess:
        """Set the connection up: for each round trip something goes up and something down."""
        env, link = self.fetch.env, self.fetch.link
        for down_bytes in self.fetch.handshake.down_bytes:
            yield env.timeout(link.delay_us)
            yield env.timeout(link.carry(down_bytes) - int(env.now))
        self.trace.ready_us = int(env.now)
        self.ready()

    def ready(self) -> None:
        """Send the first request or requests."""
        raise NotImplementedError

    def produce(self) -> int:
        """At the server: append what is to be sent next, and return how many bytes that was."""
        raise NotImplementedError

    def read(self, download: Download, count: int) -> None:
        """At the client: the application has read `count` bytes of a body."""
        raise NotImplementedError

    def append(self, download: Download, head: int, body: int) -> int:
        """Put a frame at the end of the stream and return its size."""
        frames = self.trace.frames
        first = frames[-1].last if frames else 0
        frames.append(Frame(download, first, first + head + body, head))
        download.to_send -= body
        return head + body

    def deliver(self, first: int, last: int) -> None:
        """At the client: that range of the stream can be read."""
        for frame, begin, end in self.trace.frames_in(first, last):
            body = max(0, end - max(begin, frame.first + frame.head))
            self._receive(frame.download, body, end - begin)

    def _receive(self, download: Download, body: int, count: int) -> None:
        now_us = int(self.fetch.env.now)
        if download.first_byte_us is None:
            download.first_byte_us = now_us
        self.took(download, body, count)
        if body == 0:
            return
        download.unread += body
        pause_us = self.fetch.pause_us(download)
        if now_us >= pause_us:
            self._read_all(download)
        elif download.unread == body:
            after(self.fetch.env, pause_us - now_us, lambda: self._read_all(download))

    def took(self, download: Download, body: int, count: int) -> None:
        """At the client: the kernel may forget what the application, or the library, took."""
        raise NotImplementedError

    def _read_all(self, download: Download) -> None:
        count, download.unread = download.unread, 0
        download.to_read -= count
        if download.to_read == 0:
            download.finished_us = int(self.fetch.env.now)
        self.read(download, count)


class Http1Connection(Connection):
    """One answer at a time; the client asks for the next when it has read the last byte."""

    current: Download | None = None

    def ready(self) -> None:
        """Ask for the next of the queue, if there is one."""
        if self.fetch.queue:
            download = self.fetch.queue.popleft()
            download.connection, download.asked_us = self.number, int(self.fetch.env.now)
            after(self.fetch.env, self.fetch.link.delay_us, lambda: self._answer(download))

    def _answer(self, download: Download) -> None:
        self.current = download
        self.sender.send()

    def produce(self) -> int:
        """Append the whole answer."""
        download = self.current
        if download is None or download.to_send == 0:
            return 0
        return self.append(download, HTTP1_HEAD_BYTES, download.to_send)

    def took(self, download: Download, body: int, count: int) -> None:
        """Nobody reads ahead of the application; only the head is out of the kernel's buffer."""
        self.receiver.take(count - body)

    def read(self, download: Download, count: int) -> None:
        """Make room in the kernel's buffer, and go on to the next request after the last byte."""
        self.receiver.take(count)
        edge = self.receiver.edge
        if self.fetch.pause_us(download):
            # Acknowledgments of what arrived meanwhile did not open the window; this one does.
            after(self.fetch.env, self.fetch.link.delay_us, lambda: self.sender.edge_moved(edge))
        if download.to_read == 0:
            self.ready()


class Http2Connection(Connection):
    """All answers at once, a frame of each in turn."""

    def __init__(self, fetch: Fetch, number: int) -> None:
        """Make a connection with full windows."""
        super().__init__(fetch, number)
        self.window = fetch.parameters.connection_window_bytes
        self.unannounced = 0
        self.turns: deque[Download] = deque()

    def ready(self) -> None:
        """Ask for everything."""
        downloads = list(self.fetch.queue)
        self.fetch.queue.clear()
        for download in downloads:
            download.asked_us = int(self.fetch.env.now)
            download.window = self.fetch.parameters.stream_window_bytes
        after(self.fetch.env, self.fetch.link.delay_us, lambda: self._answer(downloads))

    def _answer(self, downloads: list[Download]) -> None:
        self.turns.extend(downloads)
        self.sender.send()

    def produce(self) -> int:
        """Append a frame of the next stream that has data and windows that are open."""
        now_us = int(self.fetch.env.now)
        for _ in range(len(self.turns)):
            download = self.turns[0]
            size = min(self.fetch.parameters.frame_bytes, download.to_send, download.window,
                       self.window)  # fmt: skip
            self.turns.rotate(-1)
            if size == 0:
                if download.closed_since_us is None:
                    download.closed_since_us = now_us
                continue
            if download.closed_since_us is not None:
                download.closed.append((download.closed_since_us, now_us))
                download.closed_since_us = None
            return self._frame(download, size)
        return 0

    def _frame(self, download: Download, size: int) -> int:
        head = FRAME_HEADER_BYTES
        if download.to_send == download.request.size:
            head += FRAME_HEADER_BYTES + HTTP2_HEAD_BYTES
        download.window -= size
        self.window -= size
        count = self.append(download, head, size)
        if download.to_send == 0:
            self.turns.remove(download)
        return count

    def took(self, download: Download, body: int, count: int) -> None:
        """The library reads from the kernel all the time, and keeps what nobody asked for yet."""
        self.receiver.take(count)

    def read(self, download: Download, count: int) -> None:
        """Open both windows again, in steps of half a window."""
        download.unannounced += count
        self.unannounced += count
        parameters = self.fetch.parameters
        if download.to_read and 2 * download.unannounced >= parameters.stream_window_bytes:
            self._announce(download, download.unannounced)
            download.unannounced = 0
        if 2 * self.unannounced >= parameters.connection_window_bytes:
            self._announce(self, self.unannounced)
            self.unannounced = 0

    def _announce(self, whose: Download | Http2Connection, count: int) -> None:
        """Send a WINDOW_UPDATE (RFC 9113, section 6.9)."""

        def arrive() -> None:
            whose.window += count
            self.sender.send()

        after(self.fetch.env, self.fetch.link.delay_us, arrive)


# ---------------------------------------------------------------- the run of one model


class Fetch:
    """A page on its way in one model."""

    def __init__(
        self, parameters: MultiplexingParameters, requests: tuple[Asked, ...], seed: int
    ) -> None:
        """Queue all requests at time 0, over a link that nobody uses yet."""
        self.env = simpy.Environment()
        self.parameters = parameters
        self.handshake = HANDSHAKES[parameters.handshake]
        self.link = Link(
            self.env,
            parameters.one_way_delay_us,
            parameters.bandwidth_kbps,
            _losses(parameters, seed),
        )
        self.downloads = [
            Download(request, to_send=request.size, to_read=request.size) for request in requests
        ]
        self.queue = deque(self.downloads)
        self._paused = next(request.index for request in requests if request.large)

    def pause_us(self, download: Download) -> int:
        """The time before which the application reads nothing of that answer."""
        return self.parameters.pause_us if download.request.index == self._paused else 0


def _fetch(
    model: str, parameters: MultiplexingParameters, requests: tuple[Asked, ...], seed: int
) -> ModelRun:
    fetch = Fetch(parameters, requests, seed)
    count = min(parameters.connections, len(requests)) if model == POOL else 1
    kind = Http2Connection if model == HTTP2 else Http1Connection
    connections = [kind(fetch, number) for number in range(count)]
    fetch.env.run()
    traces = [connection.trace for connection in connections]
    frames = [frame for trace in traces for frame in trace.frames]
    sent = fetch.link.transmissions
    return ModelRun(
        model=model,
        connections=count,
        handshake=fetch.handshake,
        ready_us=max(trace.ready_us for trace in traces),
        answers=answers(fetch.downloads, sent, traces),
        turns=turns(sent, traces),
        held=tuple(held for trace in traces for held in trace.held),
        overhead_bytes=sum(frame.head for frame in frames),
        segments=len(sent),
        lost_segments=sum(each.lost for each in sent),
    )


# ---------------------------------------------------------------- settings worth a look

PRESETS = (
    Preset(
        "page",
        "A page, nothing lost",
        "On one connection of HTTP/1.1 the small answers stand behind the large ones; HTTP/2 sends "
        "them between two frames.",
        MultiplexingParameters(),
    ),
    Preset(
        "one-loss",
        "One lost segment",
        "Segment 20 is lost. HTTP/2 has one connection, so nearly every answer waits for it; in "
        "the pool one answer does.",
        MultiplexingParameters(lost_segment=20),
    ),
    Preset(
        "loss",
        "Two of a hundred lost",
        "With losses all along the way the pool is done first: each loss halves one window of six, "
        "where HTTP/2 has only one.",
        MultiplexingParameters(loss_per_mille=20),
        seed=3,
    ),
    Preset(
        "many-small",
        "Many small answers, far away",
        "The pool pays a round trip for every sixth answer. HTTP/2 asks for all of them at once.",
        MultiplexingParameters(
            large_answers=1,
            small_answers=16,
            small_bytes=2_000,
            order=SMALL_FIRST,
            one_way_delay_us=50_000,
        ),
    ),
    Preset(
        "first-windows",
        "The windows that HTTP/2 starts with",
        "With 65,535 bytes to a round trip of 200 ms, the windows of HTTP/2 are the limit and not "
        "the link.",
        MultiplexingParameters(
            one_way_delay_us=100_000, stream_window_bytes=65_535, connection_window_bytes=65_535
        ),
    ),
    Preset(
        "slow-reader",
        "Nobody reads the first answer",
        "What nobody reads fills the window that all answers share, and the others wait. Narrow "
        "the window of a stream to 65,535, and they do not.",
        MultiplexingParameters(pause_us=1_000_000),
    ),
)

SIMULATOR = Simulator(
    name="multiplexing",
    title="One page over HTTP/1.1 and HTTP/2",
    parameters=MultiplexingParameters,
    run=run,
    presets=PRESETS,
)
