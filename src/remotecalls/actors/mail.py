"""A message on its way, and the answer that somebody may be waiting for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from remotecalls.wire.errors import DeadlineExceeded


class Answer:
    """What an ask waits for. It is decided once; what comes later is ignored.

    Attributes:
        is_decided: whether there is a value or an error, or nobody waits any more.
        value: what the handler returned.
        error: what is raised for the asker instead.
    """

    __slots__ = ("_future", "error", "is_decided", "value")

    def __init__(self) -> None:
        self.is_decided = False
        self.value: Any = None
        self.error: BaseException | None = None
        self._future: asyncio.Future[None] | None = None

    def decide(self, value: Any) -> None:
        """Give the asker a value."""
        if not self.is_decided:
            self.is_decided = True
            self.value = value
            self._wake()

    def fail(self, error: BaseException) -> None:
        """Raise an error for the asker."""
        if not self.is_decided:
            self.is_decided = True
            self.error = error
            self._wake()

    def result(self) -> Any:
        """The value.

        Raises:
            BaseException: what it failed with.
        """
        if self.error is not None:
            raise self.error
        return self.value

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for it, or has waited."""
        return self._future is not None

    async def wait(self, deadline: float, allowed: float) -> None:
        """Wait until it is decided.

        Args:
            deadline: in seconds of the loop's clock.
            allowed: the seconds between the ask and the deadline, for the message.
        """
        loop = asyncio.get_running_loop()
        self._future = loop.create_future()
        late = loop.call_at(deadline, self._expire, allowed)
        try:
            await self._future
        finally:
            late.cancel()

    def _expire(self, allowed: float) -> None:
        self.fail(DeadlineExceeded(f"no answer within {allowed:g} s"))

    def _wake(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)


class Message:
    """What waits in a mailbox: a name and arguments, or something for the runtime to do.

    Attributes:
        name: of the message.
        arguments: by position.
        named: by name.
        answer: of an ask; none of a tell.
        control: called in place of a handler, when its turn comes.
        is_signal: whether the runtime itself sends it, as the news of an end; it is never dropped.
        admitted: for a sender that waits for room: set when there is.
    """

    __slots__ = ("admitted", "answer", "arguments", "control", "is_signal", "name", "named")

    def __init__(
        self,
        name: str,
        arguments: tuple[Any, ...] = (),
        named: dict[str, Any] | None = None,
        answer: Answer | None = None,
        control: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.named: dict[str, Any] = {} if named is None else named
        self.answer = answer
        self.control = control
        self.admitted: Answer | None = None
        self.is_signal = False
