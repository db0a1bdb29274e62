"""Large bodies through pipes on this kernel, also where sockets hold next to nothing and readers are slow."""
import time

from machine import ask, sysctl, take, tcp, text, together, weir
from weir_under_load import Body

CONFIGURATION = """
workers = 2
server {
    addr = 127.0.0.1 port = {port0}
    downstream origin { addr = 127.0.0.1 port = {origin} connections = 4 connections-max = 32 }
}
"""
BYTES = 20_000_000


def visit(setting, number, pause=None, bytes=BYTES):
    connection = tcp(setting.ports[0], 8192 if pause else 0)
    tag = number * 1000 + 1
    ask(connection, "GET", f"/bytes/{bytes}?tag={tag}")
    take(connection, tag, bytes, pause=pause)
    ask(connection, "POST", f"/upload?tag={tag}", f"Content-Length: {bytes}\r\n")
    body = Body(tag)
    while body.count < bytes:
        connection.sendall(body.make(bytes - body.count))
    status, said = text(connection)
    assert status == 200 and said == b"%d bytes, all as expected\n" % bytes, said
    connection.close()
    connection = tcp(setting.ports[0])
    ask(connection, "GET", f"/until-close/{bytes}?tag={tag}", "Connection: close\r\n")
    take(connection, tag, bytes, pause=pause)


def large():
    """bodies of 20 MB go up and down, by length and until the end"""
    with weir(CONFIGURATION, 1) as setting:
        together(lambda number: visit(setting, number), 3)
        spliced = setting.stat()["total"]["splicedBytes"]
        assert spliced > 3 * BYTES, f"only {spliced} bytes were spliced"
        assert setting.stop() == 0
        return f"{spliced >> 20} MiB were spliced, all as expected"


def narrow():
    """the same through send buffers of 4 KiB, to readers that stop now and then"""
    sysctl("net/ipv4/tcp_wmem", "4096 4096 4096")
    try:
        with weir(CONFIGURATION, 1) as setting:
            bytes = 1_000_000

            def pause(count):
                if count % 7 == 0:
                    time.sleep(0.002)

            together(lambda number: visit(setting, number, pause, bytes), 4)
            spliced = setting.stat()["total"]["splicedBytes"]
            assert setting.stop() == 0
            return f"{spliced >> 10} KiB were spliced through buffers of 4 KiB"
    finally:
        sysctl("net/ipv4/tcp_wmem", "4096 16384 4194304")


SCENARIOS = [large, narrow]
