"""Weir with the kernel's TLS: every byte of bodies that are spliced to clients under it, also where sockets hold next to nothing and
readers are slow, and what of it the counters tell."""
import subprocess
import time

from machine import FILES, ask, doctor, head, load_modules, sysctl, take, text, tls, together, weir
from weir_under_load import Body, wait_until

SUITES = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
CIPHERS = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"]
LARGE = 1_500_000


def server(number, words):
    return f"""
server {{
    addr = 127.0.0.1 port = {{port{number}}}
    ssl {{ enabled = true cert = "{FILES}/ecdsa.pem" key = "{FILES}/ecdsa.key" {words} }}
    downstream origin {{ addr = 127.0.0.1 port = {{origin}} connections = 4 connections-max = 64 }}
}}
"""


# A server for each suite, and one that has not been told to use the kernel.
CONFIGURATION = "workers = 2\n" + "".join(
    server(number, f'kernel-tls = true cipher-suites = "{suite}"') for number, suite in enumerate(SUITES)) + server(3, "")


class Buffers:
    """Send buffers that the system gives, put back at the end."""

    def __init__(self, tcp_wmem, wmem_max=212992):
        self.tcp_wmem, self.wmem_max = tcp_wmem, wmem_max

    def __enter__(self):
        sysctl("net/ipv4/tcp_wmem", self.tcp_wmem)
        sysctl("net/core/wmem_max", str(self.wmem_max))

    def __exit__(self, *_):
        sysctl("net/ipv4/tcp_wmem", "4096 16384 4194304")
        sysctl("net/core/wmem_max", "212992")


USUAL = "4096 16384 4194304"
NARROW = "4096 4096 4096"


def found():
    """weir doctor says what to do without the module, and that it is there once it is"""
    before = doctor()[1]
    load_modules()
    after = doctor()[1]
    assert "ok      kernel TLS: found" in after, after
    if "advice  kernel TLS: this kernel has no module tls" in before:
        return "advice without the module, found with it"
    return "found; it was there already"


def upload(connection, tag, count):
    ask(connection, "POST", f"/upload?tag={tag}", f"Content-Length: {count}\r\n")
    body = Body(tag)
    while body.count < count:
        connection.sendall(body.make(min(60_000, count - body.count)))
    status, said = text(connection)
    assert status == 200 and said == b"%d bytes, all as expected\n" % count, said


def one(port, version, ciphers, number):
    """Small and large answers, uploads and an upgrade on one connection, before and after the kernel has the key."""
    connection = tls(port, version, ciphers)
    tag = 100 * number + 1
    ask(connection, "GET", f"/bytes/5000?tag={tag}")
    take(connection, tag, 5000)
    for _ in range(2):
        ask(connection, "GET", f"/bytes/{LARGE}?tag={tag}")
        take(connection, tag, LARGE)
        ask(connection, "GET", f"/bytes/7?tag={tag}")
        take(connection, tag, 7)
        ask(connection, "GET", f"/chunked/200000?tag={tag}")
        take(connection, tag, 200000)
        ask(connection, "POST", "/echo", "Content-Length: 11\r\n", b"hello there")
        assert text(connection) == (200, b"hello there")
        upload(connection, tag, 400_000)
    ask(connection, "GET", "/tunnel", "Connection: Upgrade\r\nUpgrade: echo\r\n")
    assert head(connection)[0] == 101
    for round in range(20):
        message = b"ping %d" % round + b"." * (round * 3000)
        connection.sendall(message)
        got = b""
        while len(got) < len(message):
            got += connection.recv(65536)
        assert got == message
    connection.close()


def suites():
    """every version and suite, with keep-alive, chunks, uploads and an upgrade before and after"""
    load_modules()
    with weir(CONFIGURATION, 4) as setting:
        for number in range(3):
            one(setting.ports[number], "1.3", None, number)
            one(setting.ports[0], "1.2", CIPHERS[number], number)
        total = setting.stat()["total"]
        assert total["kernelTLSClients"] == 6 and total["kernelTLSRefused"] == 0, total
        assert total["splicedBytes"] > 6 * LARGE, total
        one(setting.ports[3], "1.3", None, 9)
        after = setting.stat()["total"]
        assert after["kernelTLSClients"] == 6 and after["splicedBytes"] == total["splicedBytes"], "used without being told to"
        assert after["oddities"] == 0 and after["kernelTLSLost"] == 0 and setting.stop() == 0, after
        return f"{total['splicedBytes'] >> 20} MiB spliced to 6 connections"


