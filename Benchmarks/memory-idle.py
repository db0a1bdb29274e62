#!/usr/bin/env python3
"""Memory of a proxy with many idle keep-alive clients, and whether it comes back.

  memory-idle.py PID PORT [--clients 4000] [--settle 20]

Each client sends one GET /1k, reads the answer and stays. Reported is the proportional memory (PSS) of the process and
all below it before, while the clients idle, and some time after all have gone.
"""
import argparse
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Tests", "Soak"))
from weir_under_load import memory_bytes

BYTES_EACH_MAX = 1024
RATIO_MAX = 1.2


def client(port, number):
    connection = socket.socket()
    connection.bind((f"127.0.0.{2 + number // 10000}", 0))
    connection.settimeout(10)
    connection.connect(("127.0.0.1", port))
    connection.sendall(b"GET /1k HTTP/1.1\r\nHost: localhost\r\n\r\n")
    text = b""
    while not text.endswith(b"x" * 1024):
        piece = connection.recv(65536)
        if not piece:
            sys.exit("closed before an answer")
        text += piece
    return connection


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("pid", type=int)
    options.add_argument("port", type=int)
    options.add_argument("--clients", type=int, default=4000)
    options.add_argument("--settle", type=float, default=20)
    options = options.parse_args()
    # Warm: every buffer that is lent to the kernel has been touched.
    for _ in range(20):
        for connection in [client(options.port, number) for number in range(100)]:
            connection.close()
    time.sleep(2)
    before = memory_bytes(options.pid)
    connections = [client(options.port, number) for number in range(options.clients)]
    time.sleep(3)
    idle = memory_bytes(options.pid)
    for connection in connections:
        connection.close()
    time.sleep(options.settle)
    after = memory_bytes(options.pid)
    each, ratio = (idle - before) / options.clients, after / before
    print(f"before {before >> 10} KiB, with {options.clients} idle clients {idle >> 10} KiB, after {after >> 10} KiB")
    print(f"bytes per idle client {each:.0f} (at most {BYTES_EACH_MAX}); after/before {ratio:.2f} (at most {RATIO_MAX})")
    if each > BYTES_EACH_MAX or ratio > RATIO_MAX:
        sys.exit("FAILED")


if __name__ == "__main__":
    main()
