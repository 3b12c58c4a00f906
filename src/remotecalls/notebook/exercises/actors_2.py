"""The exercises of `labs/actors-2.ipynb`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial

from remotecalls.actors.otp import OtpNode, running_node
from remotecalls.actors.otp.terms import Atom
from remotecalls.notebook.exercises import Answer, Attempt, Exercise, attempt, matches

# ---------------------------------------------------------------- predict


async def check_answers(answers: Answer) -> AsyncIterator[Attempt]:
    """The second and the third answer, as the server by hand gives them on a real node."""
    async with running_node() as node:
        late = await node.rpc("failing_calls", "late", 50)
    assert isinstance(late, dict)
    true = [customer[Atom("name")].decode() for customer in late[Atom("bare")][1:]]
    yield attempt(
        "answers()",
        answers,
        true,
        "The client waits for {customer, Customer}, and nothing in it says whose question it "
        "answers. What lies in the mailbox when it asks for Bob? And what lies there after that?",
    )


# ---------------------------------------------------------------- build


def check_outcome(outcome: Answer) -> Iterator[Attempt]:
    """What `gen_server:call` makes of a mailbox."""
    for mailbox, expected, message in [
        ([(7, "Ada")], ("answer", "Ada"), "The answer to the call is there."),
        ([], ("timeout",), "Nothing has come: the time is over."),
        ([(6, "Bob")], ("timeout",), "That is the answer to call 6, which was given up."),
        ([(6, "Bob"), (7, "Ada")], ("answer", "Ada"), "The late answer to call 6 comes first."),
        ([("DOWN", 7, "killed")], ("down", "killed"), "The server ended, and will not answer."),
        (
            [("DOWN", 6, "killed"), (7, "Ada")],
            ("answer", "Ada"),
            "The end that belongs to call 6 says nothing about this one.",
        ),
        (
            [(7, "Ada"), ("DOWN", 7, "normal")],
            ("answer", "Ada"),
            "It answered, and ended after that.",
        ),
        (
            [("DOWN", 7, "noproc"), (7, "Ada")],
            ("down", "noproc"),
            "What comes first counts: the caller has left before the rest arrives.",
        ),
        ([(7, None)], ("answer", None), "None is an answer, too."),
    ]:
        words = f"outcome(7, {mailbox})"
        yield attempt(words, partial(outcome, 7, mailbox), expected, message)


# ---------------------------------------------------------------- break


async def check_events(events: Answer) -> AsyncIterator[Attempt]:
    """The reader's order of events, on the real server by hand."""
    async with running_node() as node:
        yield attempt(
            "what the client believes and no server did, after events()",
            lambda: _invented(node, events()),
            matches("a customer at least", lambda found: isinstance(found, list) and bool(found)),
            lambda came: (
                "Events have to be possible: it asks when it does not wait, and gives up when it "
                "does."
                if isinstance(came, Exception)
                else "All that the client believes has been done. It has to take an old answer for "
                "a new one, and the server must not come to the new question."
            ),
        )


async def _invented(node: OtpNode, events: list[str]) -> list[str]:
    found = await node.rpc("scripted_calls", "run", events)
    assert isinstance(found, dict)
    made = found[Atom("made")]
    return [each.decode() for each in found[Atom("confirmed")] if each not in made]


EXERCISES = (
    Exercise(
        name="predict-late",
        kind="predict",
        title="An answer that comes late",
        minutes=5,
        lines=2,
        hints=(
            "Nobody takes the late answer out of the mailbox when the client gives up.",
            "A `receive` takes the oldest message that fits. The one that it leaves is the next "
            "call's oldest.",
        ),
        check=check_answers,
        task="The client asks for Alice and gives up; the answer comes after that. Then it asks "
        "for Bob, and then for Alice again. Write `answers()`: the names that it is given for "
        "these two, in order.",
    ),
    Exercise(
        name="build-a-call",
        title="What a call comes to",
        minutes=12,
        lines=8,
        hints=(
            "Look at the messages in order, and pass over those with another reference.",
            "A message of two is an answer, one of three the news of an end: `match` tells them "
            "apart.",
        ),
        check=check_outcome,
        task="Write `outcome(reference, mailbox)`. The mailbox is what has come until the time was "
        'over, in order: answers `(reference, answer)` and ends `("DOWN", reference, reason)`. '
        'Return `("answer", answer)`, `("down", reason)` or `("timeout",)`.',
    ),
    Exercise(
        name="invent-a-change",
        kind="break",
        title="A change that nobody made",
        minutes=10,
        lines=2,
        hints=(
            "The client has to give up a call that the server handles after that.",
            "Then there is an {ok, updated} too many. The next question gets it at once, and the "
            "server can end before it has read that question.",
        ),
        check=check_events,
        task="Write `events()`: a list of `ask ada`, `ask bob`, `give up`, `serve` and `crash`, as "
        "text, after which the client believes in a change that no server has made.",
    ),
)
