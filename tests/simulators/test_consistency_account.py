"""One account at several sites: what has to be in order, what it costs, and who is told what."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from parameter_strategies import parameters_of, seeds
from remotecalls.simulators.consistency.account import (
    EVENTUAL,
    MARKED,
    REBASED,
    STRONG,
    AccountParameters,
    run,
)
from remotecalls.simulators.parameters import controls

SEEDS = range(1, 11)
ORDERS = (EVENTUAL, STRONG, MARKED, REBASED)


def median(latencies: list[int]) -> int:
    return latencies[len(latencies) // 2]


@settings(max_examples=80, deadline=None)
@given(parameters_of(AccountParameters, operations=60), seeds)
def test_laws_of_every_order(parameters: AccountParameters, seed: int) -> None:
    result = run(parameters, seed)
    assert len(result.movements) == 60
    done = sum(each.amount for each in result.movements if each.is_done)
    # Everything arrives in the end, so all sites have what was done, and nothing else.
    assert set(result.balances) == {parameters.opening + done}
    for each in result.movements:
        assert each.is_done is not None
        assert each.latency_us >= 0
        assert each.amount < 0 or each.is_done  # nobody refuses money
    if parameters.order != EVENTUAL:
        assert result.lowest >= 0
    if parameters.order != REBASED:
        assert result.taken_back == ()


@settings(max_examples=40, deadline=None)
@given(parameters_of(AccountParameters, operations=80, order=STRONG), seeds)
def test_one_decider_decides_as_one_copy_would(parameters: AccountParameters, seed: int) -> None:
    """Without a network there is one order, and all four agree on it."""
    alone = replace(parameters, delay_us=0)
    found = [
        [each.is_done for each in run(replace(alone, order=order), seed).movements]
        for order in ORDERS
    ]
    assert found[0] == found[1] == found[2] == found[3]


@settings(max_examples=20, deadline=None)
@given(parameters_of(AccountParameters, operations=40), seeds)
def test_equal_arguments_give_equal_results(parameters: AccountParameters, seed: int) -> None:
    once = run(parameters, seed).to_json()
    assert once == run(parameters, seed).to_json()
    assert json.loads(json.dumps(once)) == once


@pytest.mark.parametrize("seed", SEEDS)
def test_without_an_order_the_account_is_overdrawn(seed: int) -> None:
    tight = AccountParameters(order=EVENTUAL, out_percent=60)
    result = run(tight, seed)
    assert result.lowest < 0
    assert result.has_converged
    assert max(each.latency_us for each in result.movements) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_marked_operations_wait_and_the_others_do_not(seed: int) -> None:
    marked, strong = (run(AccountParameters(order=order), seed) for order in (MARKED, STRONG))
    assert max(marked.latencies_us(out=False)) == 0
    assert median(marked.latencies_us(out=True)) > 80_000
    # Where everything is in order, paying in waits as well.
    assert median(strong.latencies_us(out=False)) > 80_000
    assert marked.lowest >= 0
    assert strong.lowest >= 0


@pytest.mark.parametrize("seed", SEEDS)
def test_who_goes_ahead_never_waits_and_takes_some_back(seed: int) -> None:
    result = run(AccountParameters(order=REBASED, out_percent=60), seed)
    assert max(each.latency_us for each in result.movements) == 0
    assert result.lowest >= 0
    assert result.has_converged
    assert 0 < len(result.taken_back) < len(result.movements) / 2
    # With money enough nothing has to be taken back.
    rich = run(AccountParameters(order=REBASED, opening=10_000), seed)
    assert rich.taken_back == ()


OTHERS: dict[str, Any] = {"order": EVENTUAL, "opening": 0}


@pytest.mark.parametrize("name", controls(AccountParameters))
def test_no_setting_is_without_effect(name: str) -> None:
    base = AccountParameters()
    control = controls(AccountParameters)[name]
    other = OTHERS[name] if name in OTHERS else getattr(base, name) + getattr(control, "step", 0)
    changed = run(replace(base, **{name: other}), 1).to_json()
    assert changed["movements"] != run(base, 1).to_json()["movements"]
