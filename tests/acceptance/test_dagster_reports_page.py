"""The page of reports gives the reports and nothing else, to this machine and nobody else."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipelines.orchestration.reports_page import served_reports


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    reports = tmp_path / "reports"
    (reports / "run_7").mkdir(parents=True)
    (reports / "run_7.html").write_text("<h1>Run 7</h1>")
    (reports / "run_7.csv").write_text("CODE\nC0007\n")
    (reports / "run_7" / "index.html").write_text("expectations")
    (reports / ".half.html").write_text("half written")
    (tmp_path / "secrets").write_text("password")
    (reports / "link.html").symlink_to(tmp_path / "secrets")
    with served_reports(reports, 0) as served:
        yield served


def ask(address: str, path: str, *, method: str = "GET", host: str | None = None) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=host is not None)
        if host is not None:
            connection.putheader("Host", host)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())
    finally:
        connection.close()


def test_a_report_is_served(address: str) -> None:
    assert ask(address, "/run_7.html")[:2] == (200, "<h1>Run 7</h1>")
    assert ask(address, "/run_7/")[:2] == (200, "expectations")
    assert ask(address, "/run_7.html", method="HEAD")[:2] == (200, "")


def test_before_the_first_run_the_page_says_so(address: str) -> None:
    status, text, _ = ask(address, "/")
    assert (status, text) == (404, "No run has written a report yet.\n")


def test_a_csv_is_saved_and_not_shown(address: str) -> None:
    headers = ask(address, "/run_7.csv")[2]
    assert headers["Content-Disposition"] == "attachment"
    assert headers["Content-Type"].startswith("text/csv")


@pytest.mark.parametrize("path", [
    "/../secrets", "/%2e%2e/secrets", "/..%2fsecrets", "/run_7/../../secrets", "/%2e%2e%2fsecrets", "//../secrets",
    "/link.html", "/.half.html", "/run_7/..%5c..%5csecrets", "/%00", "/" + "x" * 5000, "/run_7", "/run_8.html",
    "/run_7.html/", "/../reports-2/x",
])
def test_nothing_outside_or_hidden_can_be_had(address: str, path: str) -> None:
    status, text, _ = ask(address, path)
    assert status == 404
    assert "password" not in text


@pytest.mark.parametrize("path", ["/run_7.html", "/nothing", "/"])
def test_every_answer_forbids_scripts_frames_and_guesses(address: str, path: str) -> None:
    headers = ask(address, path)[2]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "script" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Server"].strip() == "navette"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::1", ""])
def test_another_sites_name_for_this_machine_is_refused(address: str, host: str) -> None:
    assert ask(address, "/run_7.html", host=host)[0] == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_written(address: str, method: str) -> None:
    assert ask(address, "/run_7.html", method=method)[0] == 501
