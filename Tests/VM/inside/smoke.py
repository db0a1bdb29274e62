"""The floor: Weir starts on this kernel, says so, and answers right, in the clear and under TLS."""
import subprocess

from machine import FILES, WEIR, ask, doctor, release, take, tcp, text, tls, together, weir

CONFIGURATION = f"""
workers = 2
server {{
    addr = 127.0.0.1 port = {{port0}}
    downstream origin {{ addr = 127.0.0.1 port = {{origin}} connections = 4 connections-max = 32 pipeline = 4 }}
}}
server {{
    addr = 127.0.0.1 port = {{port1}}
    ssl {{
        enabled = true
        cert = {{ "{FILES}/rsa.pem", "{FILES}/ecdsa.pem" }}
        key = {{ "{FILES}/rsa.key", "{FILES}/ecdsa.key" }}
    }}
    downstream origin {{ addr = 127.0.0.1 port = {{origin}} connections = 4 connections-max = 32 }}
}}
"""


def fitness():
    """weir doctor calls the machine fit"""
    assert release().startswith("6.1."), release()
    code, said = doctor()
    print(said)
    assert code == 0 and "PROBLEM" not in said
    assert "kernel: 6.1" in said and "not in this kernel" in said
    return f"weir doctor finds Linux {release()} fit, without minimum wait"


def visit(connection, number):
    for tag, count in ((3, 1), (5, 1000), (7, 40000 + number)):
        ask(connection, "GET", f"/bytes/{count}?tag={tag}")
        take(connection, tag, count)
        ask(connection, "GET", f"/chunked/{count}?tag={tag}")
        take(connection, tag, count)
    ask(connection, "POST", "/echo", "Content-Length: 11\r\n", b"hello there")
    assert text(connection) == (200, b"hello there")
    ask(connection, "HEAD", "/bytes/12345")
    connection.recv(65536)
    ask(connection, "GET", "/status/404")
    assert text(connection)[0] == 404
    connection.close()


def answers():
    """requests are answered right, in the clear and under TLS 1.2 and 1.3, on several connections at once"""
    with weir(CONFIGURATION) as setting:
        together(lambda number: visit(tcp(setting.ports[0]), number), 6)
        for version in ("1.2", "1.3"):
            together(lambda number: visit(tls(setting.ports[1], version), number), 3)
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{setting.ports[1]}", "-CAfile", f"{FILES}/ca.pem", "-verify_return_error", "-ign_eof"],
            input="GET /bytes/9 HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n", capture_output=True, text=True)
        assert "HTTP/1.1 200" in done.stdout, done.stdout + done.stderr
        total = setting.stat()["total"]
        assert total["handshakes"] == 7 and total["tlsFailures"] == 0, total
        assert setting.stop() == 0
        return f"{total['requests']} requests answered right, {total['handshakes']} handshakes"


def demo():
    """weir demo answers, and ends by SIGTERM"""
    process = subprocess.Popen([WEIR, "demo"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in process.stdout:
        if "listening on" in line:
            break
    connection = tcp(8080)
    ask(connection, "GET", "/bytes/5000?tag=1")
    take(connection, 1, 5000)
    process.terminate()
    process.stdout.read()
    assert process.wait(30) == 0


SCENARIOS = [fitness, answers, demo]
