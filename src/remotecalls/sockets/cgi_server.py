"""An HTTP/1.0 server that starts a process for each request, as NCSA httpd did in 1993.

Sources: RFC 1945 (HTTP/1.0), RFC 3875 (the Common Gateway Interface).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import remotecalls
from remotecalls.shop import Shop
from remotecalls.sockets.process_server import database_of
from remotecalls.wire.address import Address

logger = logging.getLogger("remotecalls.sockets")

SCRIPT_NAME = "/cgi-bin/shop"
COMMAND = (sys.executable, "-S", "-s", "-B", "-m", "remotecalls.sockets.cgi_script")
PACKAGES = Path(remotecalls.__file__).parents[1]

HEAD_BYTES = 8_192
BODY_BYTES = 8_192
CHUNK_BYTES = 16_384
PROCESSES = 8
READ_SECONDS = 10.0
SCRIPT_SECONDS = 10.0
WRITE_SECONDS = 30.0
LINGER_SECONDS = 1.0
LINGER_BYTES = 1_000_000
STOP_SECONDS = 5.0


class HTTPError(Exception):
    """The server answers the request itself, with an error.

    Attributes:
        status: number and reason.
        code: as the shop's protocols write it.
    """

    def __init__(self, status: str, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def answer(self) -> bytes:
        """The whole answer; its body is a line of the shop's text protocol."""
        body = f"ERROR\t{self.code}\t{self}\n".encode(errors="replace")
        head = f"HTTP/1.0 {self.status}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        return head.encode() + body


def _bad(message: str, status: str = "400 Bad Request") -> HTTPError:
    return HTTPError(status, "bad_request", message)


@dataclass(frozen=True)
class HTTPRequest:
    """A request as it came.

    Attributes:
        method: GET or POST.
        path_info: what follows the script's name in the path.
        query: what follows the question mark.
        headers: by name in lower case.
        body: for POST.
    """

    method: str
    path_info: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""

    def environment(self, server: Address, client: str, database: Path) -> dict[str, str]:
        """The metadata of RFC 3875, section 4.1, and nothing of the server's own environment.

        The header `Proxy` is left out: as HTTP_PROXY it would tell the script's own HTTP clients
        where to send their requests ("httpoxy", CVE-2016-5385).
        """
        values = {
            "GATEWAY_INTERFACE": "CGI/1.1",
            "PATH_INFO": self.path_info,
            "QUERY_STRING": self.query,
            "REMOTE_ADDR": client,
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": SCRIPT_NAME,
            "SERVER_NAME": server.host,
            "SERVER_PORT": str(server.port),
            "SERVER_PROTOCOL": "HTTP/1.0",
            "SERVER_SOFTWARE": "remotecalls",
            "SHOP_DATABASE": str(database),
            "PYTHONPATH": str(PACKAGES),
        }
        if self.method == "POST":
            values["CONTENT_LENGTH"] = str(len(self.body))
            values["CONTENT_TYPE"] = self.headers.get("content-type", "")
        for name, value in self.headers.items():
            if name not in {"proxy", "content-length", "content-type", "authorization"}:
                values["HTTP_" + name.upper().replace("-", "_")] = value
        return values


class CGIServer:
    """Serves each connection with a task, and each request with a process.

    Args:
        shop: kept in a file, which the script opens.
        command: the program to start; the script of this package unless told otherwise.

    Raises:
        ValueError: the shop is kept in memory.
    """

    def __init__(self, shop: Shop, command: tuple[str, ...] = COMMAND) -> None:
        self._database = database_of(shop).resolve()
        self._command = command
        self._slots = asyncio.Semaphore(PROCESSES)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> Address:
        """Where the server listens."""
        assert self._server is not None
        return Address(*self._server.sockets[0].getsockname()[:2])

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Raises:
            OSError: the address is in use or not of this machine.
        """
        self._server = await asyncio.start_server(
            self._accepted, host, port, limit=HEAD_BYTES, backlog=1_024
        )

    async def stop(self) -> None:
        """Close the listener, end every connection and its process, and wait for them."""
        assert self._server is not None
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
        if self._ends:
            await asyncio.wait(set(self._ends), timeout=STOP_SECONDS)
        await self._server.wait_closed()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not a coroutine: asyncio would complain about each of its tasks that stop() cancels.
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = writer.get_extra_info("peername")[0]
        try:
            try:
                request = await _read_request(reader)
                async with self._slots:
                    await self._run(request, client, writer)
            except HTTPError as error:
                logger.warning("%s: %s", error.status, error)
                writer.write(error.answer())
                await _linger(reader, writer)
            else:
                async with asyncio.timeout(WRITE_SECONDS):
                    writer.close()
                    await writer.wait_closed()
        except (OSError, asyncio.IncompleteReadError) as error:  # left, or too slow
            logger.info("connection ended: %s", error or type(error).__name__)
        finally:
            writer.transport.abort()

    async def _run(self, request: HTTPRequest, client: str, writer: asyncio.StreamWriter) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=request.environment(self.address, client, self._database),
            limit=CHUNK_BYTES,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        log = asyncio.create_task(_log_lines(process.stderr))
        try:
            with contextlib.suppress(ConnectionError):  # a script need not read its input
                process.stdin.write(request.body)
                process.stdin.close()
            status, head = await _script_head(process.stdout)
            target = SCRIPT_NAME + request.path_info + ("?" + request.query) * bool(request.query)
            logger.info("%s %s %s", request.method, target, status[:3])
            writer.write(f"HTTP/1.0 {status}\r\n".encode() + head + b"\r\n")
            while data := await _in_time(process.stdout.read(CHUNK_BYTES)):
                writer.write(data)
                async with asyncio.timeout(WRITE_SECONDS):
                    await writer.drain()
        finally:
            # A task of its own: the one that is here may be cancelled at any time, also while it
            # waits for the process, and would leave it behind.
            end = asyncio.create_task(_end(process, log))
            self._ends.add(end)
            end.add_done_callback(self._ends.discard)
            await asyncio.shield(end)


async def _end(process: asyncio.subprocess.Process, log: asyncio.Task[None]) -> None:
    """See to it that nothing of a script is left."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()  # it has closed its output, or it is of no more use
    assert process.stdout is not None
    while await process.stdout.read(CHUNK_BYTES):
        pass  # wait() would wait for whoever reads the pipe
    await process.wait()
    await log


