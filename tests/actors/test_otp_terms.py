"""Terms as text."""

from __future__ import annotations

import pytest

from remotecalls.actors.otp import Atom, Pid, Term, describe
from remotecalls.actors.otp.terms import Reference, why


@pytest.mark.parametrize(
    ("term", "text"),
    [
        (Atom("ok"), "ok"),
        (Atom("a_B@9"), "a_B@9"),
        (Atom("EXIT"), "'EXIT'"),
        (Atom("python@127.0.0.1"), "'python@127.0.0.1'"),
        (Atom(""), "''"),
        (True, "true"),
        (None, "nil"),
        (-7, "-7"),
        (b"Ada", '<<"Ada">>'),
        ("é".encode(), '<<"é">>'),
        (b"\x00\xff", "<<0,255>>"),
        (b"", '<<"">>'),
        ([], "[]"),
        ([97, 98], '"ab"'),
        ([7, 98], "[7,98]"),
        ([97, Atom("b")], "[97,b]"),
        ([True], "[true]"),
        ((1, (b"x", [])), '{1,{<<"x">>,[]}}'),
        ({Atom("balance"): 5}, "#{balance => 5}"),
        (Pid(Atom("n@h"), 97, 0, 1), "<n@h.97.0>"),
    ],
)
def test_a_term_reads_as_erlang_writes_it(term: Term, text: str) -> None:
    assert describe(term) == text


def test_a_reference_has_some_text() -> None:
    assert "n@h" in describe(Reference(Atom("n@h"), 1, (1, 2, 3)))


def test_a_reason_is_told_without_its_stack() -> None:
    stack = [(Atom("lists"), Atom("nth"), 2, [(Atom("line"), 1)])]
    assert why(((Atom("badkey"), b"x"), stack)) == '{badkey,<<"x">>}'
    assert why((Atom("EXIT"), (Atom("undef"), stack))) == "undef"
    assert why((Atom("nodedown"), Atom("n@h"))) == "{nodedown,n@h}"
    assert why((Atom("error"), [])) == "{error,[]}"
    assert why(Atom("killed")) == "killed"
