"""Who is left out, and until when: the rule by hand, and what holds of it in any run."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parameter_strategies import parameters_of, seeds
from remotecalls.simulators.balancing import FAILING, PRESETS, run
from remotecalls.simulators.balancing_ejection import OutlierDetection
from remotecalls.simulators.balancing_parameters import BalancingParameters
from remotecalls.simulators.balancing_result import LEAST_REQUEST, ROUND_ROBIN

PARAMETERS = BalancingParameters(
    servers=4,
    eject_after=3,
    eject_for_us=300_000,
    look_every_us=100_000,
    eject_at_most_percent=50,
)


def answers(detection: OutlierDetection, server: int, at_us: int, outcomes: str) -> None:
    """Let a server answer at once, a letter an answer: o for one, x for an error."""
    for outcome in outcomes:
        detection.answered(server, at_us, ok=outcome == "o", known=4)


# ---------------------------------------------------------------- by hand


@pytest.mark.parametrize(
    ("outcomes", "ejected"),
    [("xx", 0), ("xxx", 1), ("xxoxx", 0), ("xxoxxx", 1), ("xxxxxx", 1), ("ooo", 0)],
)
def test_it_takes_so_many_errors_in_a_row(outcomes: str, ejected: int) -> None:
    detection = OutlierDetection(PARAMETERS)
    answers(detection, 2, 1_000, outcomes)
    assert len(detection.ejections) == ejected
    assert detection.is_out(2, 1_001) == bool(ejected)
    assert not detection.is_out(1, 1_001)


def test_without_a_rule_nobody_is_left_out() -> None:
    detection = OutlierDetection(dataclasses.replace(PARAMETERS, eject_after=0))
    answers(detection, 1, 1_000, "x" * 50)
    assert detection.ejections == []
    assert detection.overflows == 0


def test_a_server_comes_back_at_the_first_look_after_its_time() -> None:
    detection = OutlierDetection(PARAMETERS)
    answers(detection, 1, 120_000, "xxx")
    [ejected] = detection.ejections
    # 420 ms would do; the looks are at 400 and 500.
    assert (ejected.from_us, ejected.until_us) == (120_000, 500_000)
    assert detection.is_out(1, 499_999)
    assert not detection.is_out(1, 500_000)


def test_the_next_time_is_longer_and_looks_that_find_it_back_make_it_shorter() -> None:
    lengths = []
    for back_us in (1_000, 99_999, 100_000, 200_000, 1_000_000):
        detection = OutlierDetection(PARAMETERS)
        answers(detection, 1, 100_000, "xxx")
        answers(detection, 1, 401_000, "xxx")  # 400 ms it was back; now for twice as long
        assert detection.ejections[-1].until_us == 1_100_000
        answers(detection, 1, 1_100_000 + back_us, "xxx")
        ejected = detection.ejections[-1]
        lengths.append((ejected.until_us - ejected.from_us) // 300_000)
    assert lengths == [3, 3, 2, 1, 1]


def test_errors_of_calls_from_before_do_not_count_when_it_is_back() -> None:
    detection = OutlierDetection(PARAMETERS)
    answers(detection, 1, 100_000, "xxx")
    answers(detection, 1, 200_000, "xx")
    answers(detection, 1, 400_000, "x")
    assert len(detection.ejections) == 1
    answers(detection, 1, 400_000, "xx")
    assert len(detection.ejections) == 2


def test_no_more_than_the_largest_share_is_out_at_once() -> None:
    detection = OutlierDetection(PARAMETERS)
    for server in range(3):
        answers(detection, server, 1_000, "xxx")
    assert [ejected.server for ejected in detection.ejections] == [0, 1]
    assert detection.overflows == 1
    # Its count has begun anew, so one more error is not enough.
    answers(detection, 2, 400_000, "xx")
    assert detection.overflows == 1
    answers(detection, 2, 400_000, "x")
    assert [ejected.server for ejected in detection.ejections] == [0, 1, 2]


@pytest.mark.parametrize(("percent", "ejected"), [(0, 0), (10, 0), (24, 0), (25, 1), (100, 1)])
def test_a_share_below_one_server_is_none(percent: int, ejected: int) -> None:
    detection = OutlierDetection(dataclasses.replace(PARAMETERS, eject_at_most_percent=percent))
    answers(detection, 1, 1_000, "xxx")
    assert len(detection.ejections) == ejected
    assert detection.overflows == 1 - ejected


# ---------------------------------------------------------------- in any run


failures = parameters_of(
    BalancingParameters,
    fails_at_us=100_000,
    fails_for_us=600_000,
    gap_us=2_000,
    duration_us=900_000,
    joins_at_us=0,
)


@settings(max_examples=60, deadline=None)
@given(failures, seeds, st.sampled_from([1, 3, 5]))
def test_nobody_is_sent_to_a_server_that_is_left_out(
    parameters: BalancingParameters, seed: int, eject_after: int
) -> None:
    parameters = dataclasses.replace(parameters, eject_after=eject_after)
    for each in run(parameters, seed).runs:
        if each.strategy not in (ROUND_ROBIN, LEAST_REQUEST):
            assert each.ejections == ()
            assert each.overflows == 0
        for ejected in each.ejections:
            assert ejected.server == FAILING
            assert not any(
                call.server == ejected.server and ejected.from_us < call.asked_us < ejected.until_us
                for call in each.calls
            )
        for one, other in pairwise(each.ejections):
            assert one.until_us < other.from_us
            assert one.until_us % parameters.look_every_us == 0


@settings(max_examples=60, deadline=None)
@given(failures, seeds, st.sampled_from([1, 3, 5]))
def test_failures_before_each_ejection_are_bounded_by_the_rule(
    parameters: BalancingParameters, seed: int, eject_after: int
) -> None:
    parameters = dataclasses.replace(parameters, eject_after=eject_after, eject_at_most_percent=50)
    for each in run(parameters, seed).runs:
        back_us = 0
        for ejected in each.ejections:
            counted = [
                call
                for call in each.calls
                if call.server == FAILING and back_us <= call.finished_us <= ejected.from_us
            ]
            errors = [call for call in counted if not call.ok]
            earlier = sum(call.finished_us < ejected.from_us for call in errors)
            # So many in a row; one answer between two errors lets the count begin anew.
            restarts = len(counted) - len(errors)
            assert len(errors) >= eject_after
            assert earlier <= (eject_after - 1) * (1 + restarts)
            back_us = ejected.until_us


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("strategy", [ROUND_ROBIN, LEAST_REQUEST])
def test_five_in_a_row_then_a_while_without_any(seed: int, strategy: str) -> None:
    preset = next(preset for preset in PRESETS if preset.name == "ejection")
    each = run(preset.parameters, seed).of(strategy)
    for ejected in each.ejections:
        before = sorted(
            (call.finished_us, call.ok)
            for call in each.calls
            if call.server == FAILING and call.finished_us <= ejected.from_us
        )
        assert [ok for _, ok in before[-5:]] == [False] * 5
    lengths = [ejected.until_us - ejected.from_us for ejected in each.ejections]
    assert 300_000 <= lengths[0] < 400_000
    assert all(one < other for one, other in pairwise(lengths))
    assert each.failed_before_ejection >= 5
