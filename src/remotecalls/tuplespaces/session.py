"""One client of a server: its life from the greeting to the end, and what is undone then."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from remotecalls.tuplespaces.engine import Engine
from remotecalls.tuplespaces.errors import SpaceClosed
from remotecalls.tuplespaces.framed import FramedStream
from remotecalls.tuplespaces.protocol import HELLO, check_hello, error_message, number_in
from remotecalls.tuplespaces.session_operations import (
    MAXIMUM_WAITING,
    Answer,
    Message,
    SessionOperations,
)
from remotecalls.tuplespaces.unit_of_work import State
from remotecalls.wire.errors import ProtocolError

logger = logging.getLogger("remotecalls.tuplespaces")

HELLO_SECONDS = 10.0
LINGER_SECONDS = 1.0
LINGER_BYTES = 1_000_000
MAXIMUM_UNCONFIRMED = 2 * MAXIMUM_WAITING


class Session(SessionOperations):
    """Serves one connection.

    Attributes:
        stopping: whether a cancellation of the task means that the server stops.
    """

    def __init__(self, engine: Engine, stream: FramedStream) -> None:
        super().__init__(engine, stream)
        self.stopping = False
        self._last_number = -1
        self._group = asyncio.TaskGroup()

    async def run(self) -> None:
        """Serve until the client goes or breaks the rules, or the task is canceled in `stopping`.

        Raises:
            ExceptionGroup: of `OSError`; the connection broke, or the client did not read.
        """
        failure: Exception | None = None
        async with self._group:
            try:
                await self._read_requests()
            except (ProtocolError, TimeoutError) as error:
                failure = error
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not self.stopping or task is None:
                    raise
                task.uncancel()
                failure = SpaceClosed("the server stops")
            finally:
                self._drop()
        if failure is not None:
            logger.info("connection ended: %s", failure)
            if isinstance(failure, TimeoutError):
                failure = ProtocolError("nothing, or half of a message, came for too long")
            self._stream.write(error_message(None, failure))
            self._stream.end()
            await self._stream.discard(LINGER_SECONDS, LINGER_BYTES)

    def _drop(self) -> None:
        """Undo what the client began: its waits, its transactions, and takes it never confirmed."""
        for task in self._tasks.values():
            task.cancel()
        for subscriber in self._subscriptions.values():
            self._engine.unsubscribe(subscriber)
        for work in self._works.values():
            if work.state is State.OPEN:
                self._engine.end(work, State.ABORTED)
        for entry, taker in self._unconfirmed.values():
            self._engine.put_back(entry, taker)

    # ---------------------------------------------------------------- requests

    async def _read_requests(self) -> None:
        hello = await self._stream.receive(HELLO_SECONDS)
        if hello is None:
            return
        check_hello(hello)
        self._stream.write(HELLO)
        while (message := await self._stream.receive()) is not None:
            number = number_in(message, "id")
            if number <= self._last_number:
                raise ProtocolError(f"request {number} came after {self._last_number}")
            self._last_number = number
            if logger.isEnabledFor(logging.INFO):
                logger.info("%d %s", number, _summary(message))
            self._confirmed(message.get("kept", []))
            answer = self._answer(number, message)
            if isinstance(answer, dict):
                self._stream.write(answer)
                await self._stream.drained()
            elif answer is not None:
                task = self._group.create_task(answer)
                self._tasks[number] = task
                task.add_done_callback(partial(self._finished, number))

    def _finished(self, number: int, task: asyncio.Task[None]) -> None:
        del self._tasks[number]

    def _confirmed(self, kept: object) -> None:
        if not isinstance(kept, list) or not all(isinstance(each, int) for each in kept):
            raise ProtocolError("'kept' is not an array of the numbers of requests")
        for number in kept:
            self._unconfirmed.pop(number, None)
        if len(self._unconfirmed) > MAXIMUM_UNCONFIRMED:
            raise ProtocolError("too many takes were answered and never confirmed in 'kept'")

    def _answer(self, number: int, message: Message) -> Answer:
        name = message.get("operation")
        operation = self._operations.get(name) if isinstance(name, str) else None
        try:
            if operation is None:
                known = ", ".join(self._operations)
                raise ProtocolError(f"no operation {str(name)[:40]!r}; there is {known}")
            return operation(number, message)
        except Exception as error:  # noqa: BLE001 (every request gets an answer)
            return self._refusal(number, error)


def _summary(message: Message) -> str:
    """A request in one short line of a log."""
    about = message.get("fields", message.get("pattern", ""))
    return f"{message.get('operation')} {about}"[:100]
