"""Conversations with states: one end has the word, and both know which."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from remotecalls.sockets.conversation import (
    VERBS,
    Conversation,
    PartnerError,
    Signal,
    State,
    StateCheck,
    Verb,
    allowed,
)
from remotecalls.sockets.record_framing import encode_record
from remotecalls.wire.errors import ConnectionLost, ProtocolError


def pair() -> tuple[Conversation, Conversation]:
    ours, theirs = socket.socketpair()
    for sock in (ours, theirs):
        sock.settimeout(5)
    caller = Conversation(ours)
    caller.allocate()
    return caller, Conversation.accepted(theirs)


def use(end: Conversation, verb: Verb) -> None:
    match verb:
        case Verb.SEND_DATA:
            end.send(b"")
        case Verb.RECEIVE_AND_WAIT:
            end.receive()
        case _:
            getattr(end, verb.value.replace(" ", "_"))()


class TwoEnds(RuleBasedStateMachine):
    """Any sequence of allowed verbs, on a real pair of sockets."""

    def __init__(self) -> None:
        super().__init__()
        self.executor = ThreadPoolExecutor(1)
        self.speaker, self.listener = pair()

    def turn(self) -> None:
        self.speaker, self.listener = self.listener, self.speaker

    def ask(self, question: object, yes: bool) -> None:
        """One end asks and waits; the other answers."""
        asking = self.executor.submit(question)  # type: ignore[arg-type]
        assert self.listener.receive() is None
        if yes:
            self.listener.confirmed()
            asking.result(5)
        else:
            self.listener.send_error()
            with pytest.raises(PartnerError):
                asking.result(5)
            self.turn()

    @rule(data=st.binary(max_size=50))
    def speak(self, data: bytes) -> None:
        self.speaker.send(data)
        assert self.listener.receive() == data

    @rule()
    def give_the_word(self) -> None:
        self.speaker.prepare_to_receive()
        assert self.listener.receive() is None
        self.turn()

    @rule(yes=st.booleans())
    def give_the_word_if_all_is_understood(self, yes: bool) -> None:
        self.ask(lambda: self.speaker.prepare_to_receive(confirm=True), yes)
        if yes:  # otherwise the answer has handed it over
            self.turn()

    @rule(yes=st.booleans())
    def confirm(self, yes: bool) -> None:
        self.ask(self.speaker.confirm, yes)

    @rule()
    def ask_for_the_word(self) -> None:
        self.listener.request_to_send()
        self.confirm(True)  # the speaker hears of it when it next listens
        assert self.speaker.requested

    @rule(yes=st.booleans())
    def deallocate(self, yes: bool) -> None:
        self.ask(lambda: self.speaker.deallocate(confirm=True), yes)
        if yes:
            assert {self.speaker.state, self.listener.state} == {State.RESET}
            self.close()
            self.speaker, self.listener = pair()

    @rule()
    def deallocate_without_asking(self) -> None:
        self.speaker.deallocate()
        assert self.listener.receive() is None
        assert self.listener.state is State.DEALLOCATE
        self.listener.deallocate()
        self.close()
        self.speaker, self.listener = pair()

    @rule(verb=st.sampled_from(Verb), of_speaker=st.booleans())
    def a_verb_out_of_turn(self, verb: Verb, of_speaker: bool) -> None:
        end = self.speaker if of_speaker else self.listener
        if verb in allowed(end.state):
            return
        before = end.state
        with pytest.raises(StateCheck, match=f"in state '{before.value}', which allows"):
            use(end, verb)
        assert end.state is before

    @invariant()
    def one_end_has_the_word(self) -> None:
        assert self.speaker.state is State.SEND
        assert self.listener.state is State.RECEIVE

    def close(self) -> None:
        for end in (self.speaker, self.listener):
            end._socket.close()

    def teardown(self) -> None:
        self.close()
        self.executor.shutdown()


TestTwoEnds = TwoEnds.TestCase
TestTwoEnds.settings = settings(max_examples=40, deadline=None)


def test_every_state_but_the_first_allows_something_and_every_verb_is_used() -> None:
    assert {state for state, _ in VERBS} == set(State)
    assert {verb for _, verb in VERBS} == set(Verb)


def test_both_may_not_speak() -> None:
    caller, answerer = pair()
    caller.send(b"inquiry")
    with pytest.raises(StateCheck, match="'send data' in state 'receive'"):
        answerer.send(b"I know already")
    assert answerer.receive() == b"inquiry"
    for end in (caller, answerer):
        end._socket.close()


def test_a_partner_that_dies_or_breaks_the_rules_is_noticed() -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    theirs.sendall(encode_record(bytes([Signal.ATTACH.value])))
    end = Conversation.accepted(ours)
    theirs.sendall(encode_record(bytes([Signal.CONFIRMED.value])))
    with pytest.raises(ProtocolError, match="CONFIRMED came in state 'receive'"):
        end.receive()
    theirs.sendall(encode_record(b"\x77"))
    with pytest.raises(ProtocolError, match="no signal"):
        end.receive()
    theirs.close()
    with pytest.raises(ConnectionLost, match="has gone"):
        end.receive()
    ours.close()
