"""What a client of a server can ask for.

What can be answered at once is; what has to wait becomes a coroutine that sends the answer.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from remotecalls.tuplespaces.encoding import decode_fields, decode_pattern, to_bytes
from remotecalls.tuplespaces.engine import Engine
from remotecalls.tuplespaces.errors import (
    InvalidField,
    TooManyOperations,
    TransactionEnded,
)
from remotecalls.tuplespaces.events import DEFAULT_BUFFER, Events
from remotecalls.tuplespaces.fields import Fields, checked
from remotecalls.tuplespaces.framed import FramedStream
from remotecalls.tuplespaces.leases import cancel, renew
from remotecalls.tuplespaces.patterns import Pattern
from remotecalls.tuplespaces.protocol import (
    MAXIMUM_TUPLE_BYTES,
    encoded_tuple,
    error_message,
    number_in,
    seconds_in,
)
from remotecalls.tuplespaces.store import Entry
from remotecalls.tuplespaces.timeouts import DEFAULT_TIMEOUT, checked_lease, checked_timeout
from remotecalls.tuplespaces.unit_of_work import State, UnitOfWork
from remotecalls.tuplespaces.waiting import Subscriber
from remotecalls.wire.errors import ProtocolError

logger = logging.getLogger("remotecalls.tuplespaces")

MAXIMUM_WAITING = 16_384
MAXIMUM_TRANSACTIONS = 1_024
MAXIMUM_SUBSCRIPTIONS = 64
MAXIMUM_BUFFER = 1_024

Message: TypeAlias = dict[str, Any]
Answer: TypeAlias = "Message | Coroutine[Any, Any, None] | None"


class SessionOperations:
    """The operations of one client, and what of them is not finished."""

    def __init__(self, engine: Engine, stream: FramedStream) -> None:
        self._engine = engine
        self._stream = stream
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._subscriptions: dict[int, Subscriber] = {}
        self._works: dict[int, UnitOfWork] = {}
        self._unconfirmed: dict[int, tuple[Entry, UnitOfWork | None]] = {}
        self._reading_all = asyncio.Lock()
        self._operations: dict[str, Callable[[int, Message], Answer]] = {
            "write": self._write,
            "take": lambda number, message: self._get(number, message, taking=True),
            "read": lambda number, message: self._get(number, message, taking=False),
            "take_if_present": lambda number, message: self._get_now(number, message, taking=True),
            "read_if_present": lambda number, message: self._get_now(number, message, taking=False),
            "read_all": self._read_all,
            "renew": self._renew,
            "cancel_lease": self._cancel_lease,
            "begin": self._begin,
            "commit": lambda number, message: self._end(number, message, State.COMMITTED),
            "abort": lambda number, message: self._end(number, message, State.ABORTED),
            "notify": self._notify,
            "cancel": self._cancel,
            "keep": lambda number, message: None,
        }

    def _refusal(self, number: int, error: Exception) -> Message:
        message = error_message(number, error)
        if message["error"] == "ServerFailed":
            logger.error("request %d failed", number, exc_info=error)
        return message

    def _work(self, message: Message) -> UnitOfWork | None:
        if message.get("transaction") is None:
            return None
        number = number_in(message, "transaction")
        if number not in self._works:
            raise TransactionEnded(f"no transaction {number} is open on this connection")
        return self._works[number]

    def _check_waiting(self) -> None:
        if len(self._tasks) >= MAXIMUM_WAITING:
            raise TooManyOperations(
                f"{MAXIMUM_WAITING:,} operations of this connection wait already: "
                "let some end, or open another connection"
            )

    # ---------------------------------------------------------------- tuples

    def _write(self, number: int, message: Message) -> Answer:
        fields = checked(decode_fields(message.get("fields")))
        lease = checked_lease(seconds_in(message, "lease", math.inf))
        timeout = checked_timeout(seconds_in(message, "timeout", DEFAULT_TIMEOUT))
        work = self._work(message)
        if not self._engine.must_wait(work):
            return _lease(number, self._engine.write_now(fields, lease, work))
        self._check_waiting()
        return self._write_later(number, fields, lease, work, timeout)

    async def _write_later(
        self, number: int, fields: Fields, lease: float, work: UnitOfWork | None, timeout: float
    ) -> None:
        try:
            answer = _lease(number, await self._engine.write(fields, lease, work, timeout))
        except Exception as error:  # noqa: BLE001 (every request gets an answer)
            answer = self._refusal(number, error)
        await self._stream.send(answer)

    def _get(self, number: int, message: Message, *, taking: bool) -> Answer:
        pattern = Pattern(decode_pattern(message.get("pattern")))
        timeout = checked_timeout(seconds_in(message, "timeout", DEFAULT_TIMEOUT))
        work = self._work(message)
        entry = self._engine.get_now(pattern, work, taking=taking)
        if entry is not None:
            return self._found(number, entry, work, taking=taking)
        self._check_waiting()
        return self._get_later(number, pattern, work, taking, timeout)

    async def _get_later(
        self, number: int, pattern: Pattern, work: UnitOfWork | None, taking: bool, timeout: float
    ) -> None:
        try:
            entry = await self._engine.get(pattern, work, taking=taking, timeout=timeout)
        except Exception as error:  # noqa: BLE001 (every request gets an answer)
            await self._stream.send(self._refusal(number, error))
            return
        try:
            async with self._stream.turn():
                self._stream.write(self._found(number, entry, work, taking=taking))
                taking = False  # from here on it is for the client to confirm or to cancel
        finally:
            if taking:
                self._engine.put_back(entry, work)

    def _get_now(self, number: int, message: Message, *, taking: bool) -> Answer:
        pattern = Pattern(decode_pattern(message.get("pattern")))
        work = self._work(message)
        entry = self._engine.get_now(pattern, work, taking=taking)
        if entry is None:
            return {"id": number, "fields": None}
        return self._found(number, entry, work, taking=taking)

    def _found(
        self, number: int, entry: Entry, work: UnitOfWork | None, *, taking: bool
    ) -> Message:
        try:
            answer = {"id": number, "fields": encoded_tuple(entry.fields)}
        except InvalidField as error:  # written in the server's process, and too large for a frame
            if taking:
                self._engine.put_back(entry, work)
            return self._refusal(number, error)
        if taking:
            self._unconfirmed[number] = entry, work
        return answer

    def _read_all(self, number: int, message: Message) -> Answer:
        pattern = Pattern(decode_pattern(message.get("pattern")))
        self._check_waiting()
        return self._send_all(number, pattern, message)

    async def _send_all(self, number: int, pattern: Pattern, message: Message) -> None:
        # One at a time, so that a client that does not read makes us hold one result and no more.
        async with self._reading_all:
            try:
                entries = self._engine.get_all_now(pattern, self._work(message))
                items: list[Any] = []
                size = 0
                for entry in entries:
                    item = encoded_tuple(entry.fields)
                    length = len(to_bytes({"": item}))
                    if size + length > MAXIMUM_TUPLE_BYTES:
                        await self._stream.send({"id": number, "tuples": items, "more": True})
                        items, size = [], 0
                    items.append(item)
                    size += length
                answer: Message = {"id": number, "tuples": items}
            except OSError:
                raise
            except Exception as error:  # noqa: BLE001 (every request gets an answer)
                answer = self._refusal(number, error)
            await self._stream.send(answer)

    # ---------------------------------------------------------------- leases and transactions

    def _renew(self, number: int, message: Message) -> Answer:
        entry = self._leased(message)
        renew(self._engine, entry, seconds_in(message, "seconds", math.inf))
        assert entry is not None
        return _lease(number, entry)

    def _cancel_lease(self, number: int, message: Message) -> Answer:
        cancel(self._engine, self._leased(message))
        return {"id": number}

    def _leased(self, message: Message) -> Entry | None:
        self._engine.begin_operation()
        match message.get("lease"):
            case [int() as length, int() as order]:
                return self._engine.find_leased(length, order)
        raise ProtocolError("a lease is an array of two whole numbers")

    def _begin(self, number: int, message: Message) -> Answer:
        timeout = checked_timeout(seconds_in(message, "timeout", DEFAULT_TIMEOUT))
        self._engine.begin_operation()
        if len(self._works) >= MAXIMUM_TRANSACTIONS:
            raise TooManyOperations(
                f"{MAXIMUM_TRANSACTIONS:,} transactions of this connection are open already"
            )
        self._works[number] = self._engine.begin(timeout)
        return {"id": number}

    def _end(self, number: int, message: Message, state: State) -> Answer:
        work = self._work(message)
        if work is None:
            raise ProtocolError("which transaction is to end?")
        del self._works[message["transaction"]]
        self._engine.begin_operation(work)
        self._engine.end(work, state)
        return {"id": number}

    # ---------------------------------------------------------------- subscriptions, and giving up

    def _notify(self, number: int, message: Message) -> Answer:
        pattern = Pattern(decode_pattern(message.get("pattern")))
        self._engine.begin_operation()
        if len(self._subscriptions) >= MAXIMUM_SUBSCRIPTIONS:
            raise TooManyOperations(
                f"{MAXIMUM_SUBSCRIPTIONS} subscriptions of this connection are open already"
            )
        buffer = number_in({"buffer": DEFAULT_BUFFER} | message, "buffer")
        events = Events(min(buffer, MAXIMUM_BUFFER))
        subscriber = Subscriber(next(self._engine.numbers), pattern, events)
        self._engine.subscribers.add(subscriber)
        self._subscriptions[number] = subscriber
        return self._send_events(number, subscriber)

    async def _send_events(self, number: int, subscriber: Subscriber) -> None:
        events = subscriber.events
        try:
            await self._stream.send({"id": number})
            async for fields in events:
                async with self._stream.turn():
                    item = encoded_tuple(fields)
                    self._stream.write({"event": number, "fields": item, "missed": events.missed})
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 (the subscriber gets to know)
            end = self._refusal(number, error)
            await self._stream.send({"event": number, **end})
        finally:
            self._engine.unsubscribe(subscriber)

    def _cancel(self, number: int, message: Message) -> Answer:
        target = number_in(message, "target")
        if target in self._tasks:
            self._tasks[target].cancel()
        if target in self._subscriptions:
            self._engine.unsubscribe(self._subscriptions.pop(target))
        if target in self._unconfirmed:
            self._engine.put_back(*self._unconfirmed.pop(target))
        work = self._works.pop(target, None)
        if work is not None and work.state is State.OPEN:
            self._engine.end(work, State.ABORTED)
        return None


def _lease(number: int, entry: Entry) -> Message:
    return {"id": number, "lease": [len(entry.fields), entry.order]}
