#!/usr/bin/env python3
"""Normal traffic under TLS for so many seconds, alone and then beside hellos that are wrong, cut off, slow or never gone on with.

  hellos.py WEIR [--seconds 20] [--hostile 200] [--workers 2]

Prints failures, median and 99th percentile of the normal traffic in both phases, and what Weir counted. Exits with 1 when a
request of the normal traffic failed. Normal traffic and hostile are processes of their own, so that they wait for nobody but the
machine.
"""
import argparse
import asyncio
import json
import os
import random
import socket
import ssl
import subprocess
import sys
import tempfile
import time

from weir_under_load import Setting, make_certificates

CONFIGURATION = """
workers = WORKERS
server {
    addr = 127.0.0.1 port = {port0}
    ssl {
        enabled = true
        cert = { "FILES/rsa.pem", "FILES/ecdsa.pem" }
        key = { "FILES/rsa.key", "FILES/ecdsa.key" }
    }
    downstream origin { addr = 127.0.0.1 port = {origin} connections = 8 connections-max = 64 }
}
"""
REQUESTS_PER_SECOND = 300
NEW_CONNECTIONS_PER_SECOND = 20
KEPT_CONNECTIONS = 20
REQUEST = b"GET /bytes/1000 HTTP/1.1\r\nHost: example.com\r\n\r\n"


async def exchange(reader, writer):
    writer.write(REQUEST)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    await reader.readexactly(length)


async def normal(port, folder, seconds):
    """Requests at a steady rate on connections that stand, and connections at a steady rate with one request each."""
    context = ssl.create_default_context(cafile=f"{folder}/ca.pem")
    kept, fresh, failures = [], [], []
    end = time.monotonic() + seconds

    async def timed(work, times, due):
        try:
            await asyncio.wait_for(work, 10)
            # From when it was due: a client that is kept waiting does not count as one that did not ask.
            times.append(time.monotonic() - due)
        except Exception as error:
            failures.append(f"{type(error).__name__} {error}")

    async def standing(number):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="example.com")
        pause = KEPT_CONNECTIONS / REQUESTS_PER_SECOND
        due = time.monotonic() + pause * number / KEPT_CONNECTIONS
        while due < end:
            await asyncio.sleep(max(0, due - time.monotonic()))
            await timed(exchange(reader, writer), kept, due)
            due += pause
        writer.close()

    async def once():
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="example.com")
        await exchange(reader, writer)
        writer.close()

    async def coming():
        due, running = time.monotonic(), set()
        while due < end:
            await asyncio.sleep(max(0, due - time.monotonic()))
            running.add(asyncio.ensure_future(timed(once(), fresh, due)))
            due += 1 / NEW_CONNECTIONS_PER_SECOND
        await asyncio.gather(*running)

    await asyncio.gather(coming(), *(standing(number) for number in range(KEPT_CONNECTIONS)))
    print(json.dumps({"kept": sorted(kept), "fresh": sorted(fresh), "failures": failures}))


def whole_hello():
    leaving = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.wrap_bio(ssl.MemoryBIO(), leaving, server_hostname="example.com").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return leaving.read()


def hostile(port, rate, seconds):
    """So many connections a second, of five kinds in turn; slow ones, and those that are cut off or hang, stay for five seconds."""
    chance = random.Random(7)
    begin = time.monotonic()
    hello = whole_hello()
    kept = []  # [until when, connection, bytes that are still to be sent]
    counts = {}
    number = 0
    while (now := time.monotonic()) < begin + seconds:
        while number < (now - begin) * rate:
            kind = ("wrong", "garbage", "truncated", "slow", "hanging")[number % 5]
            number += 1
            counts[kind] = counts.get(kind, 0) + 1
            connection = socket.socket()
            connection.setblocking(False)
            try:
                connection.connect(("127.0.0.1", port))
            except BlockingIOError:
                pass
            try:
                if kind == "wrong":
                    place = chance.randrange(5, len(hello))
                    connection.send(hello[:place] + bytes([hello[place] ^ 0xFF]) + hello[place + 1:])
                elif kind == "garbage":
                    connection.send(b"\x16\x03\x01\x02\x00" + chance.randbytes(600))
                elif kind == "truncated":
                    connection.send(hello[: chance.randrange(1, len(hello))])
                elif kind == "hanging":
                    connection.send(hello)
            except OSError:
                pass
            kept.append([now + (5 if kind in ("slow", "hanging", "truncated") else 1), connection, bytearray(hello if kind == "slow" else b"")])
        going = []
        for each in kept:
            until, connection, rest = each
            if now > until:
                connection.close()
                continue
            if rest:
                try:
                    connection.send(rest[:8])
                    del rest[:8]
                except OSError:
                    pass
            going.append(each)
        kept = going
        time.sleep(0.05)
    print(json.dumps(counts))


def summary(times):
    if not times:
        return "none"
    at = lambda part: times[min(len(times) - 1, int(len(times) * part))] * 1000
    return f"{len(times)} p50 {at(0.5):.2f} ms p99 {at(0.99):.2f} ms"


def phase(options, name, rate):
    with tempfile.TemporaryDirectory(prefix="weir-hellos-") as folder:
        make_certificates(folder)
        os.chmod(folder, 0o755)
        text = CONFIGURATION.replace("FILES", folder).replace("WORKERS", str(options.workers))
        with Setting(options.weir, text) as setting:
            port = str(setting.ports[0])
            me = [sys.executable, os.path.abspath(__file__), options.weir]
            good = subprocess.Popen([*me, "--normal", port, folder, str(options.seconds)], stdout=subprocess.PIPE, text=True)
            bad = subprocess.Popen([*me, "--hostile-process", port, str(rate), str(options.seconds)], stdout=subprocess.PIPE, text=True) if rate else None
            told = json.loads(good.communicate()[0])
            kinds = bad.communicate()[0].strip() if bad else "none"
            total = setting.stat()["total"]
            print(f"{name}: kept connections {summary(told['kept'])}; new connections {summary(told['fresh'])}; {len(told['failures'])} failures")
            print(f"  hostile: {kinds}; counted: {total['handshakes']} handshakes, {total['tlsFailures']} failed")
            for failure in told["failures"][:5]:
                print(f"  {failure}")
            if setting.stop() != 0:
                sys.exit("FAILED: weir did not end well")
            return len(told["failures"])


def main():
    if "--normal" in sys.argv:
        port, folder, seconds = sys.argv[3:6]
        asyncio.run(normal(int(port), folder, float(seconds)))
        return
    if "--hostile-process" in sys.argv:
        port, rate, seconds = sys.argv[3:6]
        hostile(int(port), float(rate), float(seconds))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("weir")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--hostile", type=float, default=200)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    failures = phase(options, "alone", 0) + phase(options, f"beside {options.hostile:g} hellos a second", options.hostile)
    if failures:
        sys.exit(f"FAILED: {failures} requests")
    print("hellos passed")


if __name__ == "__main__":
    main()
