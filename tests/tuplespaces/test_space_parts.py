"""The pieces below a space."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.tuplespaces import ANY, InvalidPattern, at_least, at_most, between, one_of
from remotecalls.tuplespaces import conditions as c
from remotecalls.tuplespaces.encoding import (
    decode_fields,
    decode_pattern,
    encode_fields,
    encode_pattern,
    from_bytes,
    to_bytes,
)
from remotecalls.tuplespaces.fields import key
from remotecalls.tuplespaces.ordered import CHUNK, Ordered
from remotecalls.tuplespaces.patterns import Pattern
from remotecalls.wire.errors import ProtocolError

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.sampled_from([0, 1, 0.0, -0.0, 1.0, math.inf]),
)
FIELDS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=8)
TUPLES = st.lists(FIELDS, min_size=1, max_size=4).map(tuple)


@dataclass(frozen=True, eq=False)
class Item:
    order: int


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40))), st.integers(1, 4))
def test_ordered_is_a_sorted_list(steps: list[tuple[bool, int]], chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("remotecalls.tuplespaces.ordered.CHUNK", chunk)
        ordered: Ordered[Item] = Ordered()
        plain: list[Item] = []
        for add, number in steps:
            present = [item for item in plain if item.order == number]
            if add and not present:
                item = Item(number)
                ordered.add(item)
                plain = sorted([*plain, item], key=lambda each: each.order)
            elif present:
                ordered.remove(present[0])
                plain.remove(present[0])
            else:
                with pytest.raises(KeyError):
                    ordered.remove(Item(number))
            assert list(ordered) == plain
            assert len(ordered) == len(plain)
            assert [ordered.find(n) for n in range(41)] == [
                next((item for item in plain if item.order == n), None) for n in range(41)
            ]
            if plain:
                assert ordered.first() is plain[0]


def test_ordered_moves_no_long_lists() -> None:
    ordered: Ordered[Item] = Ordered()
    items = [Item(number) for number in range(20_000)]
    random.Random(7).shuffle(items)
    for item in items:
        ordered.add(item)
    assert max(map(len, ordered._chunks)) <= 2 * CHUNK
    for item in items[:19_000]:
        ordered.remove(item)
    assert list(ordered) == sorted(items[19_000:], key=lambda item: item.order)
    assert len(ordered._chunks) <= 20_000 / CHUNK * 2


def identical(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(identical, one, other))
    return bool(one == other)


@given(FIELDS, FIELDS)
def test_keys_are_equal_for_identical_fields_and_for_no_others(one: Any, other: Any) -> None:
    assert (key(one) == key(other)) == identical(one, other)
    if identical(one, other):
        assert hash(key(one)) == hash(key(other))


@given(TUPLES)
def test_tuples_survive_the_wire(fields: tuple[Any, ...]) -> None:
    back = decode_fields(from_bytes(to_bytes({"fields": encode_fields(fields)}))["fields"])
    assert identical(fields, back)
    assert repr(fields) == repr(back)  # -0.0, too


BOUNDS = st.one_of(st.integers(), st.floats(allow_nan=False), st.text(), st.binary())
PATTERN_FIELDS = st.one_of(
    FIELDS,
    st.just(ANY),
    st.sampled_from([bool, int, float, str, bytes, tuple, type(None)]),
    BOUNDS.map(at_least),
    BOUNDS.map(at_most),
    st.tuples(st.integers(), st.integers()).map(lambda pair: between(min(pair), max(pair))),
    st.lists(FIELDS, min_size=1, max_size=3).map(lambda values: one_of(*values)),
)


@given(st.lists(PATTERN_FIELDS, min_size=1, max_size=3).map(tuple))
def test_patterns_survive_the_wire(fields: tuple[Any, ...]) -> None:
    message = to_bytes({"pattern": encode_pattern(fields)})
    back = decode_pattern(from_bytes(message)["pattern"])
    assert repr(Pattern(back).fields) == repr(fields)
    assert Pattern(back).shape == Pattern(fields).shape
    assert Pattern(back).key == Pattern(fields).key


@given(st.binary(max_size=60))
def test_noise_is_refused_as_no_message(data: bytes) -> None:
    try:
        message = from_bytes(data)
    except ProtocolError:
        return
    assert isinstance(message, dict)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["float", "int", "bytes", "tuple", "any", "type", "at_least", "between", "one_of"]
            ),
            inner,
            max_size=2,
        ),
    ),
    max_leaves=10,
)


@given(JSON)
def test_json_of_another_form_is_refused_and_never_fails_otherwise(item: Any) -> None:
    for decode in (decode_fields, decode_pattern):
        for message in (item, [item]):
            try:
                assert isinstance(decode(message), tuple)
            except (ProtocolError, InvalidPattern):
                continue


@pytest.mark.parametrize("data", [b"[" * 60_000, b'{"a":' * 10_000, b"NaN", b"", b"[1]", b"\xff"])
def test_what_json_cannot_be_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        from_bytes(data)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: at_least(None), "bounds are int, float, str or bytes"),
        (lambda: at_most(True), "a bound of type bool"),
        (lambda: at_least(math.nan), "not a number"),
        (lambda: between(1, 2.0), "different types"),
        (lambda: between(2, 1), "above the second"),
        (lambda: one_of(), "matches nothing"),
        (lambda: one_of([1]), "value 0 of one_of is of type list"),
        (lambda: c.satisfies(3), "not a function"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(make: Any, says: str) -> None:
    with pytest.raises(InvalidPattern, match=says):
        make()


def test_patterns_and_conditions_say_what_they_are() -> None:
    pattern = Pattern(
        ("a", int, ANY, at_least(1), between(1, 2), one_of(1, None), c.satisfies(str.isdigit))
    )
    assert str(pattern) == (
        "('a', int, ANY, at_least(1), between(1, 2), one_of(1, None), satisfies(str.isdigit))"
    )
    assert pattern.shape == "vt-----"
    assert str(Pattern((10**5_000, "x" * 1_000))).startswith("(<16610 bits>, 'xxx")
    assert len(str(Pattern(("x" * 1_000,)))) < 100
