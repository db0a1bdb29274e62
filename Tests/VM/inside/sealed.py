"""Weir with the kernel's TLS: bodies spliced to clients under it, also where sockets hold next to nothing and readers are slow."""
import subprocess
import time

from machine import FILES, ask, doctor, head, load_modules, sysctl, take, text, tls, together, weir
from weir_under_load import wait_until

SUITES = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
CIPHERS = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"]


def server(number, words):
    return f"""
server {{
    addr = 127.0.0.1 port = {{port{number}}}
    ssl {{ enabled = true cert = "{FILES}/ecdsa.pem" key = "{FILES}/ecdsa.key" {words} }}
    downstream origin {{ addr = 127.0.0.1 port = {{origin}} connections = 4 connections-max = 64 }}
}}
"""


CONFIGURATION = "workers = 2\n" + "".join(server(number, f'cipher-suites = "{suite}"') for number, suite in enumerate(SUITES)) + server(3, "kernel-tls = off")
LARGE = 3_000_000


def found():
    """weir doctor says what to do without the module, and that all is well with it"""
    before = doctor()[1]
    load_modules()
    after = doctor()[1]
    assert "ok      kernel TLS: found and used" in after, after
    return "advice without the module: " + ("yes" if "advice  kernel TLS" in before else "it was there already")


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
    ask(connection, "GET", "/tunnel", "Connection: Upgrade\r\nUpgrade: echo\r\n")
    assert head(connection)[0] == 101
    for round in range(20):
        connection.sendall(b"ping %d" % round)
        assert connection.recv(100) == b"ping %d" % round
    connection.close()


def suites():
    """every version and suite, with keep-alive, chunks, uploads and an upgrade before and after"""
    load_modules()
    with weir(CONFIGURATION, 4) as setting:
        for number in range(3):
            one(setting.ports[number], "1.3", None, number)
            one(setting.ports[0], "1.2", CIPHERS[number], number)
        total = setting.stat()["total"]
        assert total["kernelTLSClients"] == 6, total
        assert total["splicedBytes"] > 6 * LARGE, total
        one(setting.ports[3], "1.3", None, 9)
        after = setting.stat()["total"]
        assert after["kernelTLSClients"] == 6 and after["splicedBytes"] == total["splicedBytes"], "off is not off"
        assert after["oddities"] == 0 and setting.stop() == 0
        return f"{total['splicedBytes'] >> 20} MiB spliced to 6 connections"


def narrow(rounds=10, together_count=6):
    """through send buffers of 4 KiB to readers that pause: by length and until the end, with close_notify behind every body"""
    load_modules()
    sysctl("net/ipv4/tcp_wmem", "4096 4096 4096")
    try:
        with weir(CONFIGURATION, 4) as setting:
            def visit(number):
                for round in range(rounds):
                    count = 100_000 + 1_009 * round + 7 * number
                    tag = number * 100 + round + 1
                    version = "1.2" if round % 3 == 0 else "1.3"
                    # Until the end is what an older client gets.
                    path, kind = ("until-close", "1.0") if round % 2 else ("bytes", "1.1")
                    connection = tls(setting.ports[number % 3], version, receive_buffer=4096)
                    connection.sendall(f"GET /{path}/{count}?tag={tag} HTTP/{kind}\r\nHost: example.com\r\nConnection: close\r\n\r\n".encode())
                    seconds = (0, 0.001, 0.004)[(number + round) % 3]

                    def pause(taken):
                        if seconds:
                            time.sleep(seconds)

                    if round % 4 >= 2:
                        time.sleep(0.3)
                    take(connection, tag, count, pause=pause)
                    # An end without close_notify raises.
                    assert connection.recv(10) == b"", "bytes behind the end"
                    connection.close()

            together(visit, together_count)
            total = setting.stat()["total"]
            assert total["kernelTLSClients"] > rounds * together_count // 2, total
            assert setting.stop() == 0
            return f"{rounds * together_count} bodies whole, {total['kernelTLSClients']} connections, {total['splicedBytes'] >> 10} KiB spliced"
    finally:
        sysctl("net/ipv4/tcp_wmem", "4096 16384 4194304")


def endings():
    """an idle connection is told the end at SIGTERM; a reader that stops for three seconds at the very end still gets all"""
    load_modules()
    sysctl("net/ipv4/tcp_wmem", "4096 4096 4096")
    try:
        with weir(CONFIGURATION, 4) as setting:
            idle = tls(setting.ports[0])
            ask(idle, "GET", "/bytes/100000?tag=3")
            begin = time.monotonic()
            try:
                take(idle, 3, 100000, pause=lambda taken: print(f"{time.monotonic() - begin:.2f} s: {taken}"))
            except OSError as error:
                print(f"idle: {error!r} {setting.stat()['total']}")
                setting.log.seek(0)
                print(setting.log.read().decode()[-3000:])
                raise
            late = tls(setting.ports[0], receive_buffer=4096)
            ask(late, "GET", "/bytes/100000?tag=4", "Connection: close\r\n")
            pauses = [80_000, 60_000]

            def pause(taken):
                if pauses and taken > pauses[-1]:
                    pauses.pop()
                    time.sleep(3)

            take(late, 4, 100000, pause=pause)
            assert late.recv(10) == b""
            print("late has all")
            stopped = tls(setting.ports[0], receive_buffer=4096)
            ask(stopped, "GET", "/bytes/70000?tag=5", "Connection: close\r\n")
            time.sleep(4)
            take(stopped, 5, 70000)
            assert stopped.recv(10) == b""
            assert setting.stat()["total"]["kernelTLSClients"] >= 2
            assert wait_until(lambda: setting.stat()["total"]["clientsOpen"] == 1, 20), setting.stat()["total"]["clientsOpen"]
            code = setting.stop()
            assert idle.recv(10) == b"", "no close_notify"
            assert code == 0
    finally:
        sysctl("net/ipv4/tcp_wmem", "4096 16384 4194304")


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
        begin = time.monotonic()
        process.wait(60)
        rest = process.stdout.read()
        print(f"s_client ended after {time.monotonic() - begin:.1f} s")
        assert wait_until(lambda: setting.stat()["total"]["clientsOpen"] == 0, 20)
        print(f"released after {time.monotonic() - begin:.1f} s")
        assert setting.stat()["total"]["kernelTLSClients"] == 1
        one(setting.ports[1], "1.3", None, 1)
        assert setting.stop() == 0
        return f"s_client ended with {process.returncode}: {rest.decode(errors='replace').strip().splitlines()[-1:]}"


SCENARIOS = [found, suites, narrow, endings, key_update]
