"""What the scenarios share: modules, Weir with an origin, plain and TLS clients that check every byte."""
import os
import socket
import ssl
import subprocess
import threading

from weir_under_load import Body, Setting

WEIR = "/usr/bin/weir"
FILES = "/tests/tls"
TIMEOUT = 120
loaded = False


def load_modules():
    """The kernel's TLS and its ciphers."""
    global loaded
    if loaded:
        return
    with open("/modules/order") as order:
        for name in order.read().split():
            done = subprocess.run(["insmod", f"/modules/{name}"], capture_output=True, text=True)
            # An accelerated cipher may find no processor for it, where a plain one is built in.
            if done.returncode and name.startswith("tls"):
                raise AssertionError(f"insmod {name}: {done.stderr}")
    loaded = True


def tcp(port, receive_buffer=0):
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(TIMEOUT)
    connection.connect(("127.0.0.1", port))
    return connection


def tls(port, version=None, ciphers=None, receive_buffer=0, session=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(f"{FILES}/ca.pem")
    if version:
        context.minimum_version = context.maximum_version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
    if ciphers:
        context.set_ciphers(ciphers)
    # An end without close_notify is an error.
    return context.wrap_socket(tcp(port, receive_buffer), server_hostname="example.com", suppress_ragged_eofs=False)


def head(connection):
    text = b""
    while b"\r\n\r\n" not in text:
        piece = connection.recv(65536)
        if not piece:
            raise AssertionError(f"closed within a head: {text!r}")
        text += piece
    start, rest = text.split(b"\r\n\r\n", 1)
    lines = start.decode("latin-1").split("\r\n")
    return int(lines[0].split()[1]), dict(line.lower().split(": ", 1) for line in lines[1:]), rest


def ask(connection, method, target, fields="", body=b""):
    connection.sendall(f"{method} {target} HTTP/1.1\r\nHost: example.com\r\n{fields}\r\n".encode() + body)


def take(connection, tag, count=None, rest=None, pause=None):
    """Reads an answer whose body is the origin's pattern, by its length or until the end; what the head said."""
    status, fields, rest = head(connection)
    assert status == 200, f"status {status}"
    if "chunked" in fields.get("transfer-encoding", ""):
        return take_chunks(connection, rest, tag, count)
    body = Body(tag)
    body.take(rest)
    left = int(fields["content-length"]) if "content-length" in fields else None
    while left is None or body.count < left:
        piece = connection.recv(65536 if left is None else min(65536, left - body.count))
        if not piece:
            assert left is None, f"closed after {body.count} of {left} bytes"
            break
        body.take(piece)
        if pause:
            pause(body.count)
    assert count is None or body.count == count, f"{body.count} bytes in place of {count}"
    return fields


def take_chunks(connection, rest, tag, count):
    body = Body(tag)
    while True:
        while b"\r\n" not in rest:
            rest += connection.recv(65536)
        line, rest = rest.split(b"\r\n", 1)
        size = int(line.split(b";")[0], 16)
        while len(rest) < size + 2:
            rest += connection.recv(65536)
        if size == 0:
            assert body.count == count, f"{body.count} bytes in chunks in place of {count}"
            return {}
        body.take(rest[:size])
        rest = rest[size + 2:]


def text(connection):
    status, fields, rest = head(connection)
    while len(rest) < int(fields["content-length"]):
        rest += connection.recv(65536)
    return status, rest


def together(work, count):
    failures = []

    def one(number):
        try:
            work(number)
        except BaseException as error:
            failures.append(f"{number}: {type(error).__name__} {error}")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failures, "; ".join(failures[:5])


def weir(configuration, ports=2):
    return Setting(WEIR, configuration, ports=ports)


def sysctl(name, value):
    with open(f"/proc/sys/{name}", "w") as file:
        file.write(value)


def doctor():
    done = subprocess.run([WEIR, "doctor"], capture_output=True, text=True)
    return done.returncode, done.stdout


def release():
    return os.uname().release
