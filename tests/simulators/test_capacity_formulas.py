"""Formulas of queues: values that books print, laws, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from remotecalls.simulators.capacity import (
    erlang_b,
    erlang_c,
    littles_law,
    mg1_mean_wait,
    mgc_mean_wait,
    mmc_mean_wait,
    mmc_queue_length,
    mmc_wait_percentile,
    offered_load,
    servers_for_utilization,
    servers_for_wait,
    utilization,
)

servers = st.integers(1, 200)
busy = st.floats(0.01, 0.99)
cv_squared = st.floats(0, 20)
percents = st.floats(1, 99.9)


# ---------------------------------------------------------------- what books print


@pytest.mark.parametrize(
    ("lines", "printed"), [(2, "0.153"), (5, "1.361"), (10, "4.461"), (15, "8.108"), (20, "12.03")]
)
def test_lines_that_lose_one_call_in_a_hundred(lines: int, printed: str) -> None:
    # Tables of Erlang B at 1 %, as in Iversen, "Teletraffic Engineering and Network Planning"; that
    # of 15 lines is worked in the manual of the Erlang B calculator at erlang.com.
    half_a_digit = 0.5 / 10 ** len(printed.partition(".")[2])
    below, above = float(printed) - half_a_digit, float(printed) + half_a_digit
    assert erlang_b(lines, below) < 0.01 < erlang_b(lines, above)


def test_a_trunk_group_of_a_thousand_calls_an_hour() -> None:
    # erlang.com, "Trunk Engineering": 33.333 erlangs at 1 % take 45 lines.
    assert erlang_b(45, 33.333) <= 0.01 < erlang_b(44, 33.333)


def test_an_emergency_room_with_one_doctor_or_two() -> None:
    # Hillier and Lieberman, "Introduction to Operations Research", the County Hospital: 2 patients
    # an hour, 20 minutes each.
    assert mmc_queue_length(2, 1 / 3, 1) == pytest.approx(4 / 3)
    assert mmc_mean_wait(2, 1 / 3, 1) == pytest.approx(2 / 3)
    assert mmc_queue_length(2, 1 / 3, 2) == pytest.approx(1 / 12)
    assert mmc_mean_wait(2, 1 / 3, 2) == pytest.approx(1 / 24)
    # P(wait > half an hour) is 0.404 and 0.022 there, so these are the percentiles of 30 minutes.
    assert mmc_wait_percentile(2, 1 / 3, 1, 100 * (1 - 2 / 3 * math.exp(-0.5))) == pytest.approx(
        0.5
    )
    assert 2 / 3 * math.exp(-0.5) == pytest.approx(0.404, abs=5e-4)
    assert mmc_wait_percentile(2, 1 / 3, 2, 97.8) == pytest.approx(0.5, abs=0.02)


def test_an_eye_clinic_with_three_doctors() -> None:
    # Shortle, Thompson, Gross and Harris, "Fundamentals of Queueing Theory", the eye
    # clinic: 6 patients an hour, 20 minutes each, 3 doctors; 8/9 of a patient wait.
    assert mmc_queue_length(6, 1 / 3, 3) == pytest.approx(8 / 9)
    assert erlang_c(3, 2) == pytest.approx(4 / 9)


def test_equal_work_halves_the_wait() -> None:
    # Kleinrock, "Queueing Systems", volume I, section 5.6: M/D/1 next to M/M/1.
    assert mg1_mean_wait(0.8, 1, 0) == pytest.approx(2)
    assert mg1_mean_wait(0.8, 1, 1) == pytest.approx(4)


def test_many_servers_neither_overflow_nor_underflow() -> None:
    # By factorials this is beyond all floats. For a load as large as the number of lines, the loss
    # is about √(2 / (π c)): the central limit theorem, as in Iversen's section on large groups.
    assert erlang_b(10_000, 10_000) == pytest.approx(math.sqrt(2 / math.pi / 10_000), rel=0.02)
    assert 0 < erlang_c(2_000, 1_900) < 0.05
    assert erlang_b(5_000, 1) == 0


# ---------------------------------------------------------------- laws


@given(servers, st.floats(0.01, 300))
def test_the_recurrence_is_the_sum_of_erlang(count: int, load: float) -> None:
    # B = (a^c / c!) / Σ (a^k / k!), with logarithms against overflow.
    terms = [k * math.log(load) - math.lgamma(k + 1) for k in range(count + 1)]
    most = max(terms)
    direct = math.exp(terms[-1] - most) / math.fsum(math.exp(term - most) for term in terms)
    assert erlang_b(count, load) == pytest.approx(direct, rel=1e-9, abs=1e-300)


@given(busy)
def test_with_one_server_as_many_wait_as_it_is_busy(share: float) -> None:
    assert erlang_c(1, share) == pytest.approx(share)


@given(servers, busy)
def test_more_servers_are_less_of_a_wait_under_the_same_load(count: int, share: float) -> None:
    load = count * share
    assert erlang_b(count + 1, load) <= erlang_b(count, load) <= erlang_c(count, load) <= 1
    assert erlang_c(count + 1, load) <= erlang_c(count, load)
    assert mmc_mean_wait(load, 1, count + 1) <= mmc_mean_wait(load, 1, count)


@given(servers, busy)
def test_a_larger_pool_waits_less_at_the_same_utilization(count: int, share: float) -> None:
    # Two halves of a pool, each with half of the load, wait longer than the pool.
    assert erlang_c(2 * count, 2 * count * share) <= erlang_c(count, count * share) + 1e-12


@given(servers, busy, busy)
def test_more_load_is_more_of_a_wait(count: int, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert mmc_mean_wait(count * less, 1, count) <= mmc_mean_wait(count * more, 1, count) + 1e-12


@given(servers, busy, cv_squared)
def test_allen_and_cunneen_are_exact_where_a_formula_is(
    count: int, share: float, variation: float
) -> None:
    rate = count * share
    assert mgc_mean_wait(rate, 1, count, 1) == pytest.approx(mmc_mean_wait(rate, 1, count))
    assert mgc_mean_wait(share, 1, 1, variation) == pytest.approx(
        mg1_mean_wait(share, 1, variation)
    )


@given(servers, busy, percents)
def test_beyond_the_percentile_are_as_many_as_it_says(
    count: int, share: float, percent: float
) -> None:
    load = count * share
    wait = mmc_wait_percentile(load, 1, count, percent)
    beyond = erlang_c(count, load) * math.exp(-(count - load) * wait)
    assert beyond <= 1 - percent / 100 + 1e-9
    if wait > 0:
        assert beyond == pytest.approx(1 - percent / 100)


@given(st.floats(0.1, 500), st.floats(0.001, 10), st.floats(0.01, 0.99))
def test_one_server_fewer_is_too_few_for_the_utilization(
    rate: float, service: float, most: float
) -> None:
    count = servers_for_utilization(rate, service, most)
    assert rate * service / count <= most * (1 + 1e-9)
    assert count == 1 or rate * service / (count - 1) > most


@given(st.floats(0.1, 150), percents, st.floats(0, 3))
def test_one_server_fewer_is_too_few_for_the_wait(rate: float, percent: float, most: float) -> None:
    count = servers_for_wait(rate, 1, percent, most)
    assert mmc_wait_percentile(rate, 1, count, percent) <= most + 1e-9
    if count - 1 > rate:
        assert mmc_wait_percentile(rate, 1, count - 1, percent) > most - 1e-9


@given(servers, busy, st.floats(0.001, 1_000))
def test_the_unit_of_time_does_not_matter(count: int, share: float, unit: float) -> None:
    one, other = (
        mmc_mean_wait(count * share, 1, count),
        mmc_mean_wait(count * share / unit, unit, count),
    )
    assume(one > 1e-200)
    assert other == pytest.approx(one * unit, rel=1e-6)


def test_what_enters_and_how_long_it_stays() -> None:
    assert littles_law(50, 0.2) == pytest.approx(10)
    assert littles_law(50, 0) == 0
    assert offered_load(30, 0.1) == pytest.approx(3)
    assert utilization(30, 0.1, 4) == pytest.approx(0.75)
    assert servers_for_utilization(30, 0.1, 0.6) == 5  # and not 6, for the last bit of a quotient
    # To let no more than one in a hundred wait at all:
    assert servers_for_wait(30, 0.1, 99, 0) == 9
    assert erlang_c(9, 3) <= 0.01 < erlang_c(8, 3)


# ---------------------------------------------------------------- what cannot be


@pytest.mark.parametrize("load", [3.0, 3.2])
def test_a_queue_without_end_is_refused_with_a_remedy(load: float) -> None:
    remedy = r"utilization is 1(\.07)?: 3 servers cannot keep up .* Use at least 4 servers"
    for refused in (
        lambda: erlang_c(3, load),
        lambda: utilization(load, 1, 3),
        lambda: mmc_mean_wait(load, 1, 3),
        lambda: mmc_queue_length(load, 1, 3),
        lambda: mmc_wait_percentile(load, 1, 3, 99),
        lambda: mgc_mean_wait(load, 1, 3, 2),
    ):
        with pytest.raises(ValueError, match=remedy):
            refused()
    with pytest.raises(ValueError, match="1 server cannot keep up"):
        mg1_mean_wait(1, 1, 0)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_rates_and_times_are_positive(bad: float) -> None:
    with pytest.raises(ValueError, match=r"arrival_rate is .*choose a positive number"):
        offered_load(bad, 1)
    with pytest.raises(ValueError, match=r"mean_service is .*choose a positive number"):
        offered_load(1, bad)
    with pytest.raises(ValueError, match=r"load is .*erlangs"):
        erlang_b(3, bad)
    with pytest.raises(ValueError, match="arrival_rate"):
        littles_law(bad, 1)


@pytest.mark.parametrize("bad", [0, -1, True, 2.0])
def test_servers_are_counted(bad: int) -> None:
    with pytest.raises(ValueError, match=r"servers is .*whole number from 1"):
        erlang_c(bad, 0.5)
    if bad != 0:
        with pytest.raises(ValueError, match="whole number from 0"):
            erlang_b(bad, 0.5)
    assert erlang_b(0, 0.5) == 1


@pytest.mark.parametrize("bad", [-0.1, math.inf, math.nan])
def test_a_variance_is_not_negative(bad: float) -> None:
    with pytest.raises(ValueError, match=r"cv_squared is .*Choose 0"):
        mg1_mean_wait(0.5, 1, bad)
    with pytest.raises(ValueError, match=r"cv_squared is .*Choose 0"):
        mgc_mean_wait(0.5, 1, 2, bad)
    with pytest.raises(ValueError, match="mean_time"):
        littles_law(1, bad)


@pytest.mark.parametrize("bad", [0, 100, -5, 150, math.nan])
def test_percentiles_lie_between(bad: float) -> None:
    with pytest.raises(ValueError, match=r"percent is .*such as 99"):
        mmc_wait_percentile(1, 0.5, 1, bad)
    with pytest.raises(ValueError, match=r"percent is .*such as 99"):
        servers_for_wait(1, 0.5, bad, 1)


def test_targets_that_nobody_reaches_are_refused() -> None:
    for bad in (0.0, 1.0, 1.5, math.nan):
        with pytest.raises(ValueError, match=r"at_most is .*such as 0.6"):
            servers_for_utilization(1, 1, bad)
    with pytest.raises(ValueError, match="at_most is -1"):
        servers_for_wait(1, 1, 99, -1)
