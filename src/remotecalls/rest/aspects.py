"""Aspects in Python's own means: advice, pointcuts, declared transactions.

A *join point* is a call of a method, a *pointcut* says which of them are meant, and *advice* is
what happens before, after or around them. Java needed a compiler or a container for it. In Python
an object that stands in front of another will do.

Source: Kiczales et al., "Aspect-Oriented Programming", ECOOP 1997; the Spring Framework's terms.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from remotecalls.shop import Shop

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class JoinPoint:
    """One call of an advised method.

    Attributes:
        name: of the method.
        args: with which it was called.
        kwargs: with which it was called.
        proceed: makes the call. Advice around it may do so once, never, or again and again.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    proceed: Callable[[], Any]


Around = Callable[[JoinPoint], Any]


def around(pointcut: str, advice: Around, target: Any) -> Any:
    """An object that behaves like another, with advice around some of its methods.

    Args:
        pointcut: a regular expression for the names of methods, matched in full.
        advice: gets the join point and returns the result; for coroutine methods a coroutine
            function whose join point has to be awaited.
        target: the object.

    Raises:
        re.error: the pointcut is no regular expression.
        ValueError: no method of the target matches. An aspect that applies to nothing is a mistake
            that would otherwise show by nothing happening.
    """
    pattern = re.compile(pointcut)
    methods = [name for name, _ in inspect.getmembers(target, callable) if name[0] != "_"]
    advised = frozenset(name for name in methods if pattern.fullmatch(name))
    if not advised:
        raise ValueError(f"{pointcut!r} matches none of {', '.join(methods)}")
    return _Advised(target, advised, advice)


class _Advised:
    def __init__(self, target: Any, names: frozenset[str], advice: Around) -> None:
        self._target = target
        self._names = names
        self._advice = advice

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)
        if name not in self._names:
            return method

        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            proceed = functools.partial(method, *args, **kwargs)
            return self._advice(JoinPoint(name, args, kwargs, proceed))

        return call


def before(pointcut: str, advice: Callable[[JoinPoint], None], target: Any) -> Any:
    """Advice that runs before the call; if it raises, the call is not made."""

    def advise(join_point: JoinPoint) -> Any:
        advice(join_point)
        return join_point.proceed()

    return around(pointcut, advise, target)


def after(pointcut: str, advice: Callable[[JoinPoint], None], target: Any) -> Any:
    """Advice that runs after the call, whether it returned or raised.

    Calling a coroutine method has only begun the call; it is over when it has been awaited.
    """

    async def advise_awaited(join_point: JoinPoint, call: Awaitable[Any]) -> Any:
        try:
            return await call
        finally:
            advice(join_point)

    def advise(join_point: JoinPoint) -> Any:
        try:
            result = join_point.proceed()
        except BaseException:
            advice(join_point)
            raise
        if inspect.isawaitable(result):
            return advise_awaited(join_point, result)
        advice(join_point)
        return result

    return around(pointcut, advise, target)


def transactional(method: Function) -> Function:
    """Declare that a method of a service is one transaction: all of it, or nothing.

    The service has its shop in the attribute `shop`. The shop's own methods have transactions of
    their own, which this one would contain, so the method works on `self.shop.repository`.
    """

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        shop: Shop = self.shop
        with shop.repository.transaction():
            return method(self, *args, **kwargs)

    return call  # type: ignore[return-value]  # the same signature
