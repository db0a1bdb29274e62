#!/usr/bin/env python3
"""What a thousand clients cost that read one byte a second of a large body.

  memory-slow-readers.py [WEIR] [--clients 1000] [--seconds 60]

First with the progress and rate timers off: Weir's own memory (PSS of its processes) must grow by at most 64 MiB, and
what TCP holds in Weir's sockets (those of the clients and the origin are their own affair) together with pipes by at
most 256 MiB. Then with the defaults: all must be cut off.
"""
import argparse
import os
import re
import select
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Tests", "Soak"))
from weir_under_load import Setting, memory_bytes, process_tree, wait_until

CONFIGURATION = """
workers = 2
server {
    addr = 127.0.0.1 port = {port0}
    TIMERS
    downstream origin { addr = 127.0.0.1 port = {origin} connections = 0 connections-max = 2000 read-timeout = 0 }
}
"""
OWN_MAX = 64 << 20
KERNEL_MAX = 256 << 20


def tcp_bytes(pid):
    """What the sockets of Weir's processes hold: received, queued for sending, and set aside for either."""
    processes = tuple(f"pid={process}," for process in process_tree(pid))
    lines = subprocess.run(["ss", "-tmnpO"], capture_output=True, text=True, check=True).stdout.splitlines()
    total = 0
    for line in lines:
        held = re.search(r"skmem:\(r(\d+),.*?,f(\d+),w(\d+),o(\d+)", line)
        if held and any(process in line for process in processes):
            total += sum(int(amount) for amount in held.groups())
    return total


def pipe_bytes(pid):
    """Capacity of the pipes of all processes, an upper bound of what they hold."""
    pipes = set()
    for process in process_tree(pid):
        try:
            for descriptor in os.listdir(f"/proc/{process}/fd"):
                target = os.readlink(f"/proc/{process}/fd/{descriptor}")
                if target.startswith("pipe:"):
                    pipes.add(target)
        except OSError:
            pass
    return len(pipes) << 20


def connect(setting, count):
    clients = []
    for _ in range(count):
        client = socket.socket()
        # Small, so that what the clients themselves hold is not counted as what they cost.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", setting.ports[0]))
        client.sendall(b"GET /bytes/1000000000 HTTP/1.1\r\nHost: slow.test\r\n\r\n")
        clients.append(client)
    return clients


def read_slowly(clients, seconds):
    """A byte a second from each; how many of them have been ended."""
    gone = set()
    end = time.monotonic() + seconds
    while time.monotonic() < end and len(gone) < len(clients):
        begun = time.monotonic()
        for client in clients:
            if client in gone:
                continue
            try:
                if not client.recv(1, socket.MSG_DONTWAIT):
                    gone.add(client)
            except BlockingIOError:
                pass
            except OSError:
                gone.add(client)
        # The bytes of a connection that was reset are read before its end is seen: ask for the end itself.
        poll = select.poll()
        for client in clients:
            if client not in gone:
                poll.register(client, 0)
        dead = {number for number, _ in poll.poll(0)}
        gone |= {client for client in clients if client not in gone and client.fileno() in dead}
        time.sleep(max(0, begun + 1 - time.monotonic()))
    return len(gone)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("weir", nargs="?", default=".build/release/weir")
    options.add_argument("--clients", type=int, default=1000)
    options.add_argument("--seconds", type=float, default=60)
    options = options.parse_args()
    wrong = []

    off = CONFIGURATION.replace("TIMERS", "write-timeout = 0 min-rate = 0 tcp-user-timeout = 0")
    with Setting(options.weir, off) as setting:
        time.sleep(2)
        before = (memory_bytes(setting.pid), tcp_bytes(setting.pid), pipe_bytes(setting.pid))
        clients = connect(setting, options.clients)
        gone = read_slowly(clients, options.seconds)
        after = (memory_bytes(setting.pid), tcp_bytes(setting.pid), pipe_bytes(setting.pid))
        own, tcp, pipes = (late - early for early, late in zip(before, after))
        total = setting.stat()["total"]
        print(
            f"{options.clients} clients, timers off, after {options.seconds:.0f} s: own memory +{own / (1 << 20):.1f} MiB "
            f"(at most 64), TCP +{tcp / (1 << 20):.1f} MiB and pipes +{pipes / (1 << 20):.1f} MiB (together at most 256); "
            f"{total['clientsOpen']} open, {gone} gone")
        if own > OWN_MAX or tcp + pipes > KERNEL_MAX or gone or total["clientsOpen"] != options.clients:
            wrong.append("timers off")
        for client in clients:
            client.close()
        wait_until(lambda: setting.stat()["total"]["clientsOpen"] == 0, 30)

    with Setting(options.weir, CONFIGURATION.replace("TIMERS", "")) as setting:
        clients = connect(setting, options.clients)
        begun = time.monotonic()
        read_slowly(clients, options.seconds)
        left = setting.stat()["total"]["clientsOpen"]
        print(f"{options.clients} clients, default timers: {options.clients - left} cut off within {time.monotonic() - begun:.0f} s")
        if left:
            wrong.append("default timers")
    if wrong:
        sys.exit("FAILED: " + ", ".join(wrong))


if __name__ == "__main__":
    main()
