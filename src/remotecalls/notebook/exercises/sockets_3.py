"""The exercises of `labs/sockets-3.ipynb`."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

from remotecalls.notebook.exercises import (
    Answer,
    Attempt,
    Exercise,
    attempt,
    matches,
)

WAIT = 3.0

# ---------------------------------------------------------------- predict

SILENCE = 0.6


def check_predicted_waits(answer: Answer) -> Iterator[Attempt]:
    """Three clients at a server that serves one after another; the first says nothing at first."""
    measured = waits_measured()
    for number, who in enumerate(["silent", "second", "third"]):
        yield attempt(
            f"the {who} client, measured just now",
            partial(nth, answer, number),
            measured[number],
            "The server is in recv() for the first client. The others are connected, by their "
            "kernel; nobody reads what they sent until the first one is done.",
        )


def waits_measured() -> list[str]:
    """Which of the clients have their answer after a while, and which when the first has asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:

        def serve() -> None:
            for _ in range(3):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(WAIT)
                    connection.sendall(connection.recv(100).upper())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        clients = [
            stack.enter_context(socket.create_connection(listener.getsockname(), timeout=WAIT))
            for _ in range(3)
        ]
        for client in clients[1:]:
            client.sendall(b"get 42")
        time.sleep(SILENCE)
        early = [is_answered(client) for client in clients]
        clients[0].sendall(b"get 42")
        for client in clients:
            client.recv(100)
        thread.join(WAIT)
    return ["at once" if was else "after the first has asked" for was in early]


