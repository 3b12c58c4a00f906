"""Captures, read back by tshark and by scapy."""

import os
import shutil
import socket
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from peers import connected, echo, receive, receive_all, send, server

from remotecalls.wire.faults import Chop, Cut, Drop
from remotecalls.wire.pcap import COMMENT, MAXIMUM_SEGMENT, write_pcapng
from remotecalls.wire.recording import (
    Chunk,
    Direction,
    Event,
    EventKind,
    Recording,
    RecordingTruncated,
    Transport,
)
from remotecalls.wire.tap import Tap

OUT, BACK = Direction.CLIENT_TO_SERVER, Direction.SERVER_TO_CLIENT
CHECKSUMS = [
    option
    for protocol in ("ip", "tcp", "udp")
    for option in ("-o", f"{protocol}.check_checksum:TRUE")
]


@pytest.fixture(scope="module")
def tshark() -> str:
    """The path of tshark."""
    found = shutil.which("tshark")
    if found is not None:
        return found
    message = "tshark is not installed; Debian has it as the package `tshark`"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def run(tshark: str, capture: Path, *arguments: str) -> str:
    """What tshark says about a capture.

    Raises:
        CalledProcessError: it could not read it.
    """
    command = [tshark, "-n", "-r", str(capture), *CHECKSUMS, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def rows(tshark: str, capture: Path, *fields: str) -> list[list[str]]:
    """Fields of each packet."""
    wanted = [argument for name in fields for argument in ("-e", name)]
    output = run(tshark, capture, "-T", "fields", *wanted)
    return [line.split("\t") for line in output.splitlines()]


def complaints(tshark: str, capture: Path) -> str:
    """Packets that tshark finds malformed, wrongly summed, or out of place in their stream."""
    wrong = (
        "_ws.malformed || tcp.analysis.flags || ip.checksum.status == 0 || "
        "tcp.checksum.status == 0 || udp.checksum.status == 0 || _ws.expert.severity >= 0x600000"
    )
    allowed = "tcp.connection.rst"  # a reset counts as a warning; here it is meant
    return run(tshark, capture, "-Y", f"({wrong}) && !{allowed}")


def followed(tshark: str, capture: Path, stream: int, transport: str = "tcp") -> dict[int, bytes]:
    """The payload of a stream in each direction: 0 for the client's, 1 for the server's."""
    output = run(tshark, capture, "-q", "-z", f"follow,{transport},raw,{stream}")
    streams = {0: b"", 1: b""}
    for line in output.splitlines():
        text = line.strip()
        if text and all(letter in "0123456789abcdef" for letter in text):
            streams[int(line.startswith("\t"))] += bytes.fromhex(text)
    return streams


async def converse() -> Recording:
    """Two connections through a tap; the second one sends more than a segment."""
    async with server(echo) as address, Tap(address) as tap:
        async with connected(tap.address) as one, connected(tap.address) as two:
            for word in (b"hello", b"again"):
                await send(one, word)
                assert await receive(one) == word
            await send(two, bytes(range(256)) * 800)
            two.shutdown(socket.SHUT_WR)
            await receive_all(two)
        await tap.until(
            lambda recording: (
                [event.kind for event in recording.events].count(EventKind.CLOSED) == 2
            )
        )
    return tap.recording


async def test_tshark_reads_a_recorded_conversation(tshark: str, tmp_path: Path) -> None:
    recording = await converse()
    for delivered in (False, True):
        capture = tmp_path / f"{delivered}.pcapng"
        write_pcapng(capture, recording, delivered=delivered)
        assert complaints(tshark, capture) == ""
        for connection in recording.connections:
            assert followed(tshark, capture, connection) == {
                0: recording.stream(connection, OUT),
                1: recording.stream(connection, BACK),
            }
        sizes = [int(size) for (size,) in rows(tshark, capture, "tcp.len")]
        assert max(sizes) == MAXIMUM_SEGMENT
        flags = Counter(flags for (flags,) in rows(tshark, capture, "tcp.flags.str"))
        assert flags["··········S·"] == flags["·······A··S·"] == 2
        assert flags["·······A···F"] == 4


def test_the_check_finds_what_is_wrong(tshark: str, tmp_path: Path) -> None:
    """`complaints` is not blind: a flipped bit and a missing segment are reported."""
    capture = tmp_path / "good.pcapng"
    write_pcapng(capture, Recording.of([(OUT, b"x" * 4_000), (BACK, b"needle")]))
    assert complaints(tshark, capture) == ""
    damaged = tmp_path / "damaged.pcapng"
    damaged.write_bytes(capture.read_bytes().replace(b"needle", b"noodle"))
    assert "needle" not in complaints(tshark, damaged)
    assert len(complaints(tshark, damaged).splitlines()) == 1

    from scapy.utils import PcapNgReader, PcapNgWriter

    holed = tmp_path / "holed.pcapng"
    with PcapNgReader(str(capture)) as reader, PcapNgWriter(str(holed)) as writer:
        for number, packet in enumerate(reader):
            if number != 4:
                writer.write(packet)
    assert "Previous segment not captured" in complaints(tshark, holed)


def test_times_are_the_recorded_ones_to_the_microsecond(tshark: str, tmp_path: Path) -> None:
    recording = Recording()
    times = [0, 1, 999_999, 1_000_001, 86_400_000_003]
    for time_us in times:
        recording.sent.add_chunk(Chunk(0, OUT, time_us, b"x"))
    began = datetime(2038, 1, 19, 3, 14, 7, 123_457, tzinfo=UTC)
    capture = tmp_path / "times.pcapng"
    write_pcapng(capture, recording, began=began)
    packets = rows(tshark, capture, "frame.time_epoch", "tcp.len")
    stamps = [stamp for stamp, size in packets if size == "1"]
    origin_us = 2_147_483_647_123_457
    assert [int(stamp.replace(".", "")) // 1_000 for stamp in stamps] == [
        origin_us + time_us for time_us in times
    ]


def test_the_first_packet_says_what_is_made_up(tshark: str, tmp_path: Path) -> None:
    capture = tmp_path / "comment.pcapng"
    write_pcapng(capture, Recording.of([(OUT, b"a"), (BACK, b"b")]))
    from scapy.utils import rdpcap

    comments = [packet.comments for packet in rdpcap(str(capture))]
    assert comments[0] == [COMMENT.format(protocol="TCP").encode()]
    assert set(map(str, comments[1:])) == {"None"}


def test_the_server_port_chooses_the_dissector(tshark: str, tmp_path: Path) -> None:
    capture = tmp_path / "web.pcapng"
    request = b"GET /orders HTTP/1.1\r\nHost: shop\r\n\r\n"
    write_pcapng(capture, Recording.of([(OUT, request)]), server_port=80)
    assert rows(tshark, capture, "http.request.uri")[3] == ["/orders"]


async def test_a_cut_shows_as_a_reset(tshark: str, tmp_path: Path) -> None:
    async with (
        server(echo) as address,
        Tap(address, [Cut(3, direction=BACK)]) as tap,
        connected(tap.address) as sock,
    ):
        await send(sock, b"hello")
        await tap.until(lambda recording: len(recording.delivered.events) >= 4)
    capture = tmp_path / "cut.pcapng"
    write_pcapng(capture, tap.recording, delivered=True)
    assert complaints(tshark, capture) == ""
    assert followed(tshark, capture, 0) == {0: b"hello", 1: b"hel"}
    last = rows(tshark, capture, "tcp.flags.reset", "ip.src")[-2:]
    assert last == [["1", "192.0.2.2"], ["1", "192.0.2.1"]]


async def test_with_faults_the_two_views_differ(tshark: str, tmp_path: Path) -> None:
    faults = [Chop(2, pause=0, direction=OUT), Drop(2, direction=BACK)]
    async with (
        server(echo) as address,
        Tap(address, faults) as tap,
        connected(tap.address) as sock,
    ):
        await send(sock, b"hello")
        await tap.until(lambda recording: recording.sent.bytes_sent(BACK) == 5)
    sent, delivered = tmp_path / "sent.pcapng", tmp_path / "delivered.pcapng"
    write_pcapng(sent, tap.recording)
    write_pcapng(delivered, tap.recording, delivered=True)
    assert complaints(tshark, sent) + complaints(tshark, delivered) == ""
    assert followed(tshark, sent, 0) == {0: b"hello", 1: b"hello"}
    assert followed(tshark, delivered, 0) == {0: b"hello", 1: b"he"}
    pieces = [
        size
        for source, size in rows(tshark, delivered, "ip.src", "tcp.len")
        if source == "192.0.2.1" and size != "0"
    ]
    assert pieces == ["2", "2", "1"]


@pytest.mark.parametrize("direction", Direction)
def test_each_side_may_end_first(tshark: str, tmp_path: Path, direction: Direction) -> None:
    recording = Recording.of([(OUT, b"ask")])
    view = recording.sent
    view.add_event(Event(0, EventKind.HALF_CLOSED, 2_000, direction))
    view.add_chunk(Chunk(0, direction.opposite, 3_000, b"still talking"))
    view.add_event(Event(0, EventKind.HALF_CLOSED, 4_000, direction.opposite))
    view.add_event(Event(0, EventKind.CLOSED, 4_000))
    capture = tmp_path / "ends.pcapng"
    write_pcapng(capture, recording)
    assert complaints(tshark, capture) == ""
    for number, way in enumerate(Direction):
        assert followed(tshark, capture, 0)[number] == view.stream(0, way)


def test_a_refused_connection(tshark: str, tmp_path: Path) -> None:
    recording = Recording()
    recording.sent.add_event(Event(0, EventKind.OPENED, 0, OUT))
    recording.sent.add_event(Event(0, EventKind.REFUSED, 10, BACK, "refused"))
    recording.sent.add_event(Event(0, EventKind.CLOSED, 10))
    capture = tmp_path / "refused.pcapng"
    write_pcapng(capture, recording)
    assert complaints(tshark, capture) == ""
    assert rows(tshark, capture, "tcp.flags.reset")[-1] == ["1"]


def test_datagrams(tshark: str, tmp_path: Path) -> None:
    recording = Recording(transport=Transport.UDP)
    sent = [(0, OUT, b"one"), (1, OUT, b""), (0, BACK, b"two"), (1, BACK, b"x" * 60_000)]
    for time_us, (connection, way, data) in enumerate(sent):
        recording.sent.add_chunk(Chunk(connection, way, time_us, data))
    capture = tmp_path / "datagrams.pcapng"
    write_pcapng(capture, recording)
    assert complaints(tshark, capture) == ""
    packets = rows(tshark, capture, "udp.srcport", "udp.dstport", "udp.length")
    assert packets == [
        ["49152", "4711", "11"],
        ["49153", "4711", "8"],
        ["4711", "49152", "11"],
        ["4711", "49153", "60008"],
    ]
    assert followed(tshark, capture, 0, "udp") == {0: b"one", 1: b"two"}


def test_arguments_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "none.pcapng"
    recording = Recording.of([(OUT, b"a")])
    with pytest.raises(ValueError, match="nothing was recorded"):
        write_pcapng(path, Recording())
    with pytest.raises(ValueError, match="without a time zone"):
        write_pcapng(path, recording, began=datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="server_port is 0"):
        write_pcapng(path, recording, server_port=0)
    cut = Recording(limit=1)
    cut.sent.add_event(Event(0, EventKind.OPENED, 0, OUT))
    cut.sent.add_chunk(Chunk(0, OUT, 1, b"ab"))
    with pytest.raises(RecordingTruncated, match="larger record_limit"):
        write_pcapng(path, cut)
    assert not path.exists()


def test_scapy_is_imported_late_and_in_silence(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from remotecalls.wire.pcap import write_pcapng\n"
        "from remotecalls.wire.recording import Direction, Recording\n"
        "assert 'scapy' not in sys.modules\n"
        "write_pcapng(sys.argv[1], Recording.of([(Direction.CLIENT_TO_SERVER, b'a')]))\n"
        "assert 'scapy' in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(tmp_path / "x.pcapng")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
