"""One message at a time: no update is lost within an actor, and one may be between two."""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from contextlib import suppress

import pytest
from actor_programs import Book, Counter, at_once, nothing_left, tree, until
from hypothesis import given, settings
from hypothesis import strategies as st

from remotecalls.actors import (
    ActorRef,
    ActorStopped,
    ActorSystem,
    DeadlineExceeded,
    MailboxFull,
    WhenFull,
    actor,
    child,
    handler,
    state,
)

MANY = 10_000


# ---------------------------------------------------------------- updates


@pytest.mark.parametrize("name", ["add", "add slowly"])
async def test_ten_thousand_concurrent_asks_lose_no_update(name: str) -> None:
    async with ActorSystem() as system:
        counter = await system.spawn(Counter)
        answers = await asyncio.gather(*(counter.ask(name, timeout=60) for _ in range(MANY)))
        assert sorted(answers) == list(range(1, MANY + 1))
        assert await counter.ask("read") == MANY


async def test_ten_thousand_tells_lose_no_update() -> None:
    async with ActorSystem() as system:
        counter = await system.spawn(Counter)
        for _ in range(MANY):
            counter.tell("add")
        assert await counter.ask("read") == MANY
        assert system.dead_letters.count == 0


@actor
class Client:
    counter: ActorRef

    @handler("work")
    async def work(self, times: int) -> None:
        for _ in range(times):
            await self.counter.ask("add slowly", timeout=60)
            self.counter.tell("add")


async def test_updates_from_the_waiting_handlers_of_a_hundred_actors_are_all_kept() -> None:
    async with ActorSystem() as system:
        counter = await system.spawn(Counter)
        clients = [await system.spawn(Client, counter) for _ in range(100)]
        await asyncio.gather(*(client.ask("work", times=50, timeout=60) for client in clients))
        assert await counter.ask("read") == MANY


# ---------------------------------------------------------------- check, then act


@actor
class Account:
    balance: int

    @handler("balance")
    def get_balance(self) -> int:
        return self.balance

    @handler("set")
    def set_balance(self, balance: int) -> None:
        self.balance = balance

    @handler("withdraw")
    def withdraw(self, amount: int) -> bool:
        if self.balance < amount:
            return False
        self.balance -= amount
        return True

    @handler("withdraw slowly")
    async def withdraw_slowly(self, amount: int) -> bool:
        is_enough = self.balance >= amount
        for _ in range(3):
            await asyncio.sleep(0)
        if is_enough:
            self.balance -= amount
        return is_enough


@actor
class Teller:
    account: ActorRef

    @handler("withdraw")
    async def withdraw(self, amount: int) -> bool:
        balance = await self.account.ask("balance")
        await asyncio.sleep(0)
        if balance < amount:
            return False
        await self.account.ask("set", balance=balance - amount)
        return True


async def test_check_then_act_across_two_actors_pays_out_twice() -> None:
    async with ActorSystem() as system:
        account = await system.spawn(Account, 100)
        tellers = [await system.spawn(Teller, account) for _ in range(2)]
        paid = await asyncio.gather(*(teller.ask("withdraw", 100) for teller in tellers))
        assert paid == [True, True]
        assert await account.ask("balance") == 0


@pytest.mark.parametrize("name", ["withdraw", "withdraw slowly"])
async def test_check_then_act_within_one_actor_pays_out_once(name: str) -> None:
    async with ActorSystem() as system:
        account = await system.spawn(Account, 100)
        paid = await asyncio.gather(*(account.ask(name, 100) for _ in range(50)))
        assert Tally(paid) == {True: 1, False: 49}
        assert await account.ask("balance") == 0


class Shared:
    """A counter of which several tasks read, wait and write."""

    def __init__(self) -> None:
        self.count = 0

    async def add(self) -> None:
        before = self.count
        await asyncio.sleep(0)
        self.count = before + 1


async def test_the_same_handler_without_an_actor_loses_all_updates_but_one() -> None:
    shared = Shared()
    await asyncio.gather(*(shared.add() for _ in range(100)))
    assert shared.count == 1


# ---------------------------------------------------------------- once, and in order


def _recorder(mailbox: int, when_full: WhenFull) -> type:
    @actor(mailbox=mailbox, when_full=when_full)
    class Recorder:
        book: int
        handled: int = state(default=0)

        @handler("now")
        def now(self, sender: int, number: int) -> int:
            Book.of(self.book).write((sender, number))
            return number

        @handler("later")
        async def later(self, sender: int, number: int) -> int:
            await asyncio.sleep(0)
            Book.of(self.book).write((sender, number))
            return number

    return Recorder


