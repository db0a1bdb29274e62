#!/usr/bin/env python3
"""Large bodies through a Weir that runs as an unprivileged user, with pipes in plenty, few, and none.

  splicing.py WEIR

Root only: it changes the user, and the limits of pipes where that is allowed (they are put back). Every body is
compared byte by byte, in both directions and on several connections at once; the counters tell which way it went.
"""
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Soak"))
from weir_under_load import Body, Setting, process_tree

CONFIGURATION = """
workers = 2
server {
    addr = 127.0.0.1 port = {port0}
    downstream origin { addr = 127.0.0.1 port = {origin} connections = 8 connections-max = 8 }
}
"""
UNPRIVILEGED = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]
CONNECTIONS = 6
DOWN_BYTES = 40_000_000
UP_BYTES = 20_000_000


def read_answer(connection, body):
    """Reads an answer with a length; gives its bytes to `body` or returns them."""
    text = b""
    while b"\r\n\r\n" not in text:
        piece = connection.recv(65536)
        if not piece:
            raise AssertionError("closed before an answer")
        text += piece
    head, rest = text.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200"), head
    left = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    kept = b""
    while True:
        left -= len(rest)
        if body:
            body.take(rest)
        else:
            kept += rest
        if left == 0:
            return kept
        rest = connection.recv(min(left, 1 << 18))
        if not rest:
            raise AssertionError(f"{left} bytes are missing")


def visit(connection, number, failures):
    """A large body down and one up, on a connection that stands."""
    try:
        tag = 1000 * number + 1
        connection.sendall(b"GET /bytes/%d?tag=%d HTTP/1.1\r\nHost: splice.test\r\n\r\n" % (DOWN_BYTES, tag))
        read_answer(connection, Body(tag))
        connection.sendall(
            b"POST /upload?tag=%d HTTP/1.1\r\nHost: splice.test\r\nContent-Length: %d\r\n\r\n" % (tag, UP_BYTES))
        body = Body(tag)
        while body.count < UP_BYTES:
            connection.sendall(body.make(UP_BYTES - body.count))
        answer = read_answer(connection, None)
        assert answer == b"%d bytes, all as expected\n" % UP_BYTES, answer
    except Exception as error:
        failures.append(f"connection {number}: {type(error).__name__} {error}")


def connect(setting):
    """Connections that have been used, so that those to the origin stand too."""
    connections = []
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", setting.ports[0]))
        connection.settimeout(60)
        connections.append(connection)

    def warm(connection):
        connection.sendall(b"GET /slow/200 HTTP/1.1\r\nHost: splice.test\r\n\r\n")
        read_answer(connection, None)

    together(warm, connections)
    return connections


def together(work, arguments):
    threads = [threading.Thread(target=work, args=(each,)) for each in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def check(weir, what, splices, scarcity=lambda setting: contextlib.nullcontext()):
    """Visits while `scarcity` prevails: it begins when all that Weir needs beside pipes is there."""
    with Setting(weir, CONFIGURATION, prefix=UNPRIVILEGED) as setting:
        users = {os.stat(f"/proc/{process}").st_uid for process in process_tree(setting.pid)}
        assert 0 not in users, "Weir runs as root"
        connections = connect(setting)
        failures = []
        with scarcity(setting):
            together(lambda pair: visit(pair[1], pair[0], failures), list(enumerate(connections)))
        for connection in connections:
            connection.close()
        spliced = setting.stat()["total"]["splicedBytes"]
        expected = CONNECTIONS * (DOWN_BYTES + UP_BYTES)
        if not failures and splices and spliced < expected // 2:
            failures.append(f"only {spliced} of {expected} bytes were spliced")
        if not failures and not splices and spliced > 0:
            failures.append(f"{spliced} bytes were spliced without a pipe")
        if setting.stop() != 0:
            failures.append("weir did not end well")
        print(f"{what}: {'ok' if not failures else 'FAILED'}, {spliced >> 20} of {expected >> 20} MiB spliced")
        for failure in failures:
            print(f"  {failure}")
        return not failures


def limit_descriptors(setting, limit):
    """As the user itself: not every root may change the limits of others."""
    for process in process_tree(setting.pid):
        subprocess.run([*UNPRIVILEGED, "prlimit", f"--pid={process}", f"--nofile={limit}:"], check=True)


@contextlib.contextmanager
def no_descriptors(setting):
    """Leaves the server process no descriptor to open: pipes cannot be made."""
    limit_descriptors(setting, 3)
    try:
        yield
    finally:
        limit_descriptors(setting, 4096)


@contextlib.contextmanager
def pipe_pages(name, pages):
    path = f"/proc/sys/fs/{name}"
    with open(path) as file:
        before = file.read()
    with open(path, "w") as file:
        file.write(str(pages))
    try:
        yield
    finally:
        with open(path, "w") as file:
            file.write(before)


def main():
    if os.getuid() != 0:
        print("splicing as an unprivileged user: only root can try that")
        return
    directory = tempfile.mkdtemp(prefix="weir-splicing-")
    os.chmod(directory, 0o755)
    weir = shutil.copy(sys.argv[1] if len(sys.argv) > 1 else ".build/release/weir", directory)
    good = check(weir, "pipes in plenty", True)
    good &= check(weir, "no descriptor left for a pipe", False, no_descriptors)
    try:
        good &= check(weir, "pipes of the smallest size", True, lambda _: pipe_pages("pipe-user-pages-soft", 1))
        good &= check(weir, "no pages left for a pipe", False, lambda _: pipe_pages("pipe-user-pages-hard", 1))
    except PermissionError as error:
        print(f"limits of pipes cannot be changed here: {error}")
    shutil.rmtree(directory)
    if not good:
        sys.exit(1)


if __name__ == "__main__":
    main()
