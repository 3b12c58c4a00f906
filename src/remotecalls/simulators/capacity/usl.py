"""How throughput grows with concurrency, and why it stops: the universal scalability law.

N workers would do N times as much as one, were it not for two things. They wait for what only one
of them can have at a time (contention, σ), and they have to agree with each other, each with each
(coherency, κ). Contention alone sets a ceiling, which is Amdahl's law; with coherency throughput
has a peak, and beyond it more workers do less.

Sources: Gunther, "Guerrilla Capacity Planning", 2007, chapters 4 to 6; Amdahl, "Validity of the
Single Processor Approach to Achieving Large-Scale Computing Capabilities", AFIPS 1967; Marquardt,
"An Algorithm for Least-Squares Estimation of Nonlinear Parameters", 1963.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LEAST_POINTS = 4
"""Three parameters go through any three points; only a fourth can say that the law is wrong."""

_STEPS = 200
_ENOUGH = 1e-15


@dataclass(frozen=True)
class ScalabilityModel:
    """X(N) = λ N / (1 + σ (N - 1) + κ N (N - 1)).

    Attributes:
        rate: λ, the throughput of one worker, in operations a second or whatever was measured.
        contention: σ, the share of the work of which only one can do its part at a time.
        coherency: κ, what it costs each worker to agree with another; 0 is Amdahl's law.

    Raises:
        ValueError: on construction, for a rate that is not positive or a negative coefficient.
    """

    rate: float
    contention: float
    coherency: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no system has."""
        if not (self.rate > 0 and math.isfinite(self.rate)):
            raise ValueError(f"rate is {self.rate!r}; one worker has a positive throughput")
        for name in ("contention", "coherency"):
            value = getattr(self, name)
            if not (value >= 0 and math.isfinite(value)):
                raise ValueError(f"{name} is {value!r}; choose 0 for none, or a positive number")

    def throughput(self, workers: float) -> float:
        """Return X(N), in the unit of `rate`.

        Raises:
            ValueError: there is less than one worker.
        """
        if not workers >= 1:
            raise ValueError(f"workers is {workers!r}; the law begins with 1")
        return self.rate * workers / self._denominator(workers)

    def efficiency(self, workers: float) -> float:
        """Return what a worker does among so many, over what it does alone."""
        return self.throughput(workers) / (self.rate * workers)

    @property
    def peak_workers(self) -> int | None:
        """The number of workers with the highest throughput; None if there always is a higher one.

        Between whole numbers it is at √((1 - σ) / κ); of the two beside it the better one.
        """
        if self.contention >= 1:
            return 1
        squared = (1 - self.contention) / self.coherency if self.coherency else math.inf
        if math.isinf(squared):
            return None
        below = max(1, math.floor(math.sqrt(squared)))
        return max((below, below + 1), key=self.throughput)

    @property
    def peak_throughput(self) -> float | None:
        """The throughput at the peak; None without one."""
        workers = self.peak_workers
        return None if workers is None else self.throughput(workers)

    @property
    def ceiling(self) -> float | None:
        """What throughput does not exceed for want of coherency, λ / σ: Amdahl's limit.

        None without contention, where nothing but coherency sets a limit.
        """
        return self.rate / self.contention if self.contention else None

    def _denominator(self, workers: float) -> float:
        return 1 + self.contention * (workers - 1) + self.coherency * workers * (workers - 1)


@dataclass(frozen=True)
class Fit:
    """The law that is nearest to what was measured, and how near it is.

    Attributes:
        model: λ, σ and κ.
        points: workers and throughput as measured, in the order given.
        residuals: for each point, measured throughput less that of the law.
        r_squared: the share of the variance of throughput that the law explains; 1 is all of it.
            None if throughput did not vary. A high one does not prove the law: look at whether the
            residuals have a pattern.
    """

    model: ScalabilityModel
    points: tuple[tuple[float, float], ...]
    residuals: tuple[float, ...]
    r_squared: float | None

    @property
    def standard_error(self) -> float | None:
        """What a residual is, typically, in the unit of throughput; None with three points."""
        freedom = len(self.points) - 3
        if freedom < 1:
            return None
        return math.sqrt(math.fsum(each * each for each in self.residuals) / freedom)


def fit(points: Iterable[tuple[float, float]]) -> Fit:
    """Find the law whose throughput has the least squared distance from what was measured.

    N / X(N) is linear in 1/λ, σ/λ and κ/λ, as Gunther fits it; but there the errors of small
    throughputs count too much. That solution is the start of Levenberg and Marquardt's method,
    which minimizes the errors of throughput itself. Neither σ nor κ may be negative: the best law
    is looked for with both free, with either of them at 0, and with both, and the best of these
    that is allowed is the answer.

    Args:
        points: pairs of the number of workers (from 1 on) and the throughput (positive); several
            measurements at the same number of workers may be given.

    Raises:
        ValueError: a point is impossible, or fewer than `LEAST_POINTS` numbers of workers differ.
    """
    measured = tuple((float(workers), float(throughput)) for workers, throughput in points)
    for workers, throughput in measured:
        if not (workers >= 1 and math.isfinite(workers)):
            raise ValueError(f"a point has {workers:g} workers; the law begins with 1")
        if not (throughput > 0 and math.isfinite(throughput)):
            raise ValueError(
                f"{workers:g} workers have a throughput of {throughput:g}; a measurement is "
                "positive. Leave out what failed."
            )
    different = len({workers for workers, _ in measured})
    if different < LEAST_POINTS:
        raise ValueError(
            f"{different} different numbers of workers do not make a fit: the law has three "
            "parameters and goes through any three points, whether it holds or not. Measure "
            f"at {LEAST_POINTS} or more."
        )
    found = [_nearest(measured, free) for free in ((1, 2), (1,), (2,), ())]
    allowed = [each for each in found if each is not None and min(each) >= 0]
    model = ScalabilityModel(*min(allowed, key=lambda each: _error(measured, each)))
    residuals = tuple(throughput - model.throughput(workers) for workers, throughput in measured)
    return Fit(model, measured, residuals, _r_squared(measured, residuals))