HOW = ("tell", "tell_when_room", "ask")
sends = st.lists(
    st.tuples(st.sampled_from(HOW), st.sampled_from(("now", "later")), st.booleans()), max_size=12
)


@settings(max_examples=60)
@given(
    senders=st.lists(sends, min_size=1, max_size=4),
    mailbox=st.integers(1, 4),
    when_full=st.sampled_from(WhenFull),
    end=st.sampled_from(("none", "stop", "kill", "restart")),
    end_after=st.integers(0, 20),
)
async def test_every_message_is_handled_once_in_order_or_accounted_for(
    senders: list[list[tuple[str, str, bool]]],
    mailbox: int,
    when_full: WhenFull,
    end: str,
    end_after: int,
) -> None:
    book = Book()
    refused: list[tuple[int, int]] = []
    answered: list[tuple[int, int]] = []
    failed_asks: list[tuple[int, int]] = []
    tells: set[tuple[int, int]] = set()
    async with nothing_left(), ActorSystem() as system:
        spec = child(_recorder(mailbox, when_full), book.number, name="recorder")
        supervisor = await system.supervise(tree("top", spec, intensity=1))
        recorder = system.whereis("recorder")
        assert recorder is not None
        sent = 0

        async def send(sender: int, program: list[tuple[str, str, bool]]) -> None:
            nonlocal sent
            for number, (how, name, pauses) in enumerate(program):
                sent += 1
                key = (sender, number)
                try:
                    if how == "ask":
                        answer = await recorder.ask(name, sender, number)
                        assert answer == number
                        answered.append(key)
                    else:
                        tells.add(key)
                        if how == "tell":
                            recorder.tell(name, sender, number)
                        else:
                            await recorder.tell_when_room(name, sender, number)
                except (MailboxFull, ActorStopped):
                    (failed_asks if how == "ask" else refused).append(key)
                if sent == end_after:
                    if end == "stop":
                        await recorder.stop()
                    elif end != "none":
                        recorder.kill()
                if pauses:
                    await asyncio.sleep(0)

        async with asyncio.timeout(20):
            await asyncio.gather(*(send(i, program) for i, program in enumerate(senders)))
            if recorder.reason is None:
                await recorder.stop()
            for info in supervisor.children():  # the one in its place has been told nothing
                assert info.ref is None or info.ref.pid != recorder.pid
    handled = book.lines
    assert len(set(handled)) == len(handled)
    for sender in range(len(senders)):
        numbers = [number for each, number in handled if each == sender]
        assert numbers == sorted(numbers)
    assert set(answered) <= set(handled)
    lost_asks = [letter for letter in system.dead_letters if "full" in letter.reason]
    told = [key for key in handled if key in tells]
    dead = system.dead_letters.count
    # Asks that a policy drops are dead letters, and their askers know as well.
    assert len(tells) <= len(told) + len(refused) + dead <= len(tells) + len(lost_asks)
    assert len(answered) + len(failed_asks) + len(tells) == sent
    assert not set(refused) & set(handled)


async def test_messages_of_before_a_restart_are_not_handled_after_it() -> None:
    book = Book()
    async with ActorSystem() as system:
        spec = child(_recorder(100, WhenFull.WAIT), book.number, name="recorder")
        await system.supervise(tree("top", spec))
        before = system.whereis("recorder")
        assert before is not None
        for number in range(10):
            before.tell("later", 0, number)
        await at_once(lambda: len(book.lines) == 3)
        before.kill()
        after = system.actor("recorder")
        await until(lambda: "recorder" in system.names())
        assert await after.ask("now", 1, 0) == 0
        assert book.lines == [(0, 0), (0, 1), (0, 2), (1, 0)]
        assert system.dead_letters.count == 7


async def test_an_ask_that_ran_out_of_time_in_the_queue_is_not_handled() -> None:
    async with ActorSystem() as system:
        gate = asyncio.Event()

        @actor
        class Gated:
            book: int

            @handler("wait")
            async def wait(self) -> None:
                await gate.wait()

            @handler("note")
            def note(self, what: str) -> None:
                Book.of(self.book).write(what)

        book = Book()
        gated = await system.spawn(Gated, book.number)
        gated.tell("wait")
        with pytest.raises(DeadlineExceeded, match=r"0\.02 s"):
            await gated.ask("note", "late", timeout=0.02)
        asker = asyncio.create_task(gated.ask("note", "cancelled", timeout=60))
        await asyncio.sleep(0)
        asker.cancel()
        with suppress(asyncio.CancelledError):
            await asker
        gate.set()
        await gated.ask("note", "in time")
        assert book.lines == ["in time"]
        assert system.dead_letters.count == 2