def visits(setting, number, rounds, receive_buffer, size):
    """Bodies to one reader after the other, half of them with an end behind each."""
    for round in range(rounds):
        version, ciphers = ("1.2", CIPHERS[(number + round) % 3]) if round % 3 == 0 else ("1.3", None)
        connection = tls(setting.ports[(number + round) % 3], version, ciphers, receive_buffer=receive_buffer)
        seconds = (0, 0.001, 0.004)[(number + round) % 3]

        def pause(taken):
            if seconds:
                time.sleep(seconds)

        for turn in range(3 if round % 2 else 1):
            count = size + 1_009 * round + 7 * number + turn
            tag = number * 100 + round + 1
            ask(connection, "GET", f"/bytes/{count}?tag={tag}")
            if round % 4 >= 2:
                time.sleep(0.2)
            take(connection, tag, count, pause=pause)
        # Until the end is what an older client gets; a body with a length and then the end is the other way.
        count = size + 11 * number
        tag = number * 100 + 50
        path, kind = ("until-close", "1.0") if round % 4 == 1 else ("bytes", "1.1")
        connection.sendall(f"GET /{path}/{count}?tag={tag} HTTP/{kind}\r\nHost: example.com\r\nConnection: close\r\n\r\n".encode())
        if round % 5 == 4:
            time.sleep(0.5)
        take(connection, tag, count, pause=pause)
        # An end without close_notify raises.
        assert connection.recv(10) == b"", "bytes behind the end"
        connection.close()


def bodies(rounds, together_count, receive_buffer, size):
    with weir(CONFIGURATION, 4) as setting:
        begin = time.monotonic()
        together(lambda number: visits(setting, number, rounds, receive_buffer, size), together_count)
        total = setting.stat()["total"]
        said = f"{total['requests']} bodies whole on {total['kernelTLSClients']} connections of the kernel's TLS and {total['kernelTLSRefused']} " \
            f"without, {total['splicedBytes'] >> 10} KiB spliced, {total['oddities']} oddities, {time.monotonic() - begin:.0f} s"
        assert total["kernelTLSLost"] == 0 and total["timeouts"] == 0, total
        assert setting.stop() == 0
        return total, said


def usual():
    """send buffers as they are usually, readers with room and without: by length and until the end, keep-alive and an end behind each"""
    load_modules()
    said = []
    for receive_buffer in (0, 4096):
        total, sentence = bodies(12, 4, receive_buffer, 120_000)
        assert total["kernelTLSClients"] >= 40, sentence
        said.append(sentence)
    return "; ".join(said)


def narrow():
    """the same where the system gives send buffers of 4 KiB"""
    load_modules()
    said = []
    with Buffers(NARROW):
        for receive_buffer in (0, 4096):
            total, sentence = bodies(12, 4, receive_buffer, 120_000)
            assert total["kernelTLSClients"] >= 40, sentence
            said.append(sentence)
    return "; ".join(said)


def between():
    """the same with buffers that do, but only just"""
    load_modules()
    with Buffers("4096 16384 46080"):
        total, sentence = bodies(8, 4, 0, 120_000)
        assert total["kernelTLSClients"] >= 28, sentence
        return sentence


def refused():
    """buffers of 4 KiB that may not be made larger: nothing is handed over, and nothing is lost"""
    load_modules()
    with Buffers(NARROW, 4608):
        total, sentence = bodies(4, 4, 0, 80_000)
        assert total["kernelTLSClients"] == 0 and total["kernelTLSRefused"] == 16 and total["splicedBytes"] == 0, sentence
        return sentence


