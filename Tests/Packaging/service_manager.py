#!/usr/bin/env python3
"""Plays the service manager for the packaged program and its shipped configuration.

    Tests/Packaging/service_manager.py ROOT SCRATCH

Opens the port, hands it over (LISTEN_FDS), waits for READY=1 (NOTIFY_SOCKET), has a request served that came before the
program was there, rotates the logs as logrotate does, reloads, kills the process that serves, stops the service, and starts it again on
the same port; all with the rights that the unit file leaves.
"""
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading

PATIENCE = 20


def fail(sentence):
    print("service manager: " + sentence)
    sys.exit(1)


def backend():
    """Answers every connection with one request's worth of 200; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            client, _ = listener.accept()
            threading.Thread(target=answer, args=(client,), daemon=True).start()

    def answer(client):
        with client:
            while client.recv(65536):
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nserved")

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


class Service:
    """The program under NOTIFY_SOCKET and LISTEN_FDS, started as the unit file starts it."""

    def __init__(self, weir, configuration, listener, scratch, limits):
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = "weir-package-%d" % os.getpid()
        self.notify.bind("\0" + name)
        self.notify.settimeout(PATIENCE)
        self.log = open(os.path.join(scratch, "journal"), "ab")
        environment = {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": "@" + name, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"}

        def hand_over():
            os.dup2(listener.fileno(), 3)
            os.set_inheritable(3, True)

        # The shell's number is the program's: exec keeps it.
        command = limits + ["sh", "-c", 'LISTEN_PID=$$; export LISTEN_PID; exec "$0" run "$1"', weir, configuration]
        self.process = subprocess.Popen(
            command, env=environment, preexec_fn=hand_over, close_fds=False, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def expect(self, *words):
        try:
            text = self.notify.recv(4096).decode()
        except socket.timeout:
            self.process.kill()
            fail("no word of %s" % (words,))
        for word in words:
            if word not in text.split("\n"):
                fail("%r instead of %r" % (text, words))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.expect("STOPPING=1")
        if self.process.wait(PATIENCE) != 0:
            fail("it ended with %d" % self.process.returncode)
        self.notify.close()


def request(port, path, client=None):
    client = client or socket.create_connection(("127.0.0.1", port), PATIENCE)
    with client:
        client.settimeout(PATIENCE)
        client.sendall(("GET %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n" % path).encode())
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(b"served"):
        fail("%s was answered %r" % (path, answer[:200]))


def wait_for(what, condition):
    deadline = threading.Event()
    for _ in range(PATIENCE * 50):
        if condition():
            return
        deadline.wait(0.02)
    fail("in vain waited until " + what)


def content(path):
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def main():
    root, scratch = sys.argv[1:]
    os.chmod(scratch, 0o755)
    weir = os.path.join(root, "usr/bin/weir")
    logs, run = os.path.join(scratch, "log"), os.path.join(scratch, "run")
    for folder in (logs, run):
        os.mkdir(folder)
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    port = listener.getsockname()[1]

    # The shipped configuration with this test's places; the user it names may not exist here.
    text = content(os.path.join(root, "etc/weir/weir.conf"))
    changes = [("port = 8080", "port = %d" % port), ("port = 3000", "port = %d" % backend()), ("/var/log/weir", logs), ("/run/weir", run)]
    is_root = os.geteuid() == 0
    changes += [("user = weir", "user = nobody"), ("group = weir", "group = nogroup")] if is_root else [("user = weir", ""), ("group = weir", "")]
    for old, new in changes:
        if old not in text:
            fail("the configuration has no '%s'" % old)
        text = text.replace(old, new)
    configuration = os.path.join(scratch, "weir.conf")
    with open(configuration, "w") as file:
        file.write('workers = 2\nadmin-socket = "%s/admin"\n%s' % (run, text))

    limits = unit_limits(root) if is_root else []

    # A client that came before the program waits in the queue of the port.
    early = socket.create_connection(("127.0.0.1", port), PATIENCE)
    service = Service(weir, configuration, listener, scratch, limits)
    service.expect("READY=1", "MAINPID=%d" % service.process.pid, "STATUS=serving on 127.0.0.1:%d" % port)
    request(port, "/early", early)
    for _ in range(20):
        request(port, "/later")
    if content(os.path.join(run, "weir.pid")) != "%d\n" % service.process.pid:
        fail("the pid-file does not name it")
    access = os.path.join(logs, "access.log")
    wait_for("all requests are in the log", lambda: len(content(access).splitlines()) == 21)

    children = content("/proc/%d/task/%d/children" % (service.process.pid, service.process.pid)).split()
    status = content("/proc/%s/status" % children[0])
    if is_root and not re.search(r"^Uid:\s+%d\s" % pwd.getpwnam("nobody").pw_uid, status, re.M):
        fail("the serving process is not nobody")
    if is_root and not re.search(r"^NoNewPrivs:\s+1$", status, re.M):
        fail("the serving process may get new rights")

    rotate(root, scratch, logs, run)
    wait_for("the log is opened anew", lambda: os.path.exists(access) and os.path.exists(access + ".1"))
    request(port, "/rotated")
    wait_for("lines go to the new file or the old one", lambda: "/rotated" in content(access) + content(access + ".1"))
    request(port, "/again")
    wait_for("lines go to the new file", lambda: "/again" in content(access))

    service.process.send_signal(signal.SIGHUP)
    service.expect("RELOADING=1")
    service.expect("READY=1")
    request(port, "/reloaded")
    os.kill(int(children[0]), signal.SIGKILL)
    request(port, "/replaced")

    service.stop()
    if os.path.exists(os.path.join(run, "weir.pid")):
        fail("the pid-file is still there")

    # The manager holds the port: who comes between two runs is served by the second one.
    between = socket.create_connection(("127.0.0.1", port), PATIENCE)
    service = Service(weir, configuration, listener, scratch, limits)
    service.expect("READY=1")
    request(port, "/between", between)
    service.stop()


def unit_limits(root):
    """What the unit file leaves of root's rights, as a command in front of the program."""
    unit = content(os.path.join(root, "lib/systemd/system/weir.service"))
    capabilities = re.search(r"^CapabilityBoundingSet=(.+)$", unit, re.M).group(1).lower().replace("cap_", "").split()
    if not re.search(r"^NoNewPrivileges=yes$", unit, re.M):
        fail("the unit file allows new privileges")
    kept = ",".join(["-all"] + ["+" + name for name in capabilities])
    return ["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=" + kept]


