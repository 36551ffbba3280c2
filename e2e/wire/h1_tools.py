"""curl and nginx as clients, nginx as an upstream. A tool that is not installed is said so and passed over."""

import contextlib
import gzip
import os
import shutil
import socket
import subprocess
import tempfile
import time

from checks import equal, expect
from gate import SECRET, free_address

from .cases import Case
from .h1 import CHAT, EVIL, GOOD, LAST, chunk, connect, head, heard, post, read_to_end
from .h1_answers import FINE, HARMFUL
from .upstream import whole

HAS_CURL, HAS_NGINX = shutil.which("curl"), shutil.which("nginx")


def curl(name, *options, body=GOOD):
    """Each way of curl to say the same: forwarded and answered, and refused where it is evil."""

    def run(world):
        for sent, wanted in ((body(GOOD), GOOD), (body(EVIL), None)) if callable(body) else ((GOOD, GOOD), (EVIL, None)):
            mark = len(world.upstream.seen)
            command = ["curl", "-sS", "-i", "--max-time", "8", *options, "-H", "Content-Type: application/json"]
            done = subprocess.run([*command, "--data-binary", "@-", world.gate.url + CHAT], input=sent, capture_output=True)
            equal(done.returncode, 0, f"exit code of curl: {done.stderr!r}")
            expect(b"x-portcullis-action: " + (b"allow" if wanted else b"block") in done.stdout, f"{done.stdout!r}")
            expect(done.stdout.endswith(FINE) == bool(wanted), f"{done.stdout!r}")
            world.expect_forwarded(mark, [GOOD] if wanted else [])

    return Case(f"curl {name}", "RFC 9110", run)


CURL = [
    curl("as it is"),
    curl("in HTTP/1.0", "--http1.0"),
    curl("in chunks", "-H", "Transfer-Encoding: chunked"),
    curl("that expects 100", "-H", "Expect: 100-continue"),
    curl("that offers h2c", "--http2"),
    curl("in HTTP/2", "--http2-prior-knowledge"),
    curl("in HTTP/2 that expects 100", "--http2-prior-knowledge", "-H", "Expect: 100-continue"),
    curl("with gzip", "-H", "Content-Encoding: gzip", body=gzip.compress),
    curl("that takes gzip", "--compressed"),
    curl("through an absolute target", "--request-target", f"http://other.example{CHAT}"),
]


@contextlib.contextmanager
def nginx(servers):
    """nginx with these server blocks, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
        path = os.path.join(folder, "nginx.conf")
        with open(path, "w") as file:
            file.write(f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/log;\n"
                       f"events {{}} http {{ access_log off; {paths} {servers} }}\n")  # fmt: skip
        process = subprocess.Popen(["nginx", "-e", f"{folder}/log", "-c", path])
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=10)


def wait_for(address):
    host, port = address.split(":")
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on {address}")


@contextlib.contextmanager
def nginx_upstream(url):
    """An upstream that compresses though nobody asked, without chunks: its answers end with the connection."""
    outer, inner = free_address(), free_address()
    on = "proxy_set_header Connection ''; proxy_http_version 1.1;"
    servers = f"""
        server {{ listen {outer}; chunked_transfer_encoding off;
                 location / {{ {on} proxy_set_header Accept-Encoding gzip; proxy_pass http://{inner}; }} }}
        server {{ listen {inner}; gzip on; gzip_min_length 1; gzip_proxied any; gzip_types application/json;
                 location / {{ {on} proxy_set_header Accept-Encoding ''; proxy_pass {url}; }} }}
    """
    with nginx(servers):
        wait_for(outer)
        yield f"http://{outer}"


def behind_nginx(name, script, harmful):
    def run(world):
        world.upstream.scripts[name.encode()] = (script, False)
        mark = len(world.upstream.seen)
        for _ in range(3):
            with connect(world.address) as connection:
                connection.sendall(post(GOOD, f"X-Script: {name}", "Connection: close"))
                found = heard(read_to_end(connection))
            equal(found.line, "200", "answers")
            equal(found.answers[0].value("x-portcullis-action"), "block" if harmful else "allow", "action")
            expect(SECRET.encode() not in found.answers[0].body, "the model's words came through")
            expect(harmful or found.answers[0].body == FINE, f"{found.answers[0].body!r}")
            equal(found.answers[0].values("content-encoding"), [], "content-encoding")
        world.expect_forwarded(mark, [GOOD] * 3)

    return Case(f"behind nginx: {name}", "RFC 9110 8.4", run)


BEHIND_NGINX = [
    behind_nginx("harmless", whole(FINE), False),
    behind_nginx("harmful", whole(HARMFUL), True),
]


def nginx_in_front(world):
    """RFC 9112: nginx speaks HTTP/1.0 to the gate; chunks, gzip and pipelines come through as they are."""
    front = free_address()
    with nginx(f"server {{ listen {front}; location / {{ proxy_pass {world.gate.url}; }} }}"):
        wait_for(front)
        host, port = front.split(":")
        mark = len(world.upstream.seen)
        packed = gzip.compress(GOOD)
        with connect((host, int(port))) as connection:
            in_chunks = head("Transfer-Encoding: chunked") + chunk(GOOD[:9]) + chunk(GOOD[9:]) + b"0\r\n\r\n"
            zipped = post(packed, "Content-Encoding: gzip")
            connection.sendall(in_chunks + post(EVIL) + zipped + LAST)
            found = heard(read_to_end(connection))
        equal(found.line, "200 200 200 200", "answers")
        actions = [answer.value("x-portcullis-action") for answer in found.answers[:3]]
        equal(actions, ["allow", "block", "allow"], "actions")
        world.expect_forwarded(mark, [GOOD, GOOD])


CASES = []
if HAS_CURL:
    CASES += CURL
if HAS_NGINX:
    CASES.append(Case("nginx in front", "RFC 9112", nginx_in_front))
for tool, there in (("curl", HAS_CURL), ("nginx", HAS_NGINX)):
    if not there:
        print(f"note  {tool} is not installed; its cases are passed over")
