"""The page of reports: NAVETTE_HOME/reports on loopback, read only, since a web page cannot open file://."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

HOST = "127.0.0.1"

HEADERS = {
    # Reports hold names and raw values: no other site may frame, read or be told of them, and no script runs.
    "Content-Security-Policy": "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
                               "font-src 'self' data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
TYPES = {".html": "text/html; charset=utf-8", ".csv": "text/csv; charset=utf-8", ".json": "application/json",
         ".css": "text/css", ".svg": "image/svg+xml", ".png": "image/png", ".txt": "text/plain; charset=utf-8"}
SHOWN = (".html", ".txt", ".css", ".svg", ".png")
"""What a browser shows; the rest is saved as a file."""


@contextmanager
def served_reports(folder: Path, port: int) -> Iterator[str]:
    """Serves `folder` while the block runs, and gives the address. Port 0 takes a free one."""
    folder.mkdir(parents=True, exist_ok=True)
    server = ThreadingHTTPServer((HOST, port), partial(_Reports, folder.resolve()))
    thread = Thread(target=server.serve_forever, name="reports", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Reports(SimpleHTTPRequestHandler):
    """Files of one folder and below, by GET and HEAD alone."""

    server_version = "navette"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 30

    def __init__(self, folder: Path, *arguments: object) -> None:
        self.folder = folder
        super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        if not self._is_meant():
            self._say(HTTPStatus.FORBIDDEN, "This page is served under 127.0.0.1 and localhost alone.", body=body)
            return
        try:
            path = self._path()
            with path.open("rb") as stream:
                self._head(HTTPStatus.OK, path.suffix.lower(), os.fstat(stream.fileno()).st_size)
                if body:
                    shutil.copyfileobj(stream, self.wfile)
        except (OSError, ValueError, RuntimeError):
            empty = urlsplit(self.path).path == "/"
            text = "No run has written a report yet." if empty else "There is no such report."
            self._say(HTTPStatus.NOT_FOUND, text, body=body)

    def _is_meant(self) -> bool:
        """A page of another site that made its own name point to 127.0.0.1 sends that name."""
        try:
            return urlsplit(f"//{self.headers.get('Host', '')}").hostname in (HOST, "localhost")
        except ValueError:
            return False

    def _path(self) -> Path:
        """The file meant. ValueError for what is hidden or lies outside the folder, by `..` or by a link."""
        asked = unquote(urlsplit(self.path).path)
        parts = [part for part in asked.split("/") if part]
        if any(part.startswith(".") or "\\" in part for part in parts):
            raise ValueError(asked)
        path = self.folder.joinpath(*parts, *(["index.html"] if asked.endswith("/") else [])).resolve()
        if not path.is_relative_to(self.folder):
            raise ValueError(asked)
        return path

    def _say(self, status: HTTPStatus, text: str, *, body: bool) -> None:
        content = f"{text}\n".encode()
        self._head(status, ".txt", len(content))
        if body:
            self.wfile.write(content)

    def _head(self, status: HTTPStatus, suffix: str, length: int) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", TYPES.get(suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(length))
        if suffix not in SHOWN:
            self.send_header("Content-Disposition", "attachment")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing: what is read here is nobody's business."""
