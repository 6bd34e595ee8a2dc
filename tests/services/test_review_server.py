"""The server of a review: what hostile requests get, and that killing it loses nothing."""

import http.client
import json
import multiprocessing
import os
import random
import signal
import socket
import threading
import time

import pandas as pd
import pytest

from darts.review.server import MOST_BYTES, application
from darts.review.store import Question, Review

TOKEN = "secret-of-this-review"
SCRIPT = "<script>alert(1)</script>"


class Shown:
    """Candidates of which nothing needs to be read."""

    def facts(self, question: Question, said=None):
        told = None if said is None else {"verdict": said.verdict, "note": said.note}
        return {"question": question.id, "slump": question.slump_id, "said": told}


def begin(folder, number=12):
    rows = [
        {"slump_id": f"s{one}", "year": 2024, "batch": 0, "weight": 1.0, "repeat_of": None} for one in range(number)
    ]
    review = Review(folder / "review.sqlite")
    review.begin(pd.DataFrame(rows), {"token": TOKEN})
    return review


def run_server(file, port):
    """Serve until the process is killed."""
    import uvicorn

    app = application(Review(file), Shown(), TOKEN)
    uvicorn.run(app, host="127.0.0.1", port=port, log_config=None, lifespan="off")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.fixture(scope="module")
def context():
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["darts.review.server", "uvicorn"])  # to import it takes seconds
    return found


@pytest.fixture(scope="module")
def served(context, tmp_path_factory):
    """A server, and its review."""
    review, port = begin(tmp_path_factory.mktemp("served")), free_port()
    process = context.Process(target=run_server, args=(review.file, port))
    process.start()
    wait_for(port)
    yield review, port
    process.kill()
    process.join()


def wait_for(port):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError("the server does not answer")