def rotate(root, scratch, logs, run):
    """Rotates as the packaged rules say, by logrotate itself where it is installed."""
    rules = content(os.path.join(root, "etc/logrotate.d/weir")).replace("/var/log/weir", logs).replace("/run/weir", run)
    group = "adm" if os.geteuid() == 0 else None
    rules = rules if group else re.sub(r"\tcreate .*\n", "\tnocreate\n", rules)
    path = os.path.join(scratch, "logrotate.conf")
    with open(path, "w") as file:
        file.write(rules)
    os.chmod(path, 0o644)
    tool = shutil.which("logrotate") or shutil.which("logrotate", path="/usr/sbin:/sbin")
    if tool:
        done = subprocess.run([tool, "--force", "--state", os.path.join(scratch, "state"), path], capture_output=True, text=True)
        if done.returncode != 0:
            fail("logrotate: " + done.stderr)
        return
    print("service manager: no logrotate here, its work is done by hand")
    for name in ("access.log", "error.log"):
        os.rename(os.path.join(logs, name), os.path.join(logs, name + ".1"))
    subprocess.run(["sh", "-c", re.search(r"postrotate\n(.*?)\n\s*endscript", rules, re.S).group(1)], check=True)


try:
    main()
except Exception as problem:
    fail("%s: %s" % (type(problem).__name__, problem))
