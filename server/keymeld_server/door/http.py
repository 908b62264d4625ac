"""What the participants' port answers to plain HTTP: is it alive, is it ready, what does it measure (§2.1).

GET /healthz   200 while the process lives
GET /readyz    200 between start and drain, else 503
GET /metrics   Prometheus text
"""

from __future__ import annotations

from http import HTTPStatus

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from ..observe import CONTENT_TYPE, Metrics


def answer(request: Request, metrics: Metrics, *, ready: bool) -> Response | None:
    """The answer to a plain request; None for a WebSocket handshake, which goes on."""
    if request.path == "/healthz":
        return _response(HTTPStatus.OK, b"alive\n")
    if request.path == "/readyz":
        return _response(HTTPStatus.OK, b"ready\n") if ready else _response(HTTPStatus.SERVICE_UNAVAILABLE, b"no\n")
    if request.path == "/metrics":
        return _response(HTTPStatus.OK, metrics.render(), CONTENT_TYPE)
    if "upgrade" not in request.headers.get("Connection", "").lower():
        return _response(HTTPStatus.NOT_FOUND, b"this is a WebSocket server; see /healthz, /readyz, /metrics\n")
    return None


def _response(status: HTTPStatus, body: bytes, kind: str = "text/plain; charset=utf-8") -> Response:
    headers = Headers({"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store"})
    headers["Connection"] = "close"
    return Response(status.value, status.phrase, headers, body)
