"""Reference solutions and known wrong answers of `labs/rest-2.ipynb`."""

from __future__ import annotations

import threading
from contextlib import suppress

from remotecalls.notebook.solutions import Wrong
from remotecalls.rest.aspects import around
from remotecalls.wire.errors import TransportError


class Servlet:
    def __init__(self, database):
        self.database = database

    def answer(self, parameters):
        return self.database.name_of(parameters["customer_id"])


def order():
    return ["request ids", "log", "failures", "authentication", "rate limit", "compression"]


def retrying(client):
    async def up_to_three_times(join_point):
        for _ in range(2):
            with suppress(TransportError):
                return await join_point.proceed()
        return await join_point.proceed()

    return around("get_.*|list_.*", up_to_three_times, client)


SOLUTIONS = {
    "mend-the-servlet": Servlet,
    "order-the-filters": order,
    "retry-what-is-safe": retrying,
}


class ServletWithAField(Servlet):
    def answer(self, parameters):
        self.customer_id = parameters["customer_id"]
        self.database.name_of(self.customer_id)
        return f"customer {self.customer_id}"


class ServletWithALock(Servlet):
    def __init__(self, database):
        super().__init__(database)
        self.lock = threading.Lock()

    def answer(self, parameters):
        with self.lock:
            return super().answer(parameters)


def ids_late():
    return ["log", "failures", "authentication", "request ids", "rate limit", "compression"]


def log_inside():
    return ["request ids", "failures", "authentication", "log", "rate limit", "compression"]


def failures_outside():
    return ["request ids", "failures", "log", "authentication", "rate limit", "compression"]


def limit_first():
    return ["request ids", "log", "failures", "rate limit", "authentication", "compression"]


def ids_inside_the_log():
    return ["log", "request ids", "failures", "authentication", "rate limit", "compression"]


def retrying_with(pointcut, attempts, client):
    async def again(join_point):
        for _ in range(attempts - 1):
            with suppress(TransportError):
                return await join_point.proceed()
        return await join_point.proceed()

    return around(pointcut, again, client)


def retrying_everything(client):
    return retrying_with(".*", 3, client)


def retrying_nothing(client):
    return client


def retrying_for_long(client):
    return retrying_with("get_.*|list_.*", 8, client)


WRONG = [
    Wrong("mend-the-servlet", "a field", ServletWithAField, "got somebody else's customer"),
    Wrong("mend-the-servlet", "a lock", ServletWithALock, "They waited for each other"),
    Wrong("order-the-filters", "names late", ids_late, "The refusal has no name"),
    Wrong("order-the-filters", "log inside", log_inside, "Refused callers are what a log"),
    Wrong("order-the-filters", "failures outside", failures_outside, "The log saw an exception"),
    Wrong("order-the-filters", "limit first", limit_first, "Strangers used up the calls"),
    Wrong("retry-what-is-safe", "everything", retrying_everything, "It was paid twice"),
    Wrong("retry-what-is-safe", "nothing", retrying_nothing, "Asking again does no harm"),
    Wrong("retry-what-is-safe", "ten times", retrying_for_long, "Three attempts, and then enough"),
]
