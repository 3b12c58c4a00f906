"""A full mailbox slows its senders or refuses them, and never grows."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest
from actor_programs import Book, Clock, at_once, nothing_left, turns
from hypothesis import given, settings
from hypothesis import strategies as st

from remotecalls.actors import (
    ActorRef,
    ActorStopped,
    ActorSystem,
    DeadlineExceeded,
    Exit,
    MailboxFull,
    Misuse,
    WhenFull,
    actor,
    handler,
    state,
)

CAPACITY = 3


class Gate:
    """What a handler waits for, reached by a number that can be sent."""

    def __init__(self) -> None:
        self.book = Book()
        self.event = asyncio.Event()
        self.book.lines.append(self.event)

    @property
    def number(self) -> int:
        return self.book.number


def gated(when_full: WhenFull, mailbox: int = CAPACITY) -> type:
    @actor(mailbox=mailbox, when_full=when_full, traps_exits=True)
    class Gated:
        book: int
        gate: int

        @handler("wait")
        async def wait(self) -> None:
            await Book.of(self.gate).lines[0].wait()

        @handler("note")
        def note(self, what: Any) -> Any:
            Book.of(self.book).write(what)
            return what

        @handler("crash")
        def crash(self) -> None:
            raise ValueError("as told")

        @handler("exit")
        def exit(self, sender: ActorRef, reason: Exit) -> None:
            Book.of(self.book).write("exit")

    return Gated


@asynccontextmanager
async def full(
    when_full: WhenFull, mailbox: int = CAPACITY, filled: int | None = None
) -> AsyncIterator[tuple[ActorSystem, ActorRef, Book, asyncio.Event]]:
    """An actor whose handler waits for the event, and whose mailbox has 0, 1, 2… to the last."""
    filled = mailbox if filled is None else filled
    book, gate = Book(), Gate()
    async with nothing_left(), ActorSystem() as system:
        ref = await system.spawn(gated(when_full, mailbox), book.number, gate.number, name="full")
        ref.tell("wait")
        await at_once(lambda: ref.actor_process.is_waiting)
        for number in range(filled):
            ref.tell("note", number)
        assert ref.actor_process.mailbox_length == filled
        try:
            yield system, ref, book, gate.event
        finally:
            gate.event.set()


def length(ref: ActorRef) -> int:
    return ref.actor_process.mailbox_length


# ---------------------------------------------------------------- the policies


async def test_refuse_raises_for_all_three_ways_of_sending() -> None:
    async with full(WhenFull.REFUSE) as (system, ref, book, gate):
        for _ in range(3):
            with pytest.raises(MailboxFull, match="full with 3 messages: send less"):
                ref.tell("note", "no")
            with pytest.raises(MailboxFull):
                await ref.tell_when_room("note", "no")
            with pytest.raises(MailboxFull):
                await ref.ask("note", "no")
        assert length(ref) == CAPACITY
        gate.set()
        await at_once(lambda: length(ref) == 0)
        assert await ref.ask("note", "yes") == "yes"
        assert book.lines == [0, 1, 2, "yes"]
        assert system.dead_letters.count == 0


async def test_drop_oldest_makes_room_and_tells_the_asker() -> None:
    async with full(WhenFull.DROP_OLDEST) as (system, ref, book, gate):
        ref.tell("note", 3)
        ref.tell("note", 4)
        asked = asyncio.create_task(ref.ask("note", 5))
        await turns()
        assert length(ref) == CAPACITY
        for number in range(6, 9):
            await ref.tell_when_room("note", number)
        with pytest.raises(MailboxFull, match="dropped 'note'"):
            await asked
        gate.set()
        await at_once(lambda: length(ref) == 0)
        assert book.lines == [6, 7, 8]
        assert [letter.message for letter in system.dead_letters] == ["note"] * 6
        assert {letter.target for letter in system.dead_letters} == {"full"}


async def test_drop_newest_keeps_what_it_has_and_tells_the_asker() -> None:
    async with full(WhenFull.DROP_NEWEST) as (system, ref, book, gate):
        ref.tell("note", 3)
        await ref.tell_when_room("note", 4)
        with pytest.raises(MailboxFull, match="dropped 'note'"):
            await ref.ask("note", 5)
        assert length(ref) == CAPACITY
        gate.set()
        await at_once(lambda: length(ref) == 0)
        assert book.lines == [0, 1, 2]
        assert system.dead_letters.count == 3


async def test_wait_makes_a_tell_that_no_turn_would_help_an_error() -> None:
    async with full(WhenFull.WAIT) as (system, ref, book, gate):
        for _ in range(1_000):
            with pytest.raises(MailboxFull, match="tell_when_room"):
                ref.tell("note", "no")
        assert length(ref) == CAPACITY
        gate.set()
        await at_once(lambda: length(ref) == 0)
        assert book.lines == [0, 1, 2]
        assert system.dead_letters.count == 0


async def test_wait_lets_senders_in_one_by_one_in_their_order() -> None:
    async with full(WhenFull.WAIT) as (_, ref, book, gate):
        senders: list[asyncio.Task[Any]] = []
        for number in range(3, 9):
            send = ref.ask if number % 2 else ref.tell_when_room
            senders.append(asyncio.create_task(send("note", number)))
            await turns(2)
        assert length(ref) == CAPACITY
        assert not any(sender.done() for sender in senders)
        gate.set()
        async with asyncio.timeout(5):
            assert await asyncio.gather(*senders) == [3, None, 5, None, 7, None]
        await at_once(lambda: len(book.lines) == 9)
        assert book.lines == list(range(9))


async def test_a_tell_lends_its_turn_so_that_a_fast_sender_does_the_work() -> None:
    book, gate = Book(), Gate()
    async with ActorSystem() as system:
        ref = await system.spawn(gated(WhenFull.WAIT), book.number, gate.number)
        longest = 0
        for number in range(1_000):
            ref.tell("note", number)  # never waits: nothing else on the loop has run
            longest = max(longest, length(ref))
        assert longest == CAPACITY
        assert len(book.lines) >= 1_000 - CAPACITY
        await ref.ask("note", "last")
        assert book.lines == [*range(1_000), "last"]


async def test_a_handler_that_does_not_wait_cannot_lend_its_turn() -> None:
    @actor
    class Sender:
        other: ActorRef

        @handler("send", raises=MailboxFull)
        def send(self, count: int) -> None:
            for number in range(count):
                self.other.tell("note", number)

    book, gate = Book(), Gate()
    async with ActorSystem() as system:
        ref = await system.spawn(gated(WhenFull.WAIT), book.number, gate.number)
        sender = await system.spawn(Sender, ref)
        await sender.ask("send", CAPACITY)
        await at_once(lambda: length(ref) == 0)
        with pytest.raises(MailboxFull):
            await sender.ask("send", CAPACITY + 1)


async def test_a_tell_to_one_that_ends_while_turns_are_lent_is_a_dead_letter() -> None:
    book, gate = Book(), Gate()
    async with ActorSystem() as system:
        ref = await system.spawn(gated(WhenFull.WAIT), book.number, gate.number)
        ref.tell("crash")
        ref.tell("note", 1)
        ref.tell("note", 2)
        ref.tell("note", 3)  # runs the crash, and has nobody to go to
        assert ref.reason is not None
        assert book.lines == []
        assert system.dead_letters.count == 3


# ---------------------------------------------------------------- deadlines and cancellation


@pytest.mark.parametrize("how", ["tell_when_room", "ask"])
async def test_a_sender_waits_for_room_to_its_deadline(how: str) -> None:
    async with full(WhenFull.WAIT) as (system, ref, book, gate):
        for _ in range(3):
            with pytest.raises(MailboxFull, match=r"no room within 0\.01 s"):
                await getattr(ref, how)("note", "late", timeout=0.01)
        gate.set()
        assert await ref.ask("note", "in time") == "in time"
        assert book.lines == [0, 1, 2, "in time"]
        assert system.dead_letters.count == 0  # the sender knows


@pytest.mark.parametrize("how", ["tell_when_room", "ask"])
async def test_what_a_cancelled_sender_waited_with_is_never_handled(how: str) -> None:
    async with full(WhenFull.WAIT) as (system, ref, book, gate):
        first, second, third = [
            asyncio.create_task(getattr(ref, how)("note", name)) for name in ("a", "b", "c")
        ]
        await turns(3)
        second.cancel()
        await turns(3)
        gate.set()
        async with asyncio.timeout(5):
            await asyncio.gather(first, third)
        assert second.cancelled()
        await ref.ask("note", "end")
        assert book.lines == [0, 1, 2, "a", "c", "end"]
        assert system.dead_letters.count == 0


async def test_who_is_refused_leaves_nothing_behind_however_often() -> None:
    async with full(WhenFull.WAIT) as (_, ref, _book, _gate):

        async def attempts(count: int) -> None:
            for _ in range(count):
                with pytest.raises(MailboxFull):
                    ref.tell("note", "x" * 1_000)
                with pytest.raises(MailboxFull):
                    ref.send_request("note", "x" * 1_000)
                sender = asyncio.create_task(ref.tell_when_room("note", "x" * 1_000))
                await asyncio.sleep(0)
                sender.cancel()
                with suppress(asyncio.CancelledError):
                    await sender

        await attempts(10)
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            await attempts(300)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert after - before < 100_000  # and not 300 messages of three senders
        assert length(ref) == CAPACITY


async def test_what_waits_for_room_when_the_actor_stops_is_refused() -> None:
    async with full(WhenFull.WAIT) as (system, ref, book, gate):
        asked = asyncio.create_task(ref.ask("note", "asked"))
        told = asyncio.create_task(ref.tell_when_room("note", "told"))
        await turns()
        stopping = asyncio.create_task(ref.stop())
        for sender in (asked, told):
            with pytest.raises(ActorStopped, match="takes nothing more"):
                await sender
        gate.set()
        await stopping
        assert book.lines == [0, 1, 2]
        assert system.dead_letters.count == 0


async def test_what_waits_for_room_when_the_actor_is_killed_is_refused() -> None:
    async with full(WhenFull.WAIT) as (system, ref, book, _):
        asked = asyncio.create_task(ref.ask("note", "asked"))
        told = asyncio.create_task(ref.tell_when_room("note", "told"))
        await turns()
        ref.kill()
        for sender in (asked, told):
            with pytest.raises(ActorStopped, match="was killed"):
                await sender
        assert book.lines == []
        assert system.dead_letters.count == 1 + CAPACITY  # the "wait" was in work


# ---------------------------------------------------------------- the runtime's own messages


@pytest.mark.parametrize("when_full", WhenFull)
async def test_signals_come_in_when_it_is_full_and_let_nobody_else_in(when_full: WhenFull) -> None:
    async with full(when_full, mailbox=1) as (system, ref, book, gate):
        waiting: list[asyncio.Task[None]] = []
        if when_full is WhenFull.WAIT:
            for number in range(1, 11):
                waiting.append(asyncio.create_task(ref.tell_when_room("note", number)))
                await turns(2)
        for _ in range(5):
            ref.exit(Exit(cast("Any", "shutdown")))
        await turns()
        assert length(ref) == 6
        gate.set()
        most_after: list[int] = []
        async with asyncio.timeout(5):
            while "exit" not in book.lines or length(ref):
                most_after.append(length(ref))
                await asyncio.sleep(0)
            await asyncio.gather(*waiting)
        assert max(most_after) <= 6
        await ref.ask("note", "end")
        notes = [line for line in book.lines if line != "exit"]
        assert notes == [0, *(range(1, 11) if waiting else []), "end"]
        assert book.lines.count("exit") == 5
        assert system.dead_letters.count == 0


async def test_after_signals_the_mailbox_is_no_longer_than_it_may_be() -> None:
    lengths: list[int] = []

    @actor(mailbox=1, traps_exits=True)
    class Own:
        gate: int

        @handler("wait")
        async def wait(self) -> None:
            await Book.of(self.gate).lines[0].wait()

        @handler("exit")
        def exit(self, sender: ActorRef, reason: Exit) -> None: ...

        @handler("note")
        def note(self) -> None:
            lengths.append(cast("Any", self).actor.ref.actor_process.mailbox_length)

    gate = Gate()
    async with nothing_left(), ActorSystem() as system:
        ref = await system.spawn(Own, gate.number)
        ref.tell("wait")
        await at_once(lambda: ref.actor_process.is_waiting)
        senders = [asyncio.create_task(ref.tell_when_room("note")) for _ in range(20)]
        await turns()
        for _ in range(5):
            ref.exit(Exit(cast("Any", "shutdown")))
        await turns()
        gate.event.set()
        async with asyncio.timeout(5):
            await asyncio.gather(*senders)
        await at_once(lambda: len(lengths) == 20)
        assert max(lengths[5:]) <= 1


# ---------------------------------------------------------------- always


@settings(max_examples=60)
@given(
    when_full=st.sampled_from(WhenFull),
    capacity=st.integers(1, 5),
    steps=st.lists(
        st.sampled_from(("tell", "tell_when_room", "ask", "send_request", "run", "cancel")),
        max_size=40,
    ),
)
async def test_no_mailbox_is_ever_longer_than_its_capacity(
    when_full: WhenFull, capacity: int, steps: list[str]
) -> None:
    book, gate = Book(), Gate()
    lengths: list[int] = []
    async with nothing_left(), ActorSystem() as system:
        ref = await system.spawn(gated(when_full, capacity), book.number, gate.number)
        ref.tell("wait")
        await at_once(lambda: ref.actor_process.is_waiting)
        waiting: list[asyncio.Task[Any]] = []
        for number, step in enumerate(steps):
            lengths.append(length(ref))
            if step == "run":
                await asyncio.sleep(0)
            elif step == "cancel":
                if waiting:
                    waiting[len(waiting) // 2].cancel()
            elif step in ("tell", "send_request"):
                with suppress(MailboxFull):
                    getattr(ref, step)("note", number)
            else:
                waiting.append(asyncio.create_task(getattr(ref, step)("note", number)))
        gate.event.set()
        async with asyncio.timeout(10):
            results = await asyncio.gather(*waiting, return_exceptions=True)
            await at_once(lambda: length(ref) == 0)
        assert max(lengths, default=0) <= capacity
        assert book.lines == sorted(set(book.lines), key=book.lines.index)
        for result in results:
            assert not isinstance(result, Exception) or isinstance(result, MailboxFull)
        if when_full is WhenFull.REFUSE:
            # An asker that was cancelled is let in, and not handled.
            assert system.dead_letters.count <= steps.count("cancel")


# ---------------------------------------------------------------- requests that are awaited later


async def test_requests_are_sent_in_order_and_awaited_in_any() -> None:
    book, gate = Book(), Gate()
    async with ActorSystem() as system:
        ref = await system.spawn(gated(WhenFull.WAIT, 100), book.number, gate.number)
        requests = [ref.send_request("note", number) for number in range(50)]
        assert [await request for request in reversed(requests)] == list(reversed(range(50)))
        assert book.lines == list(range(50))
        assert await requests[0] == 0  # an answer may be looked at again


async def test_a_request_whose_wait_was_cancelled_is_not_taken_for_answered() -> None:
    async with full(WhenFull.WAIT, filled=0) as (_, ref, book, gate):
        request = ref.send_request("note", "cancelled")

        async def wait() -> object:
            return await request

        waiting = asyncio.create_task(wait())
        await turns()
        with pytest.raises(Misuse, match="two wait for one request"):
            await request
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        with pytest.raises(Misuse, match="was cancelled"):
            await request
        gate.set()
        await ref.ask("note", "end")
        assert "cancelled" not in book.lines


async def test_the_time_of_a_request_runs_from_when_it_was_sent() -> None:
    async with full(WhenFull.WAIT, filled=0) as (_, ref, book, gate):
        with Clock() as clock:
            request = ref.send_request("note", "late", timeout=60)
            clock.forward(61)
            with pytest.raises(DeadlineExceeded, match="60 s"):
                await request
        gate.set()
        await ref.ask("note", "end")
        assert book.lines == ["end"]


async def test_the_news_of_an_end_is_never_dropped_for_something_newer() -> None:
    @actor(mailbox=2, when_full=WhenFull.DROP_OLDEST)
    class Watcher:
        seen: list[str] = state(default_factory=list)

        @handler("watch")
        def watch(self, other: ActorRef) -> None:
            self.actor.monitor(other)

        @handler("hold")
        async def hold(self) -> None:
            await asyncio.sleep(0.02)

        @handler("note")
        def note(self, word: str) -> None:
            self.seen.append(word)

        @handler("down")
        def down(self, other: ActorRef, reason: Exit) -> None:
            self.seen.append("down")

        @handler("all", is_told=False)
        def everything(self) -> list[str]:
            return self.seen

    @actor
    class Watched:
        @handler("nothing")
        def nothing(self) -> None: ...

    async with ActorSystem() as system:
        watcher, watched = await system.spawn(Watcher), await system.spawn(Watched)
        await watcher.ask("watch", watched)
        holding = watcher.send_request("hold")
        await asyncio.sleep(0)
        watched.kill()
        for word in "abcdef":
            watcher.tell("note", word)
        await holding
        assert "down" in await watcher.ask("all")
