"""Reference solutions and known wrong answers of `labs/grpc.ipynb`."""

from __future__ import annotations

from google.rpc import error_details_pb2
from grpc_status import rpc_status

from remotecalls.notebook.solutions import Wrong


def streams(calls):
    return [2 * number + 1 for number in range(calls)]


async def relay(request, context, shop):
    return await shop.GetCustomer(request, timeout=context.time_remaining())


def reason(error):
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.reason
    return None


SOLUTIONS = {
    "predict-the-streams": streams,
    "pass-the-deadline-on": relay,
    "read-the-reason": reason,
}


def counted_from_zero(calls):
    return list(range(calls))


def counted_by_one(calls):
    return [number + 1 for number in range(calls)]


async def relay_without(request, context, shop):
    return await shop.GetCustomer(request)


async def relay_with_the_same(request, context, shop):
    return await shop.GetCustomer(request, timeout=2.0)


async def relay_with_a_limit_of_its_own(request, context, shop):
    return await shop.GetCustomer(request, timeout=context.time_remaining() or 5.0)


def code(error):
    return error.code().name.lower()


def reason_without_a_question(error):
    for detail in rpc_status.from_call(error).details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.reason
    return None


WRONG = [
    Wrong("predict-the-streams", "counted from 0", counted_from_zero, "number 1; 0 is the"),
    Wrong("predict-the-streams", "counted by one", counted_by_one, "Even numbers are the server's"),
    Wrong("pass-the-deadline-on", "no deadline", relay_without, "knows no deadline"),
    Wrong("pass-the-deadline-on", "the same again", relay_with_the_same, "not what the caller has"),
    Wrong(
        "pass-the-deadline-on",
        "a limit of its own",
        relay_with_a_limit_of_its_own,
        "Nobody asked for a deadline",
    ),
    Wrong("read-the-reason", "the code", code, "one of sixteen"),
    Wrong("read-the-reason", "no status", reason_without_a_question, "`from_call` gives None"),
]
