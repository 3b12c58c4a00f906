"""A conversation in the manner of LU 6.2: two programs, and one of them has the word.

Sockets let both ends send at any time. IBM's LU 6.2 (1982), under which CICS systems talked to
each other, is *half-duplex flip-flop*: an end is in a state, the state says which verbs it may use,
and a verb in the wrong state is refused before anything is sent. Who has the word, and whether the
other has agreed, is never a matter of opinion.

These are the verbs of a basic conversation with synchronization level CONFIRM, without those for
which the sender would have to be interrupted (SEND_ERROR in state RECEIVE).

Source: Systems Network Architecture, LU 6.2 Reference: Peer Protocols (SC31-6808).
"""

from __future__ import annotations

import socket
from enum import Enum
from typing import Self

from remotecalls.sockets.record_framing import RecordDecoder, encode_record
from remotecalls.wire.errors import ConnectionLost, ProtocolError

RECEIVE_BYTES = 4_096


class State(Enum):
    """Where an end of a conversation stands."""

    RESET = "reset"
    """There is no conversation."""
    SEND = "send"
    """It has the word."""
    RECEIVE = "receive"
    """The other has the word."""
    CONFIRM = "confirm"
    """The other asks whether all has been understood, and waits."""
    CONFIRM_SEND = "confirm send"
    """The other asks the same, waits, and hands over the word with the answer."""
    CONFIRM_DEALLOCATE = "confirm deallocate"
    """The other wants to end the conversation, and waits."""
    DEALLOCATE = "deallocate"
    """The other has ended the conversation."""


class Verb(Enum):
    """What a program can ask of its end."""

    ALLOCATE = "allocate"
    SEND_DATA = "send data"
    PREPARE_TO_RECEIVE = "prepare to receive"
    CONFIRM = "confirm"
    RECEIVE_AND_WAIT = "receive and wait"
    CONFIRMED = "confirmed"
    SEND_ERROR = "send error"
    REQUEST_TO_SEND = "request to send"
    DEALLOCATE = "deallocate"


class Signal(Enum):
    """What one end sends to the other; the value is its first byte on the wire."""

    ATTACH = 0x01
    DATA = 0x02
    SEND = 0x03
    """You have the word."""
    CONFIRM = 0x04
    CONFIRMED = 0x05
    ERROR = 0x06
    REQUEST_TO_SEND = 0x07
    DEALLOCATE = 0x08
    CONFIRM_DEALLOCATE = 0x09
    CONFIRM_SEND = 0x0A


# State and verb: the state afterwards. What is not here is a state check.
VERBS = {
    (State.RESET, Verb.ALLOCATE): State.SEND,
    (State.SEND, Verb.SEND_DATA): State.SEND,
    (State.SEND, Verb.PREPARE_TO_RECEIVE): State.RECEIVE,
    (State.SEND, Verb.CONFIRM): State.SEND,
    (State.SEND, Verb.SEND_ERROR): State.SEND,
    (State.SEND, Verb.DEALLOCATE): State.RESET,
    (State.RECEIVE, Verb.RECEIVE_AND_WAIT): State.RECEIVE,
    (State.RECEIVE, Verb.REQUEST_TO_SEND): State.RECEIVE,
    (State.CONFIRM, Verb.CONFIRMED): State.RECEIVE,
    (State.CONFIRM, Verb.SEND_ERROR): State.SEND,
    (State.CONFIRM, Verb.REQUEST_TO_SEND): State.CONFIRM,
    (State.CONFIRM_SEND, Verb.CONFIRMED): State.SEND,
    (State.CONFIRM_SEND, Verb.SEND_ERROR): State.SEND,
    (State.CONFIRM_SEND, Verb.REQUEST_TO_SEND): State.CONFIRM_SEND,
    (State.CONFIRM_DEALLOCATE, Verb.CONFIRMED): State.RESET,
    (State.CONFIRM_DEALLOCATE, Verb.SEND_ERROR): State.SEND,
    (State.DEALLOCATE, Verb.DEALLOCATE): State.RESET,
}
# State and signal received: the state afterwards. What is not here, no correct partner sends.
SIGNALS = {
    (State.RESET, Signal.ATTACH): State.RECEIVE,
    (State.RECEIVE, Signal.DATA): State.RECEIVE,
    (State.RECEIVE, Signal.SEND): State.SEND,
    (State.RECEIVE, Signal.CONFIRM): State.CONFIRM,
    (State.RECEIVE, Signal.CONFIRM_SEND): State.CONFIRM_SEND,
    (State.RECEIVE, Signal.ERROR): State.RECEIVE,
    (State.RECEIVE, Signal.DEALLOCATE): State.DEALLOCATE,
    (State.RECEIVE, Signal.CONFIRM_DEALLOCATE): State.CONFIRM_DEALLOCATE,
}


class StateCheck(Exception):
    """A verb was used in a state that does not allow it. Nothing was sent."""


class PartnerError(Exception):
    """The partner answered a question with SEND_ERROR; it has the word now."""


def allowed(state: State) -> list[Verb]:
    """The verbs that a state allows."""
    return [verb for from_state, verb in VERBS if from_state is state]


