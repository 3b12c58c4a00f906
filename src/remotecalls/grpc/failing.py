"""The outermost words about a failure: the shop's errors as statuses, and nothing else let out.

Left alone, gRPC sends the text of any exception to the caller, with what it says about the inside
of the server. Here the log has it, and the caller learns that the server failed.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import grpc.aio

from remotecalls.grpc.interception import Aspect, Call, CallerLeft
from remotecalls.grpc.statuses import SERVER_FAILED, abort_with, rich_status, status_of
from remotecalls.shop import ShopError

logger = logging.getLogger("remotecalls.grpc")


class Failing(Aspect):
    """Ends a call whose handler raised with a status that its caller may see."""

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """See the class."""
        try:
            yield
        except grpc.aio.AbortError:
            raise  # it has its status
        except ShopError as error:
            await abort_with(call.context, status_of(error))
        except CallerLeft:
            logger.info("%s: the caller has left", call.method)
        except Exception:
            logger.exception("%s failed", call.method)
            failed = rich_status(
                grpc.StatusCode.INTERNAL, SERVER_FAILED, "the server failed; its log says how"
            )
            await abort_with(call.context, failed)