# ---------------------------------------------------------------- least squares

_Points = tuple[tuple[float, float], ...]


def _nearest(points: _Points, free: tuple[int, ...]) -> list[float] | None:
    """Return λ, σ and κ with λ and the `free` ones fitted and the others 0; None without a start.

    The path may lead through negative values, where the law can have a pole; steps that meet it
    are shortened like all steps that make things worse.
    """
    parameters = _linear_start(points, free)
    if parameters is None:
        return None
    moving = (0, *free)
    error, damping = _error(points, parameters), 1e-3
    for _ in range(_STEPS):
        normal, slope = _normal_equations(points, parameters, moving)
        for row, _ in enumerate(moving):
            normal[row][row] *= 1 + damping
        step = _solve(normal, slope)
        if step is None:
            return parameters
        tried = list(parameters)
        for place, change in zip(moving, step, strict=True):
            tried[place] += change
        better = _error(points, tried)
        if better < error:
            done = error - better <= _ENOUGH * error
            parameters, error, damping = tried, better, damping / 10
            if done:
                break
        else:
            damping *= 10
            if damping > 1e12:
                break
    return parameters


def _linear_start(points: _Points, free: tuple[int, ...]) -> list[float] | None:
    """Fit N / X = (1 + σ (N - 1) + κ N (N - 1)) / λ, which is linear in 1/λ, σ/λ and κ/λ."""
    columns = (0, *free)
    rows = [[(1.0, n - 1, n * (n - 1))[column] for column in columns] for n, _ in points]
    values = [workers / throughput for workers, throughput in points]
    normal = [
        [math.fsum(row[i] * row[j] for row in rows) for j, _ in enumerate(columns)]
        for i, _ in enumerate(columns)
    ]
    slope = [
        math.fsum(row[i] * value for row, value in zip(rows, values, strict=True))
        for i, _ in enumerate(columns)
    ]
    solution = _solve(normal, slope)
    # An intercept that is not positive is no throughput of one worker. Take the best measured.
    if solution is None or solution[0] <= 0:
        start = [max(throughput / workers for workers, throughput in points), 0.0, 0.0]
        for column in free:
            start[column] = 0.01 if column == 1 else 0.0001
        return start
    start = [1 / solution[0], 0.0, 0.0]
    for column, value in zip(free, solution[1:], strict=True):
        start[column] = value / solution[0]
    return start if math.isfinite(_error(points, start)) else None


def _error(points: _Points, parameters: Sequence[float]) -> float:
    """The sum of squared errors of throughput; infinite where the law has no positive one."""
    rate, contention, coherency = parameters
    errors = []
    for workers, throughput in points:
        denominator = 1 + contention * (workers - 1) + coherency * workers * (workers - 1)
        if denominator <= 0 or rate <= 0:
            return math.inf
        errors.append((throughput - rate * workers / denominator) ** 2)
    return math.fsum(errors)


def _normal_equations(
    points: _Points, parameters: Sequence[float], moving: tuple[int, ...]
) -> tuple[list[list[float]], list[float]]:
    """Return JᵀJ and Jᵀr of the law at some parameters."""
    rate, contention, coherency = parameters
    rows, residuals = [], []
    for n, throughput in points:
        denominator = 1 + contention * (n - 1) + coherency * n * (n - 1)
        model = rate * n / denominator
        slopes = (model / rate, -model * (n - 1) / denominator, -model * n * (n - 1) / denominator)
        rows.append([slopes[place] for place in moving])
        residuals.append(throughput - model)
    size = range(len(moving))
    normal = [[math.fsum(row[i] * row[j] for row in rows) for j in size] for i in size]
    slope = [
        math.fsum(row[i] * residual for row, residual in zip(rows, residuals, strict=True))
        for i in size
    ]
    return normal, slope


def _solve(matrix: list[list[float]], values: list[float]) -> list[float] | None:
    """Solve linear equations of a positive definite matrix; None if it is singular.

    Columns are scaled first, since σ and κ differ by orders of magnitude.
    """
    size = len(values)
    if any(matrix[i][i] <= 0 for i in range(size)):
        return None
    scale = [math.sqrt(matrix[i][i]) for i in range(size)]
    rows = [
        [matrix[i][j] / (scale[i] * scale[j]) for j in range(size)] + [values[i] / scale[i]]
        for i in range(size)
    ]
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(rows[row][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        if abs(rows[column][column]) < 1e-14:
            return None
        for row in range(column + 1, size):
            factor = rows[row][column] / rows[column][column]
            rows[row] = [
                one - factor * other for one, other in zip(rows[row], rows[column], strict=True)
            ]
    solution = [0.0] * size
    for row in reversed(range(size)):
        known = math.fsum(rows[row][j] * solution[j] for j in range(row + 1, size))
        solution[row] = (rows[row][size] - known) / rows[row][row]
    return [value / scale[i] for i, value in enumerate(solution)]


def _r_squared(points: _Points, residuals: Sequence[float]) -> float | None:
    middle = math.fsum(throughput for _, throughput in points) / len(points)
    variance = math.fsum((throughput - middle) ** 2 for _, throughput in points)
    if variance == 0:
        return None
    return 1 - math.fsum(each * each for each in residuals) / variance