class Conversation:
    """One end of a conversation, over a connected socket.

    Args:
        sock: the connection; its time-out is the deadline of each wait.

    Attributes:
        state: where this end stands.
        requested: whether the partner has asked for the word.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.state = State.RESET
        self.requested = False
        self._socket = sock
        self._decoder = RecordDecoder()
        self._records: list[bytes] = []

    @classmethod
    def accepted(cls, sock: socket.socket) -> Self:
        """The other end of a conversation that somebody allocates; waits for that.

        Raises:
            TimeoutError: nobody did in time.
            ConnectionLost, ProtocolError: see `receive`.
        """
        conversation = cls(sock)
        conversation._next()
        return conversation

    def allocate(self) -> None:
        """Begin a conversation, and have the word."""
        self._verb(Verb.ALLOCATE)
        self._send(Signal.ATTACH)

    def send(self, data: bytes) -> None:
        """Send some data."""
        self._verb(Verb.SEND_DATA)
        self._send(Signal.DATA, data)

    def prepare_to_receive(self, *, confirm: bool = False) -> None:
        """Give the partner the word.

        Args:
            confirm: ask first whether all has been understood, and wait for the answer.

        Raises:
            PartnerError: it has not.
        """
        self._verb(Verb.PREPARE_TO_RECEIVE)
        if confirm:
            self._send(Signal.CONFIRM_SEND)
            self._await_confirmation()
        else:
            self._send(Signal.SEND)

    def confirm(self) -> None:
        """Ask whether all has been understood, and wait for the answer.

        Raises:
            PartnerError: it has not.
        """
        self._verb(Verb.CONFIRM)
        self._send(Signal.CONFIRM)
        self._await_confirmation()

    def confirmed(self) -> None:
        """Answer such a question: it has."""
        self._verb(Verb.CONFIRMED)
        self._send(Signal.CONFIRMED)

    def send_error(self) -> None:
        """Answer: it has not. Or, with the word: what was sent is wrong."""
        self._verb(Verb.SEND_ERROR)
        self._send(Signal.ERROR)

    def request_to_send(self) -> None:
        """Ask for the word. The partner may go on."""
        self._verb(Verb.REQUEST_TO_SEND)
        self._send(Signal.REQUEST_TO_SEND)

    def deallocate(self, *, confirm: bool = False) -> None:
        """End the conversation, or take note that the partner has.

        Args:
            confirm: end it only if the partner has understood everything.

        Raises:
            PartnerError: it has not, and the conversation goes on.
        """
        before = self.state
        self._verb(Verb.DEALLOCATE)
        if before is State.SEND and confirm:
            self.state = State.SEND
            self._send(Signal.CONFIRM_DEALLOCATE)
            self._await_confirmation()
            self.state = State.RESET
        elif before is State.SEND:
            self._send(Signal.DEALLOCATE)

    def receive(self) -> bytes | None:
        """Wait for what comes: data, or None and a new state.

        Raises:
            StateCheck: this end has the word.
            TimeoutError: nothing came in time.
            ConnectionLost: the connection ended in the middle of the conversation.
            ProtocolError: the partner sent what it may not.
        """
        self._verb(Verb.RECEIVE_AND_WAIT)
        signal, data = self._next()
        return data if signal is Signal.DATA else None

    # ------------------------------------------------------------ inside

    def _verb(self, verb: Verb) -> None:
        after = VERBS.get((self.state, verb))
        if after is None:
            may = ", ".join(each.value for each in allowed(self.state))
            raise StateCheck(f"{verb.value!r} in state {self.state.value!r}, which allows {may}")
        self.state = after

    def _send(self, signal: Signal, data: bytes = b"") -> None:
        try:
            self._socket.sendall(encode_record(bytes([signal.value]) + data))
        except ConnectionError as error:
            raise ConnectionLost(f"while sending: {error.strerror}") from error

    def _await_confirmation(self) -> None:
        signal, _ = self._signal()
        if signal is Signal.ERROR:
            self.state = State.RECEIVE
            raise PartnerError("the partner has not understood, and has the word")
        if signal is not Signal.CONFIRMED:
            raise ProtocolError(f"{signal.name} is no answer to a question for confirmation")

    def _next(self) -> tuple[Signal, bytes]:
        signal, data = self._signal()
        after = SIGNALS.get((self.state, signal))
        if after is None:
            raise ProtocolError(f"{signal.name} came in state {self.state.value!r}")
        self.state = after
        return signal, data

    def _signal(self) -> tuple[Signal, bytes]:
        """The next signal but REQUEST_TO_SEND, which may come at any time and changes no state."""
        while True:
            record = self._record()
            try:
                signal = Signal(record[0])
            except (ValueError, IndexError) as error:
                raise ProtocolError(f"{record[:8]!r} is no signal of a conversation") from error
            if signal is not Signal.REQUEST_TO_SEND:
                return signal, record[1:]
            self.requested = True

    def _record(self) -> bytes:
        while not self._records:
            try:
                data = self._socket.recv(RECEIVE_BYTES)
            except ConnectionError as error:
                raise ConnectionLost(f"while waiting: {error.strerror}") from error
            if not data:
                raise ConnectionLost("the partner's program has gone")
            self._records.extend(self._decoder.feed(data))
        return self._records.pop(0)
