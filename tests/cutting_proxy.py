"""A proxy on loopback that does to HTTP calls what networks and proxies do: lose them, cut them, answer in their place.

::

    plan   pass      forward, answer
           lose      hang up before anything is forwarded
           swallow   forward, wait for the whole answer, hang up without a byte of it
           half      forward, give half of the answer
           told 502  forward, and tell that it failed
           (bytes)   answer this, forward nothing
           (call)    call it once the request was forwarded, then answer as far as there is an answer

One entry of the plan is used up by each request that `counts`; without a plan everything passes.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

Act = str | bytes | Callable[[], object]


class CuttingProxy:
    """Forwards to 127.0.0.1:`port`, one request a connection. `seen`: the bodies of the requests that counted."""

    def __init__(self, port: int, counts: Callable[[bytes], bool] = lambda body: True,
                 wrap: Callable[[socket.socket], socket.socket] = lambda client: client) -> None:
        self.target, self.counts, self.wrap = port, counts, wrap
        self.plan: deque[Act] = deque()
        self.seen: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(10)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, accepted: socket.socket) -> None:
        with suppress(OSError), accepted, self.wrap(accepted) as client:
            request = _request(client)
            body = request.partition(b"\r\n\r\n")[2]
            act: Act = "pass"
            if self.counts(body):
                self.seen.append(body)
                act = self.plan.popleft() if self.plan else "pass"
            if act == "lose":
                return
            client.sendall(act if isinstance(act, bytes) else self._forwarded(request, act))

    def _forwarded(self, request: bytes, act: Act) -> bytes:
        answer = b""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.target), 60) as server:
            server.sendall(request)
            if callable(act):
                act()
            while part := server.recv(1 << 16):  # werkzeug ends each connection with its answer
                answer += part
        return {"swallow": b"", "half": answer[: len(answer) // 2], "told 502": BAD_GATEWAY}.get(str(act), answer)


def _request(client: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(1 << 16) or b"\r\n\r\n"
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length and (part := client.recv(1 << 16)):
        body += part
    return head + b"\r\n\r\n" + body


def http(status: str, body: bytes, *headers: str) -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


BAD_GATEWAY = http("502 Bad Gateway", b"<html><body><h1>502 Bad Gateway</h1>nginx</body></html>",
                   "Content-Type: text/html")
