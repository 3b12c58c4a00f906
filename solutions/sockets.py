"""Reference solutions and known wrong answers of `labs/sockets.ipynb`."""

from __future__ import annotations

from remotecalls.notebook.solutions import Wrong


def predicted_reads():
    return [b"GET ", b"42GE", b"T 7"]


def read_exactly(sock, count):
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            raise EOFError(f"the stream ended after {len(data)} of {count} bytes")
        data += piece
    return data


class Framed:
    def __init__(self, sock):
        self.sock = sock

    def send(self, message):
        self.sock.sendall(len(message).to_bytes(4, "big") + message)

    def receive(self):
        first = self.sock.recv(1)
        if not first:
            return None
        length = int.from_bytes(first + read_exactly(self.sock, 3), "big")
        if length > 1_000_000:
            raise ValueError(f"a message of {length:,} bytes is over the limit")
        return read_exactly(self.sock, length)


def smuggled_name():
    return "Eve\t1.00\nUPDATE\t42\t-12.30\nADD\t8\tMallory"


SOLUTIONS = {
    "predict-reads": predicted_reads,
    "read-exactly": read_exactly,
    "framing": Framed,
    "smuggle": smuggled_name,
}


# ---------------------------------------------------------------- wrong answers that readers give


def reads_as_sent():
    return [b"GET ", b"42", b"GET "]


def read_once(sock, count):
    return sock.recv(count)


def read_too_much(sock, count):
    data = b""
    while len(data) < count:
        data += sock.recv(1024)
    return data[:count]


def read_past_the_end(sock, count):
    data = b""
    while len(data) < count:
        data += sock.recv(count - len(data))
    return data


def always_read(sock, count):
    data = b""
    while True:
        piece = sock.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
        if len(data) >= count:
            return data


class OneReceive(Framed):
    def receive(self):
        length = int.from_bytes(self.sock.recv(4), "big")
        return self.sock.recv(length) if length else None


class Lines:
    def __init__(self, sock):
        self.file = sock.makefile("rwb")

    def send(self, message):
        self.file.write(message + b"\n")
        self.file.flush()

    def receive(self):
        line = self.file.readline()
        return line.removesuffix(b"\n") if line else None


class LittleEndian(Framed):
    def send(self, message):
        self.sock.sendall(len(message).to_bytes(4, "little") + message)

    def receive(self):
        first = self.sock.recv(1)
        if not first:
            return None
        length = int.from_bytes(first + read_exactly(self.sock, 3), "little")
        if length > 1_000_000:
            raise ValueError
        return read_exactly(self.sock, length)


class Trusting(Framed):
    def receive(self):
        first = self.sock.recv(1)
        if not first:
            return None
        length = int.from_bytes(first + read_exactly(self.sock, 3), "big")
        return read_exactly(self.sock, length)


class QuietAtTheEnd(Framed):
    def receive(self):
        try:
            return super().receive()
        except EOFError:
            return None


def smuggled_without_amount():
    return "Eve\nUPDATE\t42\t-12.30\nADD\t8\tMallory"


def smuggled_sql():
    return "Robert'); DROP TABLE customers;--"


WRONG = [
    Wrong("predict-reads", "a read ends where a send ended", reads_as_sent, "does not know where"),
    Wrong("read-exactly", "one recv", read_once, "Ask again for the rest"),
    Wrong(
        "read-exactly",
        "takes the next message's bytes",
        read_too_much,
        "belong to the next message",
    ),
    Wrong("read-exactly", "loops at the end of the stream", read_past_the_end, "stopped at the"),
    Wrong("read-exactly", "waits for nothing", always_read, "nothing that can end early"),
    Wrong("framing", "one recv for the body", OneReceive, "did not arrive"),
    Wrong("framing", "a delimiter that messages hold", Lines, "b'two\\nlines'"),
    Wrong("framing", "little-endian length", LittleEndian, "most significant first"),
    Wrong("framing", "believes any length", Trusting, "Compare the length with a limit"),
    Wrong("framing", "a cut message passes for the end", QuietAtTheEnd, "This one was cut"),
    Wrong("smuggle", "the ADD is not finished", smuggled_without_amount, "must still be a whole"),
    Wrong("smuggle", "another protocol's trick", smuggled_sql, "What ends a request"),
]
