#!/usr/bin/env python3
"""Normal traffic under TLS for so many seconds, alone and then beside hellos that are wrong, cut off, slow or never gone on with.

  hellos.py WEIR [--seconds 20] [--hostile 200] [--workers 2]

Prints failures, median and 99th percentile of the normal traffic in both phases, and what Weir counted. Exits with 1 when a
request of the normal traffic failed, when the median of kept connections beside hostile hellos is more than twice that alone and
2 ms, when fewer than half of the hellos went out, or when Weir counted fewer failed handshakes than hellos that can only fail.
Normal traffic and hostile are processes of their own, so that they wait for nobody but the machine.
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

from weir_under_load import Setting, make_certificates, wait_until

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
# Where a changed byte ends any handshake: the message's type, the length of the session's identifier, that of the suites. Elsewhere
# it may be one of the random ones, and then a hello is as good as before.
TELLING_PLACES = (5, 43, 76)
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
    """So many connections a second, of five kinds in turn; slow ones, and those that are cut off or hang, stay for five seconds.

    Prints how many of each kind went out; of the wrong ones every second has its wrong byte anywhere, which is told as "changed".
    """
    chance = random.Random(7)
    begin = time.monotonic()
    hello = whole_hello()
    assert hello[5] == 1 and hello[43] == 32, "the hello is not laid out as it used to be"
    kept = []  # [until when, connection, bytes that are still to be sent]
    counts = {}
    number = 0
    while (now := time.monotonic()) < begin + seconds:
        while number < (now - begin) * rate:
            kind = ("wrong", "garbage", "truncated", "slow", "hanging")[number % 5]
            number += 1
            if kind == "wrong" and number % 2 == 0:
                kind = "changed"
            connection = socket.socket()
            connection.setblocking(False)
            try:
                connection.connect(("127.0.0.1", port))
            except BlockingIOError:
                pass
            try:
                if kind in ("wrong", "changed"):
                    place = chance.choice(TELLING_PLACES) if kind == "wrong" else chance.randrange(5, len(hello))
                    connection.send(hello[:place] + bytes([hello[place] ^ 0xFF]) + hello[place + 1:])
                elif kind == "garbage":
                    connection.send(b"\x16\x03\x01\x02\x00" + chance.randbytes(600))
                elif kind == "truncated":
                    connection.send(hello[: chance.randrange(1, len(hello))])
                elif kind == "hanging":
                    connection.send(hello)
                else:
                    connection.send(hello[:8])
                counts[kind] = counts.get(kind, 0) + 1
            except OSError:
                pass
            kept.append([now + (5 if kind in ("slow", "hanging", "truncated") else 1), connection, bytearray(hello[8:] if kind == "slow" else b"")])
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


def median(times):
    if not times:
        sys.exit("FAILED: no request of the kept connections was answered")
    return times[len(times) // 2]


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
            kinds = json.loads(bad.communicate()[0] or "{}") if bad else {}
            if good.returncode:
                setting.fail(f"the normal traffic ended with {good.returncode}")
            if bad and bad.returncode:
                setting.fail(f"the hostile client ended with {bad.returncode}")
            sent, bound_to_fail = sum(kinds.values()), kinds.get("wrong", 0) + kinds.get("garbage", 0)
            failed = lambda: setting.stat()["total"]["tlsFailures"]
            # What came last may still have to be looked at.
            wait_until(lambda: failed() >= bound_to_fail, 10)
            total = setting.stat()["total"]
            print(f"{name}: kept connections {summary(told['kept'])}; new connections {summary(told['fresh'])}; {len(told['failures'])} failures")
            print(f"  hostile: {json.dumps(kinds) if bad else 'none'}; counted: {total['handshakes']} handshakes, {total['tlsFailures']} failed")
            for failure in told["failures"][:5]:
                print(f"  {failure}")
            if sent < rate * options.seconds / 2:
                setting.fail(f"only {sent} of {rate * options.seconds:g} hostile hellos went out")
            if total["tlsFailures"] < bound_to_fail:
                setting.fail(f"{bound_to_fail} hellos could only fail, and {total['tlsFailures']} failures were counted")
            if setting.stop() != 0:
                sys.exit("FAILED: weir did not end well")
            return len(told["failures"]), median(told["kept"])


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
    failures, alone = phase(options, "alone", 0)
    more, beside = phase(options, f"beside {options.hostile:g} hellos a second", options.hostile)
    if failures + more:
        sys.exit(f"FAILED: {failures + more} requests")
    if beside > 2 * alone + 0.002:
        sys.exit(f"FAILED: half of the requests took {alone * 1000:.2f} ms alone and {beside * 1000:.2f} ms beside hostile hellos")
    print("hellos passed")


if __name__ == "__main__":
    main()
