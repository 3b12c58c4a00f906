"""What a supervisor decides: the rules, against the words in which OTP states them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotecalls.simulators.supervision.rules import (
    Restart,
    RestartIntensity,
    Strategy,
    affected,
    is_restarted,
)

CHILDREN = ("a", "b", "c")


@pytest.mark.parametrize(
    ("strategy", "ended", "expected"),
    [
        (Strategy.ONE_FOR_ONE, "b", ("b",)),
        (Strategy.ONE_FOR_ALL, "b", ("a", "b", "c")),
        (Strategy.REST_FOR_ONE, "a", ("a", "b", "c")),
        (Strategy.REST_FOR_ONE, "b", ("b", "c")),
        (Strategy.REST_FOR_ONE, "c", ("c",)),
    ],
)
def test_who_is_started_again(strategy: Strategy, ended: str, expected: tuple[str, ...]) -> None:
    assert affected(strategy, CHILDREN, ended) == expected


@pytest.mark.parametrize("strategy", Strategy)
def test_a_stranger_is_named(strategy: Strategy) -> None:
    with pytest.raises(ValueError, match="'x' is none of the children: a, b, c"):
        affected(strategy, CHILDREN, "x")


def test_after_which_ends() -> None:
    assert [is_restarted(each, is_normal=True) for each in Restart] == [True, False, False]
    assert [is_restarted(each, is_normal=False) for each in Restart] == [True, True, False]


@given(
    st.integers(0, 4),
    st.integers(1, 30),
    st.lists(st.integers(0, 20), min_size=1, max_size=30),
)
def test_restarts_are_counted_over_the_period_before_each(
    intensity: int, period: int, gaps: list[int]
) -> None:
    counter = RestartIntensity(intensity, period)
    times: list[int] = []
    now = 0
    for gap in gaps:
        now += gap
        times.append(now)
        recent = len([time for time in times if now - time <= period])
        assert counter.allows_restart(now) == (recent <= intensity)
        assert counter.recent(now) == recent
    assert counter.recent(now + period + 1) == 0


def test_an_intensity_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="intensity -1: allow 0 restarts or more"):
        RestartIntensity(-1, 60)
    with pytest.raises(ValueError, match="period 0: has to be more than 0"):
        RestartIntensity(5, 0)
