"""Refusals: a status and one sentence."""

from http import HTTPStatus


class RefusedError(Exception):
    """A request that is answered with an error status and one sentence.

    Attributes:
        status: the HTTP status.
        headers: sent with the answer.
        reason: one word for the metrics.
    """

    def __init__(
        self,
        status: HTTPStatus,
        sentence: str,
        *,
        reason: str = "bad_request",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.reason = reason
        self.headers = headers or {}


def busy(sentence: str, reason: str) -> RefusedError:
    """Return a 503 that tells when to try again."""
    return RefusedError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        sentence,
        reason=reason,
        headers={"Retry-After": "1"},
    )


def too_large(sentence: str) -> RefusedError:
    """Return a 413: what no later try would change."""
    return RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence, reason="too_large")


def not_found(sentence: str) -> RefusedError:
    """Return a 404."""
    return RefusedError(HTTPStatus.NOT_FOUND, sentence, reason="not_found")


def late(seconds: float) -> RefusedError:
    """Return the answer to a request whose deadline passed."""
    return RefusedError(
        HTTPStatus.GATEWAY_TIMEOUT,
        f"the request was not answered within its {seconds:g} s",
        reason="deadline",
    )
