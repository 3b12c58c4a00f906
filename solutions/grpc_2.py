"""Reference solutions and known wrong answers of `labs/grpc-2.ipynb`."""

from __future__ import annotations

import re

from remotecalls.notebook.solutions import Wrong


def service_config():
    return {"loadBalancingConfig": [{"round_robin": {}}]}


def failures(proxies, errors):
    return proxies * errors


def pattern(template):
    parts = re.split(r"\{(\w+)\}", template)
    for place, part in enumerate(parts):
        parts[place] = f"(?P<{part}>[^/:]+)" if place % 2 else re.escape(part)
    return re.compile("".join(parts))


SOLUTIONS = {
    "take-turns": service_config,
    "failures-before-ejection": failures,
    "match-a-template": pattern,
}


def no_config():
    return {}


def failures_of_one(proxies, errors):
    return errors


def greedy(template):
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>.+)", template))


def without_a_verb(template):
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template))


def unescaped(template):
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/:]+)", template))


WRONG = [
    Wrong("take-turns", "nothing", no_config, "takes the first address that answers"),
    Wrong("failures-before-ejection", "one proxy", failures_of_one, "find out by itself"),
    Wrong("match-a-template", "greedy", greedy, "it ends at a slash"),
    Wrong("match-a-template", "colons", without_a_verb, "a verb follows"),
    Wrong("match-a-template", "unescaped", unescaped, "A dot in a template is a dot"),
]