async def _read_request(reader: asyncio.StreamReader) -> HTTPRequest:
    try:
        async with asyncio.timeout(READ_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
            line, *lines = head[:-4].decode("latin-1").split("\r\n")
            method, path_info, query = _request_line(line)
            headers = _headers(lines)
            body = b""
            if method == "POST":
                body = await reader.readexactly(_content_length(headers))
    except asyncio.LimitOverrunError:
        text = f"the head of the request is over {HEAD_BYTES:,} bytes"
        raise _bad(text, "431 Request Header Fields Too Large") from None
    return HTTPRequest(method, path_info, query, headers, body)


def _request_line(line: str) -> tuple[str, str, str]:
    parts = line.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise _bad(f"{line[:60]!r} is no request line: write GET /path HTTP/1.0")
    method, target, _ = parts
    if method not in {"GET", "POST"}:
        raise _bad(f"{method[:20]!r} is not GET or POST", "501 Not Implemented")
    path, _, query = target.partition("?")
    if path != SCRIPT_NAME and not path.startswith(SCRIPT_NAME + "/"):
        raise _bad(f"there is nothing at {path[:60]!r}, only {SCRIPT_NAME}", "404 Not Found")
    return method, path.removeprefix(SCRIPT_NAME), query


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.replace("-", "").isalnum() or not name.isascii() or "\0" in value:
            raise _bad(f"{line[:60]!r} is no header line")
        headers[name.lower()] = value.strip()
    return headers


def _content_length(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length")
    if text is None:
        raise _bad("a POST needs a Content-Length", "411 Length Required")
    if not (text.isascii() and text.isdigit()) or len(text) > 10:
        raise _bad(f"Content-Length is {text[:20]!r}, not a number of bytes")
    if int(text) > BODY_BYTES:
        raise _bad(f"the body is over {BODY_BYTES:,} bytes", "413 Content Too Large")
    return int(text)


async def _script_head(stdout: asyncio.StreamReader) -> tuple[str, bytes]:
    """The status and the header lines that a script has written.

    Raises:
        HTTPError: it wrote something else, or nothing in time.
    """
    try:
        head = await _in_time(stdout.readuntil(b"\r\n\r\n"))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        text = "the script did not write header lines and an empty line; the log has its words"
        raise HTTPError("502 Bad Gateway", "server_failed", text) from None
    status, lines = "200 OK", []
    for line in head[:-4].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"status":
            status = value.strip().decode("latin-1")
        else:
            lines.append(line + b"\r\n")
    return status, b"".join(lines)


async def _in_time(read: object) -> bytes:
    try:
        async with asyncio.timeout(SCRIPT_SECONDS):
            return bytes(await read)  # type: ignore[misc]
    except TimeoutError:
        text = f"the script wrote nothing for {SCRIPT_SECONDS:g} s and was ended"
        raise HTTPError("504 Gateway Timeout", "server_failed", text) from None


async def _log_lines(stderr: asyncio.StreamReader) -> None:
    while line := await stderr.readline():
        logger.warning("script: %s", line.decode(errors="replace").rstrip())


async def _linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let the client read the refusal before the connection goes; see `thread_server.linger`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            await writer.drain()
            writer.write_eof()
            discarded = 0
            while discarded < LINGER_BYTES and (data := await reader.read(CHUNK_BYTES)):
                discarded += len(data)
