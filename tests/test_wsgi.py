"""The WSGI server in this process, and how it stops."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest

from remotecalls.wsgi import WSGIServer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


def ask(server: WSGIServer) -> bytes:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    finally:
        connection.close()


def threads_of_waitress() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("waitress")]


def test_it_answers_and_stops() -> None:
    server = WSGIServer(hello, threads=2)
    assert ask(server) == b"hello"
    server.stop()
    assert threads_of_waitress() == []
    with pytest.raises(ConnectionRefusedError):
        ask(server)


def test_a_request_that_is_being_answered_is_answered_before_it_stops() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def slow(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        begun.set()
        assert may_end.wait(5)
        return hello(environ, start_response)

    server = WSGIServer(slow, threads=1)
    answers: list[bytes] = []
    client = threading.Thread(target=lambda: answers.append(ask(server)))
    client.start()
    assert begun.wait(5)
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    may_end.set()
    stopping.join(10)
    client.join(10)
    assert answers == [b"hello"]


def test_the_loop_may_be_awake_for_another_reason_when_the_server_stops() -> None:
    # A worker that is done wakes the loop as `stop` does. If the loop then closed its trigger
    # before `stop` had written to it, that byte would go to a closed file, or to another one.
    for _ in range(50):
        server = WSGIServer(hello, threads=2)
        trigger = server._server.trigger
        physical_pull = trigger._physical_pull

        def pull_twice(pull: object = physical_pull, trigger: object = trigger) -> None:
            pull()  # type: ignore[operator]  # the wake-up of a worker
            threading.Event().wait(0.001)  # in which the loop does what it likes
            pull()  # type: ignore[operator]

        trigger._physical_pull = pull_twice
        server.stop()
    assert threads_of_waitress() == []


def test_an_address_that_is_taken_is_an_error() -> None:
    server = WSGIServer(hello, threads=1)
    try:
        with pytest.raises(OSError, match="in use"):
            WSGIServer(hello, port=server.port, threads=1)
    finally:
        server.stop()
    assert threads_of_waitress() == []
