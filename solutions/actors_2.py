"""Reference solutions and known wrong answers of `labs/actors-2.ipynb`."""

from __future__ import annotations

from remotecalls.notebook.solutions import Wrong


def answers():
    return ["Alice", "Bob"]


def outcome(reference, mailbox):
    for message in mailbox:
        match message:
            case ("DOWN", of, reason) if of == reference:
                return "down", reason
            case (of, answer) if of == reference:
                return "answer", answer
    return ("timeout",)


def events():
    return ["ask ada", "give up", "serve", "ask bob", "crash"]


SOLUTIONS = {"predict-late": answers, "build-a-call": outcome, "invent-a-change": events}


def as_asked():
    return ["Bob", "Alice"]


def only_once():
    return ["Alice", "Alice"]


def the_first(reference, mailbox):
    if not mailbox:
        return ("timeout",)
    first = mailbox[0]
    return ("down", first[2]) if first[0] == "DOWN" else ("answer", first[1])


def answers_first(reference, mailbox):
    for message in mailbox:
        if message[0] == reference:
            return "answer", message[1]
    for message in mailbox:
        if message[:2] == ("DOWN", reference):
            return "down", message[2]
    return ("timeout",)


def any_end(reference, mailbox):
    for message in mailbox:
        if message[0] == "DOWN":
            return "down", message[2]
        if message[0] == reference:
            return "answer", message[1]
    return ("timeout",)


def never_down(reference, mailbox):
    for message in mailbox:
        if message[0] == reference:
            return "answer", message[1]
    return ("timeout",)


def both_done():
    return ["ask ada", "serve", "ask bob", "serve"]


def a_crash():
    return ["ask ada", "crash", "serve"]


def the_opposite():
    return ["ask ada", "give up", "serve"]


def impatient():
    return ["ask ada", "ask bob", "serve"]


WRONG = [
    Wrong("predict-late", "as asked", as_asked, "nothing in it says whose question"),
    Wrong("predict-late", "only once", only_once, "what lies there after that"),
    Wrong("build-a-call", "the first message", the_first, "answer to call 6, which was given up"),
    Wrong("build-a-call", "answers first", answers_first, "What comes first counts"),
    Wrong("build-a-call", "any end", any_end, "says nothing about this one"),
    Wrong("build-a-call", "never down", never_down, "The server ended"),
    Wrong("invent-a-change", "both done", both_done, "has been done"),
    Wrong("invent-a-change", "a crash", a_crash, "has been done"),
    Wrong("invent-a-change", "the opposite", the_opposite, "take an old answer for a new one"),
    Wrong("invent-a-change", "impatient", impatient, "Events have to be possible"),
]