def request(port, method, path, body=None, **headers):
    """Return status, headers and body of an answer; the path goes out as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def post(port, name, given, **headers):
    headers = {"Content_Type": "application/json", **headers}
    status, _, body = request(port, "POST", f"/{TOKEN}/{name}", json.dumps(given).encode(), **headers)
    return status, json.loads(body)


def test_the_page_says_to_browsers_that_nothing_of_others_runs_on_it(served):
    status, headers, body = request(served[1], "GET", f"/{TOKEN}/")
    assert status == 200
    assert b"thaw slump" in body
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    ["/", "/x/", "/secret-of-this-revie/", f"/{TOKEN[:-1]}x/", "//", f"/%2e/{TOKEN}/", f"/..%2f{TOKEN}/"],
)
def test_without_the_secret_there_is_nothing(served, path):
    status, _, body = request(served[1], "GET", path)
    assert (status, body) in ((404, b"not found"), (400, b"Invalid HTTP request received."))
    assert b"slump" not in body


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1.example.org", "localhost.example.org:80", "[::1]", ""])
def test_other_hosts_are_refused(served, host):
    status, _, body = request(served[1], "GET", f"/{TOKEN}/", Host=host)
    assert status == 400
    assert b"slump" not in body
    status, _, _ = request(served[1], "GET", f"/{TOKEN}/", Host=f"localhost:{served[1]}")
    assert status == 200


@pytest.mark.parametrize(
    "name",
    [
        "../review.sqlite",
        "..%2f..%2freview.sqlite",
        "%2e%2e/server.py",
        "review.html.jinja",
        "/etc/passwd",
        "page.py",
        "",
    ],
)
def test_files_beside_the_page_are_not_given(served, name):
    status, _, body = request(served[1], "GET", f"/{TOKEN}/assets/{name}")
    assert status == 404
    assert b"jinja" not in body
    assert b"root:" not in body


@pytest.mark.parametrize(
    "path",
    [
        "1/2024/close/../../../etc",
        "99/2024/close/colour",
        "1/2024/huge/colour",
        "1/2024/close/x",
        f"{2**70}/1/close/nir",
    ],
)
def test_pictures_that_are_none_are_not_found(served, path):
    assert request(served[1], "GET", f"/{TOKEN}/picture/{path}")[0] == 404


def test_a_huge_body_is_refused_whatever_it_says_of_its_length(served):
    review, port = served
    huge = b'{"reviewer": "' + b"a" * MOST_BYTES + b'"}'
    status, _, body = request(port, "POST", f"/{TOKEN}/next", huge, Content_Type="application/json")
    assert (status, json.loads(body)) == (413, {"error": "that is too much"})
    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
        raw.sendall(f"POST /{TOKEN}/next HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"10000\r\n" + b"b" * 0x10000 + b"\r\n"
        for _ in range(20):
            raw.sendall(chunk)
        assert b"413" in raw.recv(200)
    assert review.counts()["answered"] == 0


@pytest.mark.parametrize(
    ("name", "body", "kind", "status"),
    [
        ("next", b'{"reviewer": "a"}', "text/plain", 415),
        ("next", b'{"reviewer": "a"}', "application/x-www-form-urlencoded", 415),
        ("next", b"{", "application/json", 400),
        ("next", b"[" * 200_000, "application/json", 400),
        ("next", b"[]", "application/json", 400),
        ("next", b"{}", "application/json", 400),
        ("next", b'{"reviewer": "  \\u0000\\u202e"}', "application/json", 400),
        ("next", b'{"reviewer": ["a"]}', "application/json", 400),
        ("next", json.dumps({"reviewer": "a" * 81}).encode(), "application/json", 400),
        ("verdict", b'{"reviewer": "a", "question": 99, "verdict": "not"}', "application/json", 400),
        ("verdict", b'{"reviewer": "a", "question": true, "verdict": "not"}', "application/json", 400),
        ("verdict", b'{"reviewer": "a", "question": 1e400, "verdict": "not"}', "application/json", 400),
        (
            "verdict",
            b'{"reviewer": "a", "question": "1; DROP TABLE verdicts", "verdict": "not"}',
            "application/json",
            400,
        ),
        ("verdict", b'{"reviewer": "a", "question": 1, "verdict": "maybe"}', "application/json", 400),
        ("verdict", b'{"reviewer": "a", "question": 1, "verdict": "not", "note": 5}', "application/json", 400),
        ("back", b'{"question": 1}', "application/json", 400),
        ("verdict", b'{"reviewer": "a", "question": 1%s, "verdict": "not"}' % (b"0" * 30), "application/json", 400),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(served, name, body, kind, status):
    review, port = served
    found, _, answer = request(port, "POST", f"/{TOKEN}/{name}", body, Content_Type=kind)
    assert found == status
    assert json.loads(answer)["error"]
    assert review.counts()["answered"] == 0


@pytest.mark.parametrize("number", [10**30, -(10**30), True, "1", None, [1]])
def test_going_back_from_what_is_no_question_leads_to_the_last_answer(served, number):
    status, answer = post(served[1], "back", {"reviewer": "a", "question": number})
    assert (status, answer["question"]) == (200, None)


def test_other_methods_do_nothing(served):
    for method, path in (("GET", "next"), ("PUT", "verdict"), ("DELETE", "verdict"), ("POST", "")):
        assert request(served[1], method, f"/{TOKEN}/{path}", b"{}")[0] == 405


def test_scripts_in_names_and_notes_come_back_as_text(context, tmp_path):
    review, port = begin(tmp_path), free_port()
    process = context.Process(target=run_server, args=(review.file, port))
    process.start()
    wait_for(port)
    given = {
        "reviewer": f"{SCRIPT}\u202e",
        "question": 1,
        "verdict": "not",
        "note": f"'); DROP TABLE verdicts; {SCRIPT}\x07",
    }
    status, answer = post(port, "verdict", given)
    assert status == 200
    assert answer["question"]["question"] != 1
    status, answer = post(port, "back", {"reviewer": SCRIPT, "question": 2})
    assert answer["question"]["said"] == {"verdict": "not", "note": f"'); DROP TABLE verdicts; {SCRIPT}"}
    status, answer = post(port, "list", {"reviewer": SCRIPT})
    assert (status, answer["counts"]["answered"]) == (200, 1)
    note = f"'); DROP TABLE verdicts; {SCRIPT}"
    assert answer["answered"] == [{"question": 1, "year": 2024, "verdict": "not", "note": note}]
    status, answer = post(port, "at", {"reviewer": SCRIPT, "question": 1})
    assert answer["question"]["said"]["verdict"] == "not"
    for number in (2, 99, None):
        assert post(port, "at", {"reviewer": SCRIPT, "question": number})[0] == 400
    assert post(port, "list", {"reviewer": "b"})[1]["answered"] == []
    status, answer = post(port, "verdict", {**given, "reviewer": "b"})
    assert (status, answer["error"]) == (409, "question 1 was answered by somebody else meanwhile")
    process.kill()
    process.join()


class Person(threading.Thread):
    """Somebody who answers all that comes, and begins again whenever the server is gone."""

    def __init__(self, name, port, seed):
        super().__init__()
        self.reviewer, self.port, self.random = name, port, random.Random(seed)
        self.acknowledged = {}

    def run(self):
        answer = self.ask("next", {})
        while answer["question"] is not None:
            number, verdict = answer["question"]["question"], self.random.choice(("slump", "not", "unsure"))
            answer = self.ask("verdict", {"question": number, "verdict": verdict})
            if answer is None:
                answer = self.ask("next", {})
            else:
                self.acknowledged[number] = verdict

    def ask(self, name, given):
        """Return the answer, None if somebody else was faster; ask again and again while nobody answers."""
        while True:
            try:
                status, answer = post(self.port, name, {"reviewer": self.reviewer, **given})
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.02)
                continue
            assert status in (200, 409), answer
            return answer if status == 200 else None


def test_four_people_lose_and_double_nothing_of_2000_verdicts_while_the_server_is_killed_ten_times(context, tmp_path):
    review, port, chance = begin(tmp_path, 2000), free_port(), random.Random(7)
    people = [Person(name, port, seed) for seed, name in enumerate("abcd")]
    process = context.Process(target=run_server, args=(review.file, port))
    process.start()
    for person in people:
        person.start()
    for kill in range(1, 11):
        enough = 180 * kill + chance.randrange(10)
        while review.counts()["answered"] < enough:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        process = context.Process(target=run_server, args=(review.file, port))
        process.start()
    for person in people:
        person.join(timeout=120)
    process.kill()
    process.join()
    found = review.verdicts()
    assert len(found) == 2000
    assert found["question"].is_unique
    kept = {(row.reviewer, row.question): row.verdict for row in found.itertuples()}
    for person in people:
        assert len(person.acknowledged) > 200
        for number, verdict in person.acknowledged.items():
            assert kept[person.reviewer, number] == verdict
    assert sum(len(person.acknowledged) for person in people) == 2000
