"""What this kernel does with TLS of its own, without Weir: what `docs/internals/kernel-tls.md` says of it is tried here."""
import errno
import fcntl
import os
import select
import socket
import struct
import threading
import time

from machine import load_modules, sysctl
from weir_under_load import Body

SOL_TLS, TCP_ULP, TLS_TX, TLS_RX, TLS_SET_RECORD_TYPE, SO_MEMINFO = 282, 31, 1, 2, 1, 55
CIPHERS = {"AES-128-GCM": (51, 8, 16, 4), "AES-256-GCM": (52, 8, 32, 4), "ChaCha20-Poly1305": (54, 12, 32, 0)}
VERSIONS = {"1.2": 0x0303, "1.3": 0x0304}


def key(version, cipher, sequence=0):
    number, iv, secret, salt = CIPHERS[cipher]
    return struct.pack("=HH", VERSIONS[version], number) + b"i" * iv + b"k" * secret + b"s" * salt + struct.pack(">Q", sequence)


def pair(send_buffer=0, receive_buffer=0):
    """Two ends of a connection over loopback."""
    listener = socket.socket()
    if receive_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    near = socket.socket()
    if send_buffer:
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    near.connect(listener.getsockname())
    far, _ = listener.accept()
    listener.close()
    near.settimeout(60)
    far.settimeout(60)
    return near, far


def sealed_pair(version="1.3", cipher="AES-128-GCM", sequence=0, **buffers):
    near, far = pair(**buffers)
    for end, direction in ((near, TLS_TX), (far, TLS_RX)):
        end.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
        end.setsockopt(SOL_TLS, direction, key(version, cipher, sequence))
    return near, far


def control(connection, kind, data, flags=0):
    return connection.sendmsg([data], [(SOL_TLS, TLS_SET_RECORD_TYPE, bytes([kind]))], flags)


def receive(connection, count=65536):
    """What came and of which kind."""
    data, ancillary, _, _ = connection.recvmsg(count, 64)
    return data, ancillary[0][2][0] if ancillary else 23


def absent():
    """without the module there is no TLS in the kernel, and it says so"""
    near, _ = pair()
    try:
        near.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
        return "the module is built in, or was loaded by itself"
    except OSError as error:
        assert error.errno == errno.ENOENT, error
    load_modules()
    near.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
    return "ENOENT without the module, and with it the connection that stands is taken"


def ciphers():
    """every version and cipher carries bytes, from any sequence number on"""
    load_modules()
    for version in VERSIONS:
        for cipher in CIPHERS:
            for sequence in (0, 7, 1 << 40):
                near, far = sealed_pair(version, cipher, sequence)
                near.sendall(b"hello")
                assert far.recv(100) == b"hello", (version, cipher)
                near.close()
                far.close()


def alerts():
    """a record of another kind stays where it was put"""
    load_modules()
    near, far = sealed_pair()
    near.sendall(b"before")
    control(near, 21, b"\1\0")
    assert receive(far) == (b"before", 23)
    assert receive(far) == (b"\1\0", 21)


def rekey():
    """a second key for the same direction is refused"""
    load_modules()
    near, _ = sealed_pair()
    try:
        near.setsockopt(SOL_TLS, TLS_TX, key("1.3", "AES-128-GCM"))
    except OSError as error:
        return f"a second key is refused: {errno.errorcode[error.errno]}"
    raise AssertionError("a second key is taken")


class Reader(threading.Thread):
    """Compares what comes, slowly; notes how it ended."""

    def __init__(self, connection, tag, pause):
        super().__init__()
        self.connection, self.body, self.pause, self.end = connection, Body(tag), pause, None
        self.start()

    def run(self):
        try:
            while True:
                data, kind = receive(self.connection, 3000)
                if kind == 21:
                    self.end = "close_notify"
                elif not data:
                    self.end = self.end or "end without close_notify"
                    return
                else:
                    self.body.take(data)
                if self.pause:
                    time.sleep(self.pause)
        except (OSError, AssertionError) as error:
            self.end = f"{type(error).__name__} {error}"


