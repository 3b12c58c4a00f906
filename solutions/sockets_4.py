"""Reference solutions and known wrong answers of `labs/sockets-4.ipynb`."""

from __future__ import annotations

import asyncio
import socket

from remotecalls.notebook.solutions import Wrong


class LeakyCaller:
    """As the lab has it."""

    def __init__(self):
        self.open = set()

    def close(self):
        for sock in list(self.open):
            sock.shutdown(socket.SHUT_RDWR)


def predicted_queue():
    return ["connected", "connected", "connected", "no answer", "no answer"]


def send_message(sock, header, body):
    sock.sendall(header + body)


class Caller(LeakyCaller):
    def ask(self, address, request, timeout):
        sock = socket.create_connection(address, timeout)
        self.open.add(sock)
        try:
            sock.sendall(request)
            answer = sock.recv(1024)
            if not answer:
                raise EOFError("the server hung up")
            return answer
        finally:
            self.open.discard(sock)
            sock.close()


async def send_all(writer, chunks):
    for chunk in chunks:
        writer.write(chunk)
        try:
            async with asyncio.timeout(0.5):
                await writer.drain()
        except TimeoutError:
            writer.transport.abort()
            raise


SOLUTIONS = {
    "predict-queue": predicted_queue,
    "one-write": send_message,
    "find-the-leak": Caller,
    "slow-reader": send_all,
}


# ---------------------------------------------------------------- wrong answers that readers give


def nobody_is_let_in():
    return ["no answer"] * 5


def everybody_is_let_in():
    return ["connected"] * 5


def two_writes(sock, header, body):
    sock.sendall(header)
    sock.sendall(body)


def one_send(sock, header, body):
    sock.send(header + body)


class ClosesAfterSuccess(LeakyCaller):
    def ask(self, address, request, timeout):
        sock = socket.create_connection(address, timeout)
        self.open.add(sock)
        sock.sendall(request)
        answer = sock.recv(1024)
        if not answer:
            self.open.discard(sock)
            sock.close()
            raise EOFError
        self.open.discard(sock)
        sock.close()
        return answer


class Swallows(LeakyCaller):
    def ask(self, address, request, timeout):
        try:
            with socket.create_connection(address, timeout) as sock:
                sock.sendall(request)
                return sock.recv(1024)
        except OSError:
            return None


class KeepsNoRecord(LeakyCaller):
    def ask(self, address, request, timeout):
        with socket.create_connection(address, timeout) as sock:
            sock.sendall(request)
            answer = sock.recv(1024)
            if not answer:
                raise EOFError
            return answer


async def never_drains(writer, chunks):
    for chunk in chunks:
        writer.write(chunk)
    await writer.drain()


async def waits_for_ever(writer, chunks):
    for chunk in chunks:
        writer.write(chunk)
        await writer.drain()


async def one_deadline(writer, chunks):
    async with asyncio.timeout(0.5):
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()


WRONG = [
    Wrong("predict-queue", "accept lets clients in", nobody_is_let_in, "No accept() is needed"),
    Wrong("predict-queue", "the queue has no end", everybody_is_let_in, "for one more than"),
    Wrong("one-write", "two writes", two_writes, "waited for the acknowledgment"),
    Wrong("one-write", "send is not sendall", one_send, "did not get the whole body"),
    Wrong("find-the-leak", "an exception passes the close", ClosesAfterSuccess, "way out of ask"),
    Wrong("find-the-leak", "errors are swallowed", Swallows, "let the EOFError out"),
    Wrong("find-the-leak", "no record of the call", KeepsNoRecord, "enter each there"),
    Wrong("slow-reader", "no drain", never_drains, "adds to a buffer in your memory"),
    Wrong("slow-reader", "drain without a time-out", waits_for_ever, "waits for ever"),
    Wrong("slow-reader", "one time-out for the whole", one_deadline, "belongs to each wait"),
]
