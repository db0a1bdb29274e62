#!/usr/bin/env python3
"""Mixed traffic through a Weir with two workers; every body is checked, and every request is accounted for.

  soak.py WEIR [--minutes 10] [--seed N]

Exits with 1 when a body was wrong, when log, counters and requests do not agree, when something failed that was not
made to fail, or when memory or descriptors have grown.
"""
import argparse
import asyncio
import base64
import collections
import hashlib
import json
import os
import random
import socket
import struct
import sys
import time

from weir_under_load import Body, Setting, descriptor_count, memory_bytes

CONFIGURATION = """
workers = 2
server {
    addr = 127.0.0.1 port = {port0}
    logging { request { enabled = true output = "file:{directory}/access.log" format = json } }
    downstream origin { addr = 127.0.0.1 port = {origin} connections = 8 connections-max = 128 }
}
server {
    addr = 127.0.0.1 port = {port1}
    logging { request { enabled = true output = "file:{directory}/access.log" format = json } }
    downstream origin { addr = 127.0.0.1 port = {origin} connections = 4 connections-max = 128 pipeline = 8 }
}
server {
    addr = 127.0.0.1 port = {port2}
    logging { request { enabled = true output = "file:{directory}/access.log" format = json } }
    downstream origin { addr = 127.0.0.1 port = {origin} connections = 4 connections-max = 4 pipeline = 8 }
}
"""
# The third server gets only what leaves connections usable, so that it goes on sharing them.

BAD_REQUESTS = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n",
    b"GET / HTTP/2.7\r\nHost: a\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40) + b"\r\n\r\n",
]


class Answer:
    def __init__(self, status, fields):
        self.status, self.fields = status, fields
        self.length = int(fields["content-length"]) if "content-length" in fields else None
        self.chunked = "chunked" in fields.get("transfer-encoding", "")
        self.closes = "close" in fields.get("connection", "")


