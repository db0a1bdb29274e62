"""What scripts of load and memory share: Weir and its origin as processes, their memory, the content of bodies."""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

PERIOD = 65521
PIECE_MAX = 262144


def make_table():
    """The origin's pattern (Sources/Proxy/Origin/OriginPattern.swift), long enough to be compared in pieces."""
    state, table = 1, bytearray()
    for _ in range(PERIOD):
        state = (state * 1103515245 + 12345) & 0xFFFFFFFF
        table.append(ord("0") + (state >> 16) % 75)
    while len(table) < PERIOD + PIECE_MAX:
        table += table[:PERIOD]
    return bytes(table)


TABLE = make_table()


class Body:
    """Takes the bytes of a body with a tag piece by piece and notes the first that is wrong."""

    def __init__(self, tag):
        self.place = tag % PERIOD
        self.count = 0

    def take(self, data):
        for start in range(0, len(data), PIECE_MAX):
            piece = data[start : start + PIECE_MAX]
            if TABLE[self.place : self.place + len(piece)] != piece:
                raise AssertionError(f"a body differs within {len(piece)} bytes from byte {self.count} on")
            self.place = (self.place + len(piece)) % PERIOD
            self.count += len(piece)

    def make(self, count):
        piece = TABLE[self.place : self.place + min(count, PIECE_MAX)]
        self.place = (self.place + len(piece)) % PERIOD
        self.count += len(piece)
        return piece


def make_certificates(folder, days=200):
    """An authority, `ca.pem`, and what it vouches for as example.com and 127.0.0.1: `rsa` and `ecdsa`, each .pem and .key."""
    os.makedirs(folder, exist_ok=True)
    curve = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]

    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True)

    openssl(
        "req", "-x509", "-newkey", *curve, "-nodes", "-days", str(days), "-subj", "/CN=Weir test root", "-keyout", f"{folder}/ca.key",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-out", f"{folder}/ca.pem")
    with open(f"{folder}/extensions", "w") as file:
        file.write("subjectAltName=DNS:example.com,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nkeyUsage=critical,digitalSignature\n"
                   "basicConstraints=critical,CA:FALSE\nauthorityInfoAccess=OCSP;URI:http://127.0.0.1/ocsp\n")
    for name, kind in (("rsa", ["rsa:2048"]), ("ecdsa", curve)):
        request = f"{folder}/{name}.csr"
        openssl("req", "-newkey", *kind, "-nodes", "-subj", "/CN=example.com", "-keyout", f"{folder}/{name}.key", "-out", request)
        openssl(
            "x509", "-req", "-in", request, "-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca.key", "-CAcreateserial", "-sha256",
            "-days", str(days), "-extfile", f"{folder}/extensions", "-out", f"{folder}/{name}.pem")


def process_tree(pid):
    found, todo = [], [pid]
    while todo:
        process = todo.pop()
        found.append(process)
        try:
            for task in os.listdir(f"/proc/{process}/task"):
                with open(f"/proc/{process}/task/{task}/children") as children:
                    todo += [int(child) for child in children.read().split()]
        except OSError:
            pass
    return found


def memory_bytes(pid):
    """Proportional memory (PSS) of a process and all below it."""
    total = 0
    for process in process_tree(pid):
        try:
            with open(f"/proc/{process}/smaps_rollup") as lines:
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except OSError:
            pass
    return total * 1024


def descriptor_count(pid):
    total = 0
    for process in process_tree(pid):
        try:
            total += len(os.listdir(f"/proc/{process}/fd"))
        except OSError:
            pass
    return total


class Setting:
    """An origin and a Weir with a configuration, in a directory of their own; ended with the `with` block.

    `{origin}` in the configuration stands for the origin's port, `{port0}`, `{port1}` … for free ports, and
    `{directory}` for the directory. `prefix` goes before the command, as `setpriv …`.
    """

    def __init__(self, weir, configuration, ports=1, prefix=(), preexec=None):
        self.weir = os.path.abspath(weir)
        self.directory = tempfile.mkdtemp(prefix="weir-load-")
        os.chmod(self.directory, 0o777)
        self.admin = f"{self.directory}/admin.sock"
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(4096)
        self.origin_port = listener.getsockname()[1]
        self.ports = self.free_ports(ports)
        text = configuration.replace("{origin}", str(self.origin_port)).replace("{directory}", self.directory)
        for index, port in enumerate(self.ports):
            text = text.replace("{port%d}" % index, str(port))
        self.configuration = f"{self.directory}/weir.conf"
        with open(self.configuration, "w") as file:
            file.write(f'admin-socket = "{self.admin}"\n{text}')
        self.log = open(f"{self.directory}/weir.log", "wb+")
        self.origin = subprocess.Popen(
            [self.weir, "origin-process"], preexec_fn=lambda: self.give(listener), pass_fds=(3,), stdout=self.log,
            stderr=self.log)
        listener.close()
        ready, ready_end = os.pipe()
        self.process = subprocess.Popen(
            [*prefix, self.weir, "run", "--ready-fd", str(ready_end), self.configuration], pass_fds=(ready_end,),
            stdout=self.log, stderr=self.log, preexec_fn=preexec)
        os.close(ready_end)
        if not os.read(ready, 1):
            self.fail("weir did not start")
        os.close(ready)
        self.pid = self.process.pid

    @staticmethod
    def give(listener):
        os.dup2(listener.fileno(), 3)
        os.set_inheritable(3, True)

    @staticmethod
    def free_ports(count):
        sockets = [socket.socket() for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in sockets]
        for each in sockets:
            each.close()
        return ports

    def stat(self):
        done = subprocess.run(
            [self.weir, "stat", "--json", "--socket", self.admin], capture_output=True, text=True, timeout=20)
        if done.returncode:
            self.fail(f"weir stat: {done.stderr}")
        return json.loads(done.stdout)

    def fail(self, sentence):
        self.log.seek(0)
        sys.stderr.write(self.log.read().decode(errors="replace")[-4000:])
        self.__exit__()
        sys.exit(f"FAILED: {sentence}")

    def stop(self):
        """Asks Weir to end; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = -1
        self.origin.kill()
        self.origin.wait()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.origin.poll() is None:
            self.origin.kill()
            self.origin.wait()


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return condition()