def pressed():
    """a machine that is short of memory for sockets: a body is whole, or its reader is told that it is not, as without the kernel's TLS"""
    load_modules()
    with open("/proc/sys/net/ipv4/tcp_mem") as file:
        before = file.read()
    said = []
    for ports, words in ((range(3), "with"), ((3,), "without")):
        outcomes = {"whole": 0}
        with weir(CONFIGURATION, 4) as setting:

            def visit(number):
                for round in range(6):
                    try:
                        port = setting.ports[ports[number % len(ports)]]
                        connection = tls(port, "1.2" if round % 2 else "1.3", receive_buffer=0 if number % 2 else 16384)
                        count = 300_000 + 1_009 * round
                        ask(connection, "GET", f"/bytes/{count}?tag={number}", "Connection: close\r\n")
                        take(connection, number, count, pause=lambda taken: time.sleep(0.002))
                        assert connection.recv(10) == b"", "bytes behind the end"
                        outcomes["whole"] += 1
                        connection.close()
                    except OSError as error:
                        # A reset, or an end without close_notify.
                        outcomes[type(error).__name__] = outcomes.get(type(error).__name__, 0) + 1

            # Pages for all sockets of the machine: from when on it is short, and how many there are.
            sysctl("net/ipv4/tcp_mem", "16 24 160")
            try:
                together(visit, 6)
            finally:
                sysctl("net/ipv4/tcp_mem", before)
            assert wait_until(lambda: setting.stat()["total"]["clientsOpen"] == 0, 60)
            total = setting.stat()["total"]
            counted = {word: total[word] for word in (
                "requests", "kernelTLSClients", "kernelTLSRefused", "kernelTLSLost", "exchangesAborted", "timeouts", "oddities")}
            said.append(f"{words} the kernel's TLS {outcomes}, {counted}")
            assert setting.stop() == 0
    return "; ".join(said)


def endings():
    """an idle connection is told the end at SIGTERM; a reader that stops for three seconds at the very end still gets all"""
    load_modules()
    with Buffers(NARROW):
        with weir(CONFIGURATION, 4) as setting:
            idle = tls(setting.ports[0])
            ask(idle, "GET", "/bytes/100000?tag=3")
            take(idle, 3, 100000)
            late = tls(setting.ports[0], receive_buffer=4096)
            ask(late, "GET", "/bytes/100000?tag=4", "Connection: close\r\n")
            pauses = [80_000, 60_000]

            def pause(taken):
                if pauses and taken > pauses[-1]:
                    pauses.pop()
                    time.sleep(3)

            take(late, 4, 100000, pause=pause)
            assert late.recv(10) == b""
            stopped = tls(setting.ports[0], receive_buffer=4096)
            ask(stopped, "GET", "/bytes/70000?tag=5", "Connection: close\r\n")
            time.sleep(4)
            take(stopped, 5, 70000)
            assert stopped.recv(10) == b""
            total = setting.stat()["total"]
            # A reader that has not taken the head yet shows a window too small for it: that body is copied.
            assert total["kernelTLSClients"] >= 2 and total["kernelTLSLost"] == 0, total
            assert wait_until(lambda: setting.stat()["total"]["clientsOpen"] == 1, 20), setting.stat()["total"]["clientsOpen"]
            code = setting.stop()
            assert idle.recv(10) == b"", "no close_notify"
            assert code == 0


def gone():
    """readers that go away in the middle: connections are released, and others are served on"""
    load_modules()
    with weir(CONFIGURATION, 4) as setting:
        for number in range(12):
            connection = tls(setting.ports[number % 3], receive_buffer=4096 if number % 2 else 0)
            ask(connection, "GET", f"/bytes/4000000?tag={number}")
            head(connection)
            for _ in range(number):
                connection.recv(10_000)
            connection.close()
        assert wait_until(lambda: setting.stat()["total"]["clientsOpen"] == 0, 20), setting.stat()["total"]["clientsOpen"]
        one(setting.ports[1], "1.3", None, 1)
        total = setting.stat()["total"]
        # Who had gone before the first splice was not handed over.
        assert total["kernelTLSClients"] >= 7 and total["kernelTLSLost"] == 0, total
        assert setting.stop() == 0


def key_update():
    """a client that asks for other keys behind a large body gets its connection ended, and others go on"""
    load_modules()
    with weir(CONFIGURATION, 4) as setting:
        process = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{setting.ports[0]}", "-CAfile", f"{FILES}/ca.pem", "-tls1_3"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        process.stdin.write(b"GET /bytes/200000?tag=1 HTTP/1.1\r\nHost: example.com\r\n\r\n")
        process.stdin.flush()
        got = 0
        while got < 200_000:
            got += len(process.stdout.read1(65536))
        process.stdin.write(b"K\n")
        process.stdin.flush()
        process.wait(60)
        rest = process.stdout.read()
        assert wait_until(lambda: setting.stat()["total"]["clientsOpen"] == 0, 20)
        assert setting.stat()["total"]["kernelTLSClients"] == 1
        one(setting.ports[1], "1.3", None, 1)
        assert setting.stop() == 0
        return f"s_client ended with {process.returncode}: {rest.decode(errors='replace').strip().splitlines()[-1:]}"


SCENARIOS = [found, suites, usual, narrow, between, refused, pressed, endings, gone, key_update]