def is_answered(client: socket.socket) -> bool:
    """Whether an answer waits in a client's receive buffer."""
    client.setblocking(False)
    try:
        return bool(client.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        client.settimeout(WAIT)


def nth(answer: Answer, number: int) -> object:
    """One element of what the answer returns."""
    return answer()[number]


# ---------------------------------------------------------------- complete

THREADS = 8


@contextmanager
def hasty_threads() -> Iterator[None]:
    """Let the interpreter change threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def all_at_once(*actions: Callable[[], object]) -> list[object]:
    """Run each action in a thread of its own, begun together; what each returned or raised."""
    begin = threading.Barrier(len(actions))
    results: list[object] = [None] * len(actions)

    def run(number: int) -> None:
        begin.wait(WAIT)
        try:
            results[number] = actions[number]()
        except Exception as error:  # noqa: BLE001 - shown to the reader
            results[number] = error

    threads = [threading.Thread(target=run, args=[n], daemon=True) for n in range(len(actions))]
    with hasty_threads():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(4 * WAIT)
    return results


class Verdict:
    """The outcome of a comparison, which takes a while to look at."""

    def __init__(self, holds: bool) -> None:
        self.holds = holds

    def __bool__(self) -> bool:
        time.sleep(0.0005)
        return self.holds


class Slow(int):
    """A number that is slow to compare and to add to, as one in a database is."""

    def __add__(self, other: int) -> Slow:
        if not isinstance(other, int):
            raise TypeError(f"an amount is a number, not {other!r}")
        time.sleep(0.0005)
        return Slow(int(self) + int(other))

    def __sub__(self, other: int) -> Slow:
        return self + -other

    def __ge__(self, other: int) -> bool:
        return Verdict(int(self) >= int(other))  # type: ignore[return-value]

    def __lt__(self, other: int) -> bool:
        return Verdict(int(self) < int(other))  # type: ignore[return-value]

    def __le__(self, other: int) -> bool:
        return Verdict(int(self) <= int(other))  # type: ignore[return-value]

    def __gt__(self, other: int) -> bool:
        return Verdict(int(self) > int(other))  # type: ignore[return-value]


def check_account(account_class: Answer) -> Iterator[Attempt]:
    """Deposits and withdrawals of many threads, on a balance that is slow to look at."""

    def deposited() -> int:
        account = account_class(Slow(0))
        actions = [partial(repeat, account.deposit, 10) for _ in range(THREADS)]
        first = next((r for r in all_at_once(*actions) if isinstance(r, Exception)), None)
        if first is not None:
            raise first
        return int(account.balance)

    yield attempt(
        f"{THREADS} threads deposit 1, ten times each: the balance",
        deposited,
        10 * THREADS,
        "An update was lost: two threads read the same balance and both wrote it plus one. "
        "Hold the lock from the read to the write.",
    )

    def withdrawn() -> tuple[int, int]:
        account = account_class(Slow(5))
        done = all_at_once(*(partial(account.withdraw, 1) for _ in range(THREADS)))
        return sum(one is True for one in done), int(account.balance)

    yield attempt(
        f"{THREADS} threads withdraw 1 from a balance of 5: how many may, and what is left",
        withdrawn,
        (5, 0),
        "Between the question whether there is enough and the withdrawal another thread withdrew. "
        "Question and withdrawal belong under one lock.",
    )

    def raised_inside() -> bool:
        account = account_class(Slow(5))
        with suppress(TypeError):
            account.deposit("five")
        waiter = threading.Thread(target=account.deposit, args=[1], daemon=True)
        waiter.start()
        waiter.join(1.0)
        return not waiter.is_alive()

    yield attempt(
        'deposit("five") raises; the next deposit goes through',
        raised_inside,
        True,
        "The lock was still held when the error came out. `with self.lock:` gives it back.",
    )


def repeat(action: Answer, times: int) -> None:
    """Deposit one, again and again."""
    for _ in range(times):
        action(1)


# ---------------------------------------------------------------- build

CLIENTS = 40


def check_loop(serve: Answer) -> Iterator[Attempt]:
    """Many clients at one thread: quick, silent, slow, and gone in the middle."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener, ExitStack() as stack:
        listener.setblocking(False)
        stop = threading.Event()
        outcome: list[BaseException | str] = []

        def run() -> None:
            try:
                serve(listener, stop)
                outcome.append("returned")
            except BaseException as error:  # noqa: BLE001 - shown to the reader
                outcome.append(error)

        before = threading.active_count()
        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def dial() -> socket.socket:
            where = listener.getsockname()
            return stack.enter_context(socket.create_connection(where, timeout=1.5))

        def ask(client: socket.socket, text: bytes) -> bytes:
            if outcome and isinstance(outcome[0], Exception):
                raise outcome[0]
            client.sendall(text)
            return client.recv(1_000)

        try:
            first = dial()
            yield attempt(
                'one client sends b"get 42\\n"',
                lambda: ask(first, b"get 42\n"),
                b"GET 42\n",
                "Each line comes back in capitals.",
            )
            silent = dial()
            half = dial()
            half.sendall(b"half a li")
            others = [dial() for _ in range(CLIENTS)]
            yield attempt(
                f"{CLIENTS} clients, while one is silent and one has sent half a line",
                lambda: [ask(client, b"get 7\n") for client in others] == [b"GET 7\n"] * CLIENTS,
                True,
                "Somebody waited for the silent client. Never call recv on a socket that the "
                "selector has not reported.",
            )
            yield attempt(
                "the other half of that line",
                lambda: half.recv(100) if is_answered(half) else ask(half, b"ne\n"),
                b"HALF A LINE\n",
                "What arrived before the newline must be kept for its client until the rest comes.",
            )
            gone = dial()
            gone.sendall(b"get")
            gone.close()
            yield attempt(
                "the first client again, after another has left in the middle of a line",
                lambda: ask(first, b"get 99\n"),
                b"GET 99\n",
                "recv returns b'' when a client has gone: unregister and close that one socket.",
            )
            yield attempt(
                "threads that serve all of them",
                lambda: threading.active_count() - before,
                1,
                "One thread is enough: the selector says which socket has something.",
            )
            silent.close()
        finally:
            stop.set()
            thread.join(WAIT)
        yield attempt(
            "stop.set(): serve has returned",
            lambda: outcome[0] if outcome else "still running",
            matches("returned", lambda value: value == "returned"),
            "Give select a time-out, and look at stop.is_set() after each round.",
        )


EXERCISES = (
    Exercise(
        name="who-waits",
        title="Who waits for whom",
        kind="predict",
        minutes=10,
        lines=3,
        task=(
            "A server accepts, reads, answers and closes, one client after another. The first "
            "client connects and says nothing; two more connect and ask. When does each get its "
            'answer: "at once" or "after the first has asked"?'
        ),
        hints=(
            "The server's only thread is inside recv().",
            "That the others could connect and send is the kernel's doing.",
        ),
        check=check_predicted_waits,
    ),
    Exercise(
        name="locked-account",
        title="Nothing lost, nothing overdrawn",
        kind="complete",
        minutes=15,
        lines=13,
        task=(
            "Account(balance) has deposit(amount), withdraw(amount), which returns False and does "
            "nothing if the balance does not cover it, and the attribute balance. Many threads "
            "use it."
        ),
        hints=(
            "threading.Lock(), made once per account, held by `with self.lock:`.",
            "In withdraw the comparison and the subtraction belong into the same block.",
        ),
        check=check_account,
    ),
    Exercise(
        name="event-loop",
        title="One thread for everybody",
        kind="build",
        minutes=15,
        lines=23,
        task=(
            "serve(listener, stop) answers each line of each client in capitals, from one thread, "
            "until stop.is_set(). listener does not block. Lines are short; answers fit."
        ),
        hints=(
            "Register the listener with selectors.DefaultSelector(); accept when it is reported, "
            "register the new socket with data=bytearray().",
            "Read only what is reported. Keep what follows the last newline in that bytearray.",
        ),
        check=check_loop,
    ),
)