class Client:
    """One connection, and what a soak does with one."""

    def __init__(self, port):
        self.port = port

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 18)
        return self

    async def __aexit__(self, *_):
        self.writer.close()

    def reset(self):
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def send(self, method, target, fields="", version="1.1", body=b""):
        self.writer.write(f"{method} {target} HTTP/{version}\r\nHost: soak.test\r\n{fields}\r\n".encode() + body)

    async def head(self):
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in text[1:] if ": " in line)
        return Answer(int(text[0].split()[1]), fields)

    async def pieces(self, answer):
        """The body of an answer, decoded, in pieces."""
        if answer.chunked:
            while size := int((await self.reader.readline()).split(b";")[0], 16):
                yield (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readuntil(b"\r\n")
        elif answer.length is not None:
            left = answer.length
            while left:
                piece = await self.reader.read(min(left, 1 << 17))
                if not piece:
                    raise AssertionError(f"{left} bytes of a body are missing")
                left -= len(piece)
                yield piece
        else:
            while piece := await self.reader.read(1 << 17):
                yield piece

    async def expect(self, tag, count, status=200, pause=0):
        """Reads an answer whose body is the pattern."""
        answer = await self.head()
        assert answer.status == status, f"status {answer.status} in place of {status}"
        body = Body(tag)
        async for piece in self.pieces(answer):
            body.take(piece)
            if pause:
                await asyncio.sleep(pause)
        assert body.count == count, f"{body.count} bytes in place of {count}"
        return answer

    async def text(self):
        answer = await self.head()
        return answer, b"".join([piece async for piece in self.pieces(answer)])


class Soak:
    def __init__(self, setting, seed):
        self.setting = setting
        self.random = random.Random(seed)
        self.kinds = collections.Counter()
        self.requests = 0
        self.aborted = 0
        self.broken = 0
        self.bad = 0
        self.without_length = 0
        self.bytes_down = 0
        self.failures = []
        self.isOver = False

    def port(self, tame=False):
        return self.random.choice(self.setting.ports if tame else self.setting.ports[:2])

    def target(self, kind, most):
        count = int(2 ** self.random.uniform(0, most))
        tag = self.random.randrange(1, 65000)
        self.bytes_down += count
        return f"/{kind}/{count}?tag={tag}", tag, count

    # Each of these is one visit; it counts a request when the whole head has been sent.

    async def keep_alive(self):
        async with Client(self.port(tame=True)) as client:
            for _ in range(self.random.randrange(1, 60)):
                target, tag, count = self.target(self.random.choice(["bytes", "bytes", "chunked"]), 15)
                client.send("GET", target)
                self.requests += 1
                await client.expect(tag, count)

    async def small_words(self):
        async with Client(self.port(tame=True)) as client:
            for _ in range(10):
                status = self.random.choice([200, 204, 301, 304, 404, 418, 500, 503])
                client.send("GET", f"/status/{status}")
                self.requests += 1
                answer = await client.head()
                assert answer.status == status
                if status not in (204, 304):
                    async for _ in client.pieces(answer):
                        pass
                client.send("HEAD", "/bytes/12345")
                self.requests += 1
                answer = await client.head()
                assert answer.status == 200 and answer.length == 12345

    async def pipelined(self):
        async with Client(self.port(tame=True)) as client:
            for _ in range(5):
                wanted = [self.target(self.random.choice(["bytes", "chunked"]), 12) for _ in range(8)]
                for target, _, _ in wanted:
                    client.send("GET", target)
                self.requests += len(wanted)
                for _, tag, count in wanted:
                    await client.expect(tag, count)

    async def slow_answers(self):
        async with Client(self.port()) as client:
            client.send("GET", f"/slow/{self.random.randrange(1, 800)}")
            self.requests += 1
            _, text = await client.text()
            assert text == b"Sorry to have kept you waiting.\n", text

    async def large(self):
        async with Client(self.port()) as client:
            for _ in range(3):
                target, tag, count = self.target(self.random.choice(["bytes", "bytes", "chunked"]), 24.5)
                client.send("GET", target)
                self.requests += 1
                await client.expect(tag, count)

    async def slow_reader(self):
        async with Client(self.port()) as client:
            tag = self.random.randrange(65000)
            client.send("GET", f"/bytes/6000000?tag={tag}")
            self.requests += 1
            await client.expect(tag, 6000000, pause=0.02)

    async def closing(self):
        for _ in range(4):
            async with Client(self.port()) as client:
                way = self.random.randrange(3)
                target, tag, count = self.target(["bytes", "until-close", "chunked"][way], 20)
                self.without_length += way == 1
                client.send("GET", target, "Connection: close\r\n" if way == 0 else "", "1.0" if way == 2 else "1.1")
                self.requests += 1
                await client.expect(tag, count)
                if way != 1:
                    assert await client.reader.read(1) == b"", "bytes behind the last answer"

    async def upload(self):
        async with Client(self.port()) as client:
            for _ in range(2):
                tag, count = self.random.randrange(65000), int(2 ** self.random.uniform(0, 24))
                chunked = self.random.random() < 0.4
                client.send(
                    "POST", f"/upload?tag={tag}",
                    "Transfer-Encoding: chunked\r\n" if chunked else f"Content-Length: {count}\r\n")
                self.requests += 1
                body = Body(tag)
                while body.count < count:
                    piece = body.make(min(count - body.count, self.random.choice([1000, 65536, 262144])))
                    client.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                    await client.writer.drain()
                if chunked:
                    client.writer.write(b"0\r\n\r\n")
                answer, text = await client.text()
                assert answer.status == 200 and text == b"%d bytes, all as expected\n" % count, text

    async def echo(self):
        async with Client(self.port()) as client:
            tag, count = self.random.randrange(65000), int(2 ** self.random.uniform(0, 18))
            client.send("POST", "/echo", f"Content-Length: {count}\r\n", body=Body(tag).make(count))
            self.requests += 1
            await client.expect(tag, count)

    async def web_socket(self):
        async with Client(self.port()) as client:
            key = base64.b64encode(self.random.randbytes(16)).decode()
            client.send(
                "GET", "/ws",
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {key}\r\n")
            self.requests += 1
            answer = await client.head()
            wanted = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest())
            assert answer.status == 101 and answer.fields["sec-websocket-accept"] == wanted.decode().lower()
            for _ in range(self.random.randrange(1, 20)):
                await self.message(client, 0x82, self.random.randbytes(int(2 ** self.random.uniform(0, 17))), 0x82)
            await self.message(client, 0x89, b"ping", 0x8A)
            await self.message(client, 0x88, b"\x03\xe8", 0x88)
            assert await client.reader.read(1) == b"", "bytes behind a close frame"

    async def message(self, client, first, payload, expected):
        mask = self.random.randbytes(4)
        size = len(payload)
        head = bytes([first, 0x80 | (size if size < 126 else 126 if size < 65536 else 127)])
        if size >= 126:
            head += size.to_bytes(2 if size < 65536 else 8, "big")
        # The mask of four bytes over all of the payload, as one large number.
        full = int.from_bytes((mask * (size // 4 + 1))[:size], "big") ^ int.from_bytes(payload, "big")
        client.writer.write(head + mask + full.to_bytes(size, "big"))
        await client.writer.drain()
        got = await client.reader.readexactly(2)
        assert got[0] == expected, f"frame {got[0]:x} in place of {expected:x}"
        length = got[1]
        if length >= 126:
            length = int.from_bytes(await client.reader.readexactly(2 if length == 126 else 8), "big")
        assert await client.reader.readexactly(length) == payload, "a message came back changed"

    async def tunnel(self):
        async with Client(self.port()) as client:
            client.send("GET", "/tunnel", "Connection: Upgrade\r\nUpgrade: echo\r\n")
            self.requests += 1
            assert (await client.head()).status == 101
            tag, count = self.random.randrange(65000), int(2 ** self.random.uniform(0, 22))

            async def talk():
                body = Body(tag)
                while body.count < count:
                    client.writer.write(body.make(count - body.count))
                    await client.writer.drain()
                client.writer.write_eof()

            talking = asyncio.ensure_future(talk())
            heard = Body(tag)
            while piece := await client.reader.read(1 << 17):
                heard.take(piece)
            await talking
            assert heard.count == count, f"a tunnel returned {heard.count} bytes of {count}"

    # What goes wrong on purpose.

    async def abort_download(self):
        async with Client(self.port()) as client:
            client.send("GET", "/bytes/50000000?tag=5")
            self.requests += 1
            self.aborted += 1
            await client.head()
            await client.reader.read(self.random.randrange(1, 200000))
            client.reset()

    async def abort_upload(self):
        async with Client(self.port()) as client:
            client.send("POST", "/upload?tag=5", "Content-Length: 5000000\r\nExpect: 100-continue\r\n")
            self.requests += 1
            self.aborted += 1
            assert (await client.head()).status == 100
            client.writer.write(Body(5).make(self.random.randrange(1, 200000)))
            await client.writer.drain()
            client.reset()

    async def broken_answer(self):
        async with Client(self.port()) as client:
            client.send("GET", f"/broken/{self.random.randrange(100, 5000000)}?tag=7")
            self.requests += 1
            self.broken += 1
            try:
                answer = await client.head()
                if answer.status == 502:
                    return
                body = Body(7)
                async for piece in client.pieces(answer):
                    body.take(piece)
            except (AssertionError, OSError, asyncio.IncompleteReadError) as error:
                if "differs" in str(error):
                    raise
                return
            raise AssertionError("an answer that broke off came out whole")

    async def bad_request(self):
        async with Client(self.port()) as client:
            client.writer.write(self.random.choice(BAD_REQUESTS))
            self.requests += 1
            self.bad += 1
            answer, _ = await client.text()
            assert answer.status in (400, 501, 505) and answer.closes, f"status {answer.status}"
            assert await client.reader.read(1) == b""

    async def silent(self):
        """Comes, says nothing or half a head, and goes: no request."""
        async with Client(self.port()) as client:
            if self.random.random() < 0.5:
                await asyncio.sleep(self.random.uniform(0, 0.2))

    async def visitor(self):
        visits = (
            [self.keep_alive] * 8 + [self.pipelined] * 4 + [self.closing] * 3 + [self.upload] * 3 + [self.large] * 2
            + [self.small_words, self.slow_answers, self.slow_reader, self.echo, self.web_socket, self.tunnel]
            + [self.abort_download, self.abort_upload, self.broken_answer, self.bad_request, self.silent])
        while not self.isOver:
            visit = self.random.choice(visits)
            try:
                await asyncio.wait_for(visit(), 60)
                self.kinds[visit.__name__] += 1
            except Exception as error:
                self.failures.append(f"{visit.__name__}: {type(error).__name__} {error}")
                if len(self.failures) >= 20:
                    self.isOver = True

    async def run(self, seconds, visitors=48):
        self.isOver = False
        begun = time.monotonic()
        tasks = [asyncio.ensure_future(self.visitor()) for _ in range(visitors)]
        said = begun
        while not self.isOver and time.monotonic() - begun < seconds:
            await asyncio.sleep(0.5)
            if time.monotonic() - said >= 10:
                said = time.monotonic()
                print(
                    f"{said - begun:5.0f} s  {self.requests} requests  {self.bytes_down >> 20} MiB  "
                    f"{memory_bytes(self.setting.pid) >> 10} KiB  {descriptor_count(self.setting.pid)} descriptors  "
                    f"{len(self.failures)} failures", flush=True)
        self.isOver = True
        await asyncio.gather(*tasks)


def settle(setting):
    """Waits until nothing is open and memory has had its time to come back.

    Of the descriptors those of the pools are left out: how many backend connections stand is the load's affair.
    """
    end = time.monotonic() + 30
    while time.monotonic() < end:
        total = setting.stat()["total"]
        if total["clientsOpen"] == 0 and total["exchangesOpen"] == 0:
            break
        time.sleep(0.5)
    time.sleep(8)
    pooled = sum(backend["connections"] for backend in setting.stat()["backends"])
    return memory_bytes(setting.pid), descriptor_count(setting.pid) - pooled


def read_log(path):
    counts = collections.Counter()
    reasons = collections.Counter()
    ids = set()
    with open(path) as log:
        for line in log:
            entry = json.loads(line)
            if "dropped_lines" in entry:
                continue
            counts["lines"] += 1
            ids.add(entry["id"])
            reasons[entry["reason"] or "-"] += 1
            counts[entry["status"]] += 1
    counts["ids"] = len(ids)
    return counts, reasons


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("weir")
    options.add_argument("--minutes", type=float, default=10)
    options.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = options.parse_args()
    print(f"seed {options.seed}", flush=True)
    wrong = []

    def check(what, found, wanted):
        print(f"{what}: {found}" + ("" if found == wanted else f", wanted {wanted}"))
        if found != wanted:
            wrong.append(what)

    with Setting(options.weir, CONFIGURATION, ports=3) as setting:
        soak = Soak(setting, options.seed)
        asyncio.run(soak.run(min(15, options.minutes * 15)))
        memory_early, descriptors_early = settle(setting)
        asyncio.run(soak.run(options.minutes * 60))
        memory_late, descriptors_late = settle(setting)
        stat = setting.stat()
        total = stat["total"]
        check("exit code", setting.stop(), 0)
        counts, reasons = read_log(f"{setting.directory}/access.log")
        print("visits:", dict(soak.kinds))
        print("reasons:", dict(reasons))
        for failure in collections.Counter(soak.failures).most_common(20):
            print("failure:", failure)
        check("failures", len(soak.failures), 0)
        check("requests counted", total["requests"], soak.requests)
        check("lines in the log", counts["lines"], soak.requests)
        check("request ids", counts["ids"], soak.requests)
        check("all other answers", reasons.pop("-"), soak.requests - soak.bad - soak.aborted - soak.broken)
        check("clients gone", reasons.pop("client-gone"), soak.aborted)
        broken = sum(reasons.pop(word, 0) for word in ("backend-reset", "backend-closed", "answer-too-short"))
        check("broken answers", broken, soak.broken)
        check("bad requests", reasons.total(), soak.bad)
        check("parse failures", total["parseFailures"], soak.bad)
        for counter in ("clientsOpen", "exchangesOpen", "pendingNow", "logLinesDropped", "eventsDropped"):
            check(counter, total[counter], 0)
        # An answer without a length ends a connection that others may have shared: odd, and provoked.
        print(f"oddities: {total['oddities']}")
        if total["oddities"] > soak.without_length:
            wrong.append("oddities")
        check("restarts", stat["restarts"], 0)
        print(f"memory {memory_early >> 10} KiB early, {memory_late >> 10} KiB late")
        if memory_late > memory_early * 1.2 + (4 << 20):
            wrong.append("memory")
        print(f"descriptors beside the pools: {descriptors_early} early, {descriptors_late} late")
        # A pipe that was thrown away early on is another one late.
        if descriptors_late > descriptors_early + 2:
            wrong.append("descriptors")
        print(
            f"spliced {total['splicedBytes'] >> 20} MiB, copied {total['copiedBytes'] >> 20} MiB, "
            f"{total['pipelinedRequests']} pipelined, {total['retries']} retries, {total['pipelineResends']} resent")
        if wrong:
            print(f"kept: {setting.directory}, seed {options.seed}")
            sys.exit("FAILED: " + ", ".join(wrong))
        for name in os.listdir(setting.directory):
            os.unlink(f"{setting.directory}/{name}")
        os.rmdir(setting.directory)
        print("soak passed")


if __name__ == "__main__":
    main()
