"""A proxy on loopback before a PostgreSQL server that tells in other words, or not at all, why it lets nobody in.

Servers speak the language of their `lc_messages`; ours have no other than English.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

BAD_PASSWORD = "authentification par mot de passe échouée pour l'utilisateur « boss »"


class FrenchServer:
    """Forwards to 127.0.0.1:`port`; errors of the server say `words` instead, or end the connection where that is None.
    `logins` counts those that were refused."""

    def __init__(self, port: int, words: str | None = BAD_PASSWORD) -> None:
        self.target, self.words, self.logins = port, words, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
                threading.Thread(target=self._back, args=(server, client), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if data[:1] == b"E":
                    self.logins += 1
                    data = self._told(data)
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)

    def _told(self, error: bytes) -> bytes:
        if self.words is None:
            return b""
        fields = [b"M" + self.words.encode() if field[:1] == b"M" else field for field in error[5:].split(b"\0")]
        body = b"\0".join(fields)
        return b"E" + (len(body) + 4).to_bytes(4, "big") + body
