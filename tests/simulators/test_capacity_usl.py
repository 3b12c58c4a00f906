"""The universal scalability law: known parameters come back, and a peer finds the same."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from remotecalls.simulators.capacity import ScalabilityModel, fit

# Measurements printed in Gunther, "Guerrilla Capacity Planning", 2007: throughput by processors of
# a ray tracer on an SGI Origin 2000, and scripts an hour by users of SPEC SDM91 on a SPARCcenter.
RAY_TRACER = (
    (1, 20), (4, 78), (8, 130), (12, 170), (16, 190), (20, 200), (24, 210), (28, 230), (32, 260),
    (48, 280), (64, 310),
)  # fmt: skip
SDM91 = (
    (1, 64.9), (18, 995.9), (36, 1652.4), (72, 1853.2), (108, 1828.9), (144, 1775.0),
    (216, 1702.2),
)  # fmt: skip

models = st.builds(
    ScalabilityModel,
    rate=st.floats(0.01, 1e5),
    contention=st.floats(0, 0.5),
    coherency=st.floats(0, 0.05),
)
WORKERS = (1, 2, 4, 8, 16, 32, 64)


def exact(model: ScalabilityModel, workers: tuple[int, ...] = WORKERS) -> list[tuple[float, float]]:
    return [(count, model.throughput(count)) for count in workers]


# ---------------------------------------------------------------- the law


@given(models)
def test_one_worker_does_what_one_does(model: ScalabilityModel) -> None:
    assert model.throughput(1) == model.rate
    assert model.efficiency(1) == 1


@given(models, st.integers(2, 200))
def test_nobody_scales_better_than_linearly(model: ScalabilityModel, workers: int) -> None:
    assert model.throughput(workers) <= model.rate * workers * (1 + 1e-12)
    assert model.efficiency(workers) <= model.efficiency(workers - 1) * (1 + 1e-12)


@given(models)
def test_nothing_is_above_the_peak(model: ScalabilityModel) -> None:
    peak, most = model.peak_workers, model.peak_throughput
    if peak is None or most is None:
        assert (peak, most) == (None, None)
        assert model.coherency < 1e-300
        return
    near = range(max(1, peak - 50), peak + 50)
    assert most == pytest.approx(max(model.throughput(workers) for workers in near), rel=1e-12)
    assert most * (1 + 1e-12) >= model.throughput(10 * peak)


@given(models, st.integers(1, 10_000))
def test_amdahls_ceiling_is_never_reached(model: ScalabilityModel, workers: int) -> None:
    ceiling = model.ceiling
    if ceiling is None:
        assert model.contention == 0
    else:
        assert model.throughput(workers) <= max(ceiling, model.rate) * (1 + 1e-9)


def test_values_by_hand() -> None:
    # Amdahl 1967: with a tenth that is serial, ten workers do 10 / 1.9 of one, and none do 10.
    amdahl = ScalabilityModel(1, 0.1)
    assert amdahl.throughput(10) == pytest.approx(10 / 1.9)
    assert amdahl.ceiling == pytest.approx(10)
    assert amdahl.peak_workers is None
    # √((1 - 0.02) / 0.0005) is 44.3.
    assert ScalabilityModel(1, 0.02, 0.0005).peak_workers == 44
    assert ScalabilityModel(1, 1.5).peak_workers == 1
    assert ScalabilityModel(5, 0, 0).throughput(7) == 35


# ---------------------------------------------------------------- the fit


@given(models)
@settings(deadline=None)
def test_known_parameters_come_back_from_exact_points(model: ScalabilityModel) -> None:
    found = fit(exact(model))
    assert found.model.rate == pytest.approx(model.rate, rel=1e-6)
    assert found.model.contention == pytest.approx(model.contention, rel=1e-5, abs=1e-8)
    assert found.model.coherency == pytest.approx(model.coherency, rel=1e-5, abs=1e-9)
    if found.r_squared is not None:
        assert found.r_squared == pytest.approx(1)
    assert all(abs(each) <= 1e-6 * model.rate * 64 for each in found.residuals)


@pytest.mark.parametrize("seed", range(20))
def test_noise_moves_them_a_little(seed: int) -> None:
    rng = random.Random(seed)
    model = ScalabilityModel(1_000, 0.05, 0.001)
    points = [
        (workers, model.throughput(workers) * rng.gauss(1, 0.02))
        for workers in (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
        for _ in range(3)
    ]
    found = fit(points)
    assert found.model.rate == pytest.approx(1_000, rel=0.1)
    assert found.model.contention == pytest.approx(0.05, abs=0.02)
    assert found.model.coherency == pytest.approx(0.001, rel=0.15)
    assert found.r_squared is not None
    assert 0.98 < found.r_squared < 1
    assert found.model.peak_workers == pytest.approx(31, abs=3)
    # The noise is 2 % of some 10,000.
    assert found.standard_error == pytest.approx(180, rel=0.5)


@given(models, st.integers(0, 9_999), st.floats(0.01, 0.3))
@settings(deadline=None, max_examples=60)
def test_no_law_nearby_is_nearer_to_what_was_measured(
    model: ScalabilityModel, seed: int, noise: float
) -> None:
    rng = random.Random(seed)
    points = [(n, x * rng.uniform(1 - noise, 1 + noise)) for n, x in exact(model)]
    found = fit(points)
    best = error(points, found.model)
    assert best == pytest.approx(math.fsum(each * each for each in found.residuals))
    # Nor the law from which they come, nor one that is a little to any side.
    assert best <= error(points, model) * (1 + 1e-9)
    for factor in (0.99, 1.01):
        for name in ("rate", "contention", "coherency"):
            values = {
                each: getattr(found.model, each) for each in ("rate", "contention", "coherency")
            }
            values[name] = values[name] * factor + (0.001 if values[name] == 0 else 0)
            assert best <= error(points, ScalabilityModel(**values)) * (1 + 1e-9)


def error(points: list[tuple[float, float]], model: ScalabilityModel) -> float:
    return math.fsum((x - model.throughput(n)) ** 2 for n, x in points)


def test_a_peer_finds_the_same() -> None:
    # The R package `usl` 3 (Gunther and Möding; nonlinear, with λ free), in its documentation:
    # alpha 0.0277285, beta 0.0001044, gamma 89.995 for SDM91.
    found = fit(SDM91).model
    assert found.contention == pytest.approx(0.0277285, abs=5e-8)
    assert found.coherency == pytest.approx(0.0001044, abs=5e-8)
    assert found.rate == pytest.approx(89.9952, abs=1e-4)
    assert found.peak_workers == 97  # √((1 - 0.0277285) / 0.0001044) is 96.5


def test_where_a_negative_coefficient_would_fit_better_it_is_zero() -> None:
    # The same package stops at 0 for the ray tracer: alpha 0.057771, beta 0, gamma 21.848843.
    found = fit(RAY_TRACER)
    assert found.model.coherency == 0
    assert found.model.contention == pytest.approx(0.057771, abs=5e-7)
    assert found.model.rate == pytest.approx(21.848843, abs=5e-7)
    assert found.r_squared == pytest.approx(0.9907, abs=1e-4)
    # Better than linear: contention would be negative.
    growing = [(n, 10 * n**1.2) for n in (1, 2, 4, 8, 16)]
    better = fit(growing)
    assert (better.model.contention, better.model.coherency) == (0, 0)
    assert better.r_squared is not None
    assert better.r_squared < 1


def test_it_says_how_well_it_fits() -> None:
    points = [(1, 10.0), (2, 19.0), (4, 25.0), (8, 60.0), (16, 30.0), (32, 80.0)]
    found = fit(points)
    assert found.points == tuple((float(n), x) for n, x in points)
    for (n, x), residual in zip(points, found.residuals, strict=True):
        assert residual == pytest.approx(x - found.model.throughput(n))
    middle = sum(x for _, x in points) / 6
    unexplained = sum(each**2 for each in found.residuals)
    total = sum((x - middle) ** 2 for _, x in points)
    assert found.r_squared == pytest.approx(1 - unexplained / total)
    assert found.r_squared is not None
    assert found.r_squared < 0.8
    assert found.standard_error == pytest.approx(math.sqrt(unexplained / 3))


def test_throughput_that_does_not_vary_has_no_r_squared() -> None:
    flat = fit([(n, 50.0) for n in (1, 2, 4, 8)])
    assert flat.r_squared is None
    assert flat.model.contention == pytest.approx(1)
    assert all(abs(each) < 1e-6 for each in flat.residuals)


@given(st.permutations(RAY_TRACER))
@settings(max_examples=20, deadline=None)
def test_the_order_of_measurements_does_not_matter(points: list[tuple[float, float]]) -> None:
    assert fit(points).model.contention == pytest.approx(fit(RAY_TRACER).model.contention)


@given(models, st.floats(1e-3, 1e3))
@settings(max_examples=40, deadline=None)
def test_the_unit_of_throughput_does_not_matter(model: ScalabilityModel, unit: float) -> None:
    points = [(n, x * (1.1 if n % 3 else 0.95)) for n, x in exact(model)]
    one, other = fit(points).model, fit([(n, x * unit) for n, x in points]).model
    assume(one.contention > 1e-6 and one.coherency > 1e-6)
    assert other.rate == pytest.approx(one.rate * unit, rel=1e-5)
    assert other.contention == pytest.approx(one.contention, rel=1e-4)
    assert other.coherency == pytest.approx(one.coherency, rel=1e-4)


# ---------------------------------------------------------------- what cannot be


@pytest.mark.parametrize("points", [[], [(1, 10)], [(1, 10), (2, 18), (4, 30)] * 3])
def test_three_points_are_too_few_and_it_says_why(points: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match=r"goes through any three points.* Measure at 4 or more"):
        fit(points)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ((0.5, 10), r"0\.5 workers; the law begins with 1"),
        ((math.inf, 10), "workers; the law begins with 1"),
        ((3, 0), "a measurement is positive. Leave out"),
        ((3, -5), "throughput of -5"),
        ((3, math.nan), "throughput of nan"),
    ],
)
def test_what_nobody_measured_is_refused(bad: tuple[float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit([*exact(ScalabilityModel(1, 0.1)), bad])


def test_models_of_no_system_are_refused() -> None:
    with pytest.raises(ValueError, match="rate is 0"):
        ScalabilityModel(0, 0.1)
    with pytest.raises(ValueError, match=r"contention is -0\.1"):
        ScalabilityModel(1, -0.1)
    with pytest.raises(ValueError, match="coherency is nan"):
        ScalabilityModel(1, 0.1, math.nan)
    with pytest.raises(ValueError, match="workers is 0"):
        ScalabilityModel(1, 0.1).throughput(0)
