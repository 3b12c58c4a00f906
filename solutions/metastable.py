"""Reference solutions and known wrong answers of `labs/metastable.ipynb`."""

from __future__ import annotations

from remotecalls.notebook.solutions import Wrong


def remedies():
    return {"breaker", "no retries", "queue of 20"}


def longest_queue(timeout_ms, service_ms, per_second):
    left_ms = timeout_ms - service_ms
    return max(0, left_ms * per_second // 1_000)


class Budget:
    def __init__(self, percent, burst):
        self.percent = percent
        self.most = 100 * burst
        self.hundredths = self.most

    def deposit(self):
        self.hundredths = min(self.most, self.hundredths + self.percent)

    def withdraw(self):
        if self.hundredths < 100:
            return False
        self.hundredths -= 100
        return True


def false_alarm():
    return {"queue_limit": 20}


SOLUTIONS = {
    "predict-the-remedies": remedies,
    "longest-queue": longest_queue,
    "build-a-budget": Budget,
    "false-alarm": false_alarm,
}


def with_backoff():
    return remedies() | {"backoff"}


def with_deadline():
    return remedies() | {"deadline"}


def with_any_queue():
    return remedies() | {"queue of 40"}


def without_breaker():
    return remedies() - {"breaker"}


def other_names():
    return {"jitter"}


def queue_of_the_wait(timeout_ms, service_ms, per_second):
    return timeout_ms * per_second // 1_000


def queue_below_zero(timeout_ms, service_ms, per_second):
    return (timeout_ms - service_ms) * per_second // 1_000


class EmptyBudget(Budget):
    def __init__(self, percent, burst):
        super().__init__(percent, burst)
        self.hundredths = 0


class BudgetWithoutBrim(Budget):
    def deposit(self):
        self.hundredths += self.percent


class BudgetOnCredit(Budget):
    def withdraw(self):
        if self.hundredths <= 0:
            return False
        self.hundredths -= 100
        return True


class BudgetOfFloats:
    def __init__(self, percent, burst):
        self.share, self.burst = percent / 100, burst
        self.tokens = float(burst)

    def deposit(self):
        self.tokens = min(self.burst, self.tokens + self.share)

    def withdraw(self):
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


def no_change():
    return {}


def no_spike():
    return {"pattern": "constant"}


WRONG = [
    Wrong("predict-the-remedies", "backoff", with_backoff, "still makes four"),
    Wrong("predict-the-remedies", "the deadline", with_deadline, "late when it is done"),
    Wrong("predict-the-remedies", "any limit", with_any_queue, "up to 0.4 s for most"),
    Wrong("predict-the-remedies", "no breaker", without_breaker, "sends nothing at all"),
    Wrong("predict-the-remedies", "other names", other_names, "The names are"),
    Wrong("longest-queue", "without the service", queue_of_the_wait, "is then served"),
    Wrong("longest-queue", "below zero", queue_below_zero, "late without any queue"),
    Wrong("build-a-budget", "empty at first", EmptyBudget, "It begins full"),
    Wrong("build-a-budget", "no brim", BudgetWithoutBrim, "no more than `burst`"),
    Wrong("build-a-budget", "on credit", BudgetOnCredit, "Withdraw whole ones only"),
    Wrong("build-a-budget", "floats", BudgetOfFloats, "a little less than 1"),
    Wrong("false-alarm", "nothing changed", no_change, "The alarm was right"),
    Wrong("false-alarm", "no spike", no_spike, "nobody tries again"),
]
