"""Rooms in which every participant hears what any of them says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import grpc.aio
from google.rpc import status_pb2

from remotecalls.grpc.generated.shop.v1 import shop_pb2
from remotecalls.grpc.statuses import OVERLOADED, abort_with, rich_status
from remotecalls.shop import InvalidArgument

UNHEARD_MESSAGES = 100
PARTICIPANTS = 50
ROOMS = 1_000


class RoomFull(Exception):
    """A room has all the participants that it can have, or there are too many rooms."""


class Participant:
    """One end of a conversation: what the others have said and this one has not read yet."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._unheard: asyncio.Queue[shop_pb2.ChatResponse] = asyncio.Queue(UNHEARD_MESSAGES)
        self._behind = asyncio.Event()

    def tell(self, event: shop_pb2.ChatResponse) -> None:
        """Give an event to the participant, without waiting for it."""
        try:
            self._unheard.put_nowait(event)
        except asyncio.QueueFull:
            # The others are not made to wait for it, nor is its queue allowed to grow.
            self._behind.set()

    async def hear_all(self, context: grpc.aio.ServicerContext) -> None:
        """Send the participant its events, as fast as it reads them."""
        while True:
            await context.write(await self._unheard.get())

    async def falls_behind(self) -> None:
        """Wait until an event was lost because the participant does not read."""
        await self._behind.wait()


class Room:
    """The participants of one conversation."""

    def __init__(self) -> None:
        self._participants: list[Participant] = []
        self._messages = 0

    def enter(self, participant: Participant) -> None:
        """Let somebody in, and tell everybody.

        Raises:
            RoomFull: `PARTICIPANTS` are here.
        """
        if len(self._participants) >= PARTICIPANTS:
            raise RoomFull(f"the room has its {PARTICIPANTS} participants")
        self._participants.append(participant)
        joined = shop_pb2.ChatJoined(name=participant.name, participants=len(self._participants))
        self._tell(shop_pb2.ChatResponse(joined=joined))

    def leave(self, participant: Participant) -> None:
        """Let somebody out, and tell the others."""
        self._participants.remove(participant)
        left = shop_pb2.ChatLeft(name=participant.name, participants=len(self._participants))
        self._tell(shop_pb2.ChatResponse(left=left))

    def say(self, sender: str, text: str) -> None:
        """Tell everybody what one of them says."""
        self._messages += 1
        message = shop_pb2.ChatMessage(sender=sender, text=text, number=self._messages)
        self._tell(shop_pb2.ChatResponse(message=message))

    def is_empty(self) -> bool:
        """Whether nobody is here."""
        return not self._participants

    def _tell(self, event: shop_pb2.ChatResponse) -> None:
        for each in self._participants:
            each.tell(event)


class Rooms:
    """All rooms of one server. A room begins with its first participant and ends with its last."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    async def chat(
        self,
        requests: AsyncIterator[shop_pb2.ChatRequest],
        context: grpc.aio.ServicerContext,
    ) -> None:
        """Carry on one participant's conversation until it stops sending or is cancelled."""
        first = await anext(requests, None)
        if first is None or first.WhichOneof("action") != "join":
            refused = "the first message of a participant enters a room"
            await abort_with(context, _invalid(refused))
            return
        name, participant = first.join.room, Participant(first.join.name)
        try:
            room = self._enter(name, participant)
        except RoomFull as error:
            await abort_with(context, _too_much(str(error)))
            return
        try:
            fell_behind = await _talk(participant, room, requests, context)
        finally:
            room.leave(participant)
            if room.is_empty():
                del self._rooms[name]
        if fell_behind:
            # It is out of the room before it is told: it may take long to read this, too.
            unread = f"{participant.name} left over {UNHEARD_MESSAGES} messages unread"
            await abort_with(context, _too_much(unread))

    def _enter(self, name: str, participant: Participant) -> Room:
        if name not in self._rooms and len(self._rooms) >= ROOMS:
            raise RoomFull(f"there are {ROOMS:,} rooms, and no more")
        room = self._rooms.setdefault(name, Room())
        room.enter(participant)
        return room


async def _talk(
    participant: Participant,
    room: Room,
    requests: AsyncIterator[shop_pb2.ChatRequest],
    context: grpc.aio.ServicerContext,
) -> bool:
    """Pass on what a participant says, and what it hears, until it says no more.

    Returns:
        Whether it was stopped because it does not read.
    """
    saying = asyncio.create_task(_say_all(participant, room, requests, context))
    hearing = asyncio.create_task(participant.hear_all(context))
    falling_behind = asyncio.create_task(participant.falls_behind())
    tasks = [saying, hearing, falling_behind]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()  # what it said was refused, or the connection is gone
        return falling_behind in done
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _say_all(
    participant: Participant,
    room: Room,
    requests: AsyncIterator[shop_pb2.ChatRequest],
    context: grpc.aio.ServicerContext,
) -> None:
    async for request in requests:
        if request.WhichOneof("action") != "text":
            await abort_with(context, _invalid("a participant enters one room, once"))
        room.say(participant.name, request.text)


def _invalid(message: str) -> status_pb2.Status:
    return rich_status(grpc.StatusCode.INVALID_ARGUMENT, InvalidArgument.code, message)


def _too_much(message: str) -> status_pb2.Status:
    return rich_status(grpc.StatusCode.RESOURCE_EXHAUSTED, OVERLOADED, message)
