"""From one message of a client to the bytes that answer it: what every server here shares."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from remotecalls.shop import Shop, ShopError
from remotecalls.sockets.messages import (
    BAD_REQUEST,
    SERVER_FAILED,
    Codec,
    Failure,
    UnwritableReply,
    carry_out,
)
from remotecalls.wire.errors import ProtocolError

logger = logging.getLogger("remotecalls.sockets")

NO_REQUEST = 0


def answer(shop: Shop, codec: Codec, message: bytes) -> Iterator[bytes]:
    """Read a request, carry it out, and give the replies as they cross the wire.

    Whatever goes wrong becomes a `Failure` reply, so that the client hears of it at once instead
    of waiting for its deadline, and the connection can go on: the framing is still in step.
    """
    request_id = NO_REQUEST
    try:
        request_id, request = codec.decode_request(message)
        logger.info("%s", request)
        for reply in carry_out(shop, request):
            yield codec.encode_reply(request_id, reply)
    except ShopError as error:
        logger.info("refused: %s: %s", error.code, error)
        yield codec.encode_reply(request_id, Failure(error.code, str(error)))
    except ProtocolError as error:
        yield refuse(codec, error, request_id)
    except UnwritableReply as error:
        # Not a refusal: by the time the answer is written, the request has been carried out.
        logger.error("no bytes for the answer: %s", error)
        yield codec.encode_reply(request_id, Failure(SERVER_FAILED, str(error)))
    except Exception:  # the last line of defense: the fault is logged, and told as a fault
        logger.exception("a fault in the server while it answered")
        failure = Failure(SERVER_FAILED, "the server failed; its log says why")
        yield codec.encode_reply(request_id, failure)


def refuse(codec: Codec, error: ProtocolError, request_id: int = NO_REQUEST) -> bytes:
    """The reply to bytes that are not a request."""
    logger.warning("bad request: %s", error)
    return codec.encode_reply(request_id, Failure(BAD_REQUEST, str(error)))