def helping_that_fits(connection):
    """How much surely fits, as `KernelSendRoom` reckons: 0 = wait until it is writable."""
    memory = struct.unpack("9I", connection.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36))
    buffer, queued = memory[3], memory[5]
    fits = (buffer - queued - 9216) // 4
    return fits if fits >= min(16384, (buffer // 3 - 9216) // 4) else 0


def transfer(ending, pause, count, helping, round, blocking=False, buffers=(4608, 4096), asks_for_room=False):
    """Splices a body into a sealed connection with next to no send buffer; what the reader made of it."""
    source, feed = pair()
    near, far = sealed_pair(send_buffer=buffers[0], receive_buffer=buffers[1])
    reader = Reader(far, round, pause)

    def bring():
        body = Body(round)
        try:
            while body.count < count:
                feed.sendall(body.make(min(70000, count - body.count)))
        except OSError:
            pass
        feed.close()

    bringer = threading.Thread(target=bring)
    bringer.start()
    pipe_read, pipe_write = os.pipe()
    fcntl.fcntl(pipe_write, fcntl.F_SETPIPE_SZ if hasattr(fcntl, "F_SETPIPE_SZ") else 1031, 1 << 20)
    source.setblocking(True)
    near.setblocking(blocking)
    moved, stalled = 0, False
    while moved < count:
        got = os.splice(source.fileno(), pipe_write, min(helping, count - moved))
        if got == 0:
            break
        left = got
        while left:
            try:
                most = min(left, helping_that_fits(near)) if asks_for_room else left
                if most == 0:
                    raise BlockingIOError
                left -= os.splice(pipe_read, near.fileno(), most)
            except BlockingIOError:
                if not select.select([], [near], [], 10)[1]:
                    stalled = True
                    break
        if stalled:
            break
        moved += got
    if stalled:
        source.close()
        near.close()
    bringer.join()
    if stalled:
        reader.join()
        return f"nothing moved for 10 s after {moved} of {count}, of which {reader.body.count} had come"
    if ending == "at once":
        # As soon as the socket takes it; then a FIN.
        while True:
            try:
                control(near, 21, b"\1\0", socket.MSG_DONTWAIT)
                break
            except BlockingIOError:
                select.select([], [near], [])
    else:
        near.setblocking(True)
        control(near, 21, b"\1\0")
    near.shutdown(socket.SHUT_WR)
    reader.join()
    for each in (pipe_read, pipe_write):
        os.close(each)
    near.close()
    far.close()
    source.close()
    if reader.body.count == count and reader.end == "close_notify":
        return None
    return f"{reader.body.count} of {count}, {reader.end}"


def rounds(ending, blocking=False, number=40):
    lost = []
    for round in range(number):
        count = 60_000 + 1_009 * round
        outcome = transfer(ending, (0, 0.0005, 0.003)[round % 3], count, (4096, 16384, 65536, 200_000)[round % 4], round, blocking)
        if outcome:
            lost.append(outcome)
    return lost


def spliced_and_ended_at_once():
    """non-blocking splice, and an end as soon as the socket takes it: what is lost"""
    load_modules()
    lost = rounds("at once")
    return f"{len(lost)} of 40 bodies lost their ends where nobody waits" + (f": {lost[0]}" if lost else "")


def spliced_and_ended_blocking():
    """non-blocking splice, and an end that waits until the connection has taken all: nothing may be lost"""
    load_modules()
    lost = rounds("blocking")
    assert not lost, lost
    return "40 bodies whole where the last record is sent blocking"


def with_room():
    """the same, at once, where no more is given than the socket has room for: nothing may be lost, and nothing may stand"""
    load_modules()
    lost = []
    for round in range(40):
        outcome = transfer(
            "at once", (0, 0.0005, 0.003)[round % 3], 60_000 + 1_009 * round, (4096, 16384, 65536, 200_000)[round % 4], round,
            buffers=(65536, 4096 if round % 2 else 0), asks_for_room=True)
        if outcome:
            lost.append(outcome)
    assert not lost, lost
    return "40 bodies whole where it is asked for room first"


def stalls(count, number):
    lost = []
    for round in range(number):
        outcome = transfer("blocking", 0, count + round, (16384, 65536, 200_000)[round % 3], round, False, (0, 0))
        if outcome:
            lost.append(outcome)
    return f"{len(lost)} of {number} bodies came to a stand" + (f": {lost[0]}" if lost else "")


def usual_buffers():
    """with the buffers that are usual: whether bytes come to a stand"""
    load_modules()
    return stalls(3_000_000, 10)


def narrow():
    """send buffers of 4 KiB, readers with room, non-blocking splice: whether bytes come to a stand"""
    load_modules()
    sysctl("net/ipv4/tcp_wmem", "4096 4096 4096")
    try:
        return stalls(100_000, 6)
    finally:
        sysctl("net/ipv4/tcp_wmem", "4096 16384 4194304")


SCENARIOS = [absent, ciphers, alerts, rekey, spliced_and_ended_at_once, spliced_and_ended_blocking, with_room, usual_buffers, narrow]
