#!/usr/bin/env python3
"""What choosing by virtual host and rule costs: CPU time per request with many of both, against one rule.

Each variant runs in turn, several rounds; the proxy has core 0, its backend and wrk share core 1.  The figure is the
user and system time that the proxy spends per request.  Times flicker by a percent or two, so rounds are interleaved
and medians compared.

  Benchmarks/rules.py --weir .build/release/weir --hosts 200 --rules 2000 --rounds 5
"""
import argparse, http.client, os, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

BACK, FRONT = 30480, 30490


def tree(pid):
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                todo += [int(c) for c in open(f"/proc/{pid}/task/{thread}/children").read().split()]
        except OSError:
            pass
    return found


def cpu(pid):
    """Seconds of the processes, user and system."""
    total = 0
    for process in tree(pid):
        for thread in os.listdir(f"/proc/{process}/task"):
            total += int(open(f"/proc/{process}/task/{thread}/schedstat").read().split()[0])
    return total / 1e9


def wait(port, seconds):
    end = time.time() + seconds
    while time.time() < end:
        try:
            return socket.create_connection(("127.0.0.1", port), 0.3).close()
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on {port}")


def wait_for_answer(host, path, seconds):
    """The listener is open before the first request can be answered."""
    end = time.time() + seconds
    while time.time() < end:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", FRONT, timeout=5)
            connection.request("GET", path, headers={"Host": host})
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"{host}{path} is not answered 200")


def rule(number, host=""):
    """A quarter each of exact paths, prefixes, patterns with a suffix, and regular expressions."""
    name, number = number, f"{host}{number}"
    matcher = [
        f'uri-match = "/app{number}/index.html"',
        f'uri-gmatch = "/static{number}/*"',
        f"uri-gmatch = '/img{number}/*.png'",
        f"uri-rmatch = '^/api/v{number}/[a-z]+/[0-9]+$'",
    ][name % 4]
    return f"rule r{name} {{ {matcher} downstreams = b }}\n"


def server(sites):
    return f"""workers = 1
server {{
  addr = 127.0.0.1
  port = {FRONT}
  backlog = 4096
  downstream b {{ addr = 127.0.0.1 port = {BACK} connections = 512 }}
  {sites}
}}
"""


def configurations(folder, hosts, rules, own):
    """`own`: every host has rules of its own; else all have the same, as hosts made from one template have."""
    one = server('vhost "www.site0.example.com" { default = true rule all { uri-gmatch = "*" downstreams = b } }')
    text = "".join(rule(number) for number in range(rules))
    includes = []
    for host in range(hosts):
        if own:
            text = "".join(rule(number, f"{host}x") for number in range(rules))
        path = f"{folder}/host{host}.conf"
        name = f'"*.site{host}.example.com"' if host % 3 == 2 else f'"www.site{host}.example.com"'
        open(path, "w").write(f"vhost {name} {{\n{text}}}\n")
        includes.append(f'include "{path}"')
    many = server("\n  ".join(includes))
    last = rules - 1
    pick = {kind: f"{hosts - 1}x" * own + str(last - (last - kind) % 4) for kind in range(4)}
    paths = {
        "exact": f"/app{pick[0]}/index.html", "prefix": f"/static{pick[1]}/a/b.css", "glob": f"/img{pick[2]}/a/b.png",
        "pattern": f"/api/v{pick[3]}/users/42",
    }
    variants = {}
    for kind, path in paths.items():
        variants[f"one, {kind}"] = (one, "www.site0.example.com", path)
        variants[f"many, {kind}"] = (many, f"www.site{hosts - 1}.example.com", path)
    # Any host and any rule: what is not in a cache has to come from memory.
    open(f"{folder}/mixed.lua", "w").write(f"""
local kinds = {{ "/app%s/index.html", "/static%s/a/b.css", "/img%s/a/b.png", "/api/v%s/users/42" }}
request = function()
  local host, rule = math.random(0, {hosts - 1}), math.random(0, {rules - 1})
  wrk.headers["Host"] = "www.site" .. host .. ".example.com"
  return wrk.format("GET", string.format(kinds[rule % 4 + 1], {'host .. "x" .. rule' if own else 'rule'}))
end
""")
    variants["one, mixed"] = (one, f"{folder}/mixed.lua", None)
    variants["many, mixed"] = (many, f"{folder}/mixed.lua", None)
    return variants


def backend(folder):
    path = f"{folder}/back.conf"
    open(path, "w").write(f"""
daemon off; master_process off; pid {folder}/back.pid; error_log {folder}/back.err warn; worker_rlimit_nofile 60000;
events {{ worker_connections 20000; }}
http {{ access_log off; keepalive_requests 1000000000; tcp_nodelay on;
 client_body_temp_path {folder}/b1; proxy_temp_path {folder}/b2; fastcgi_temp_path {folder}/b3; uwsgi_temp_path {folder}/b4; scgi_temp_path {folder}/b5;
 server {{ listen 127.0.0.1:{BACK} backlog=4096; location / {{ return 200 "{'x' * 1000}"; }} }} }}""")
    process = subprocess.Popen(["taskset", "-c", "1", "nginx", "-c", path], start_new_session=True)
    wait(BACK, 10)
    return process


def load(seconds, host, path):
    """Requests answered; without a path, `host` is a script that makes the requests."""
    what = ["-H", f"Host: {host}", f"http://127.0.0.1:{FRONT}{path}"] if path else ["-s", host, f"http://127.0.0.1:{FRONT}/"]
    command = ["taskset", "-c", "1", "wrk", "-t1", "-c64", f"-d{seconds}s", *what]
    output = subprocess.run(command, capture_output=True, text=True).stdout
    if "Non-2xx" in output:
        raise SystemExit(f"{host}{path} is not answered 200:\n{output}")
    return int(re.search(r"(\d+) requests in", output).group(1))


def stop(process):
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weir", default=".build/release/weir")
    parser.add_argument("--hosts", type=int, default=200)
    parser.add_argument("--rules", type=int, default=2000, help="in each virtual host")
    parser.add_argument("--own", action="store_true", help="each virtual host has rules of its own instead of the same as all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--only", help="names of variants, separated by semicolons")
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="weirrules")
    os.chmod(folder, 0o755)
    running = [backend(folder)]
    figures = {}
    try:
        variants = configurations(folder, arguments.hosts, arguments.rules, arguments.own)
        wanted = arguments.only.split(";") if arguments.only else list(variants)
        texts = list(dict.fromkeys(variants[name][0] for name in wanted))
        for _ in range(arguments.rounds):
            for text in texts:
                file = f"{folder}/weir.conf"
                open(file, "w").write(text)
                began = time.time()
                proxy = subprocess.Popen(
                    ["taskset", "-c", "0", arguments.weir, "run", file], start_new_session=True,
                    stdout=subprocess.DEVNULL, stderr=open(f"{folder}/weir.log", "ab"))
                running.append(proxy)
                _, host, path = next(v for v in variants.values() if v[0] == text)
                wait_for_answer(host, path, 120)
                ready = time.time() - began
                for name in wanted:
                    own, host, path = variants[name]
                    if own != text:
                        continue
                    load(1, host, path)
                    before = cpu(proxy.pid)
                    count = load(arguments.seconds, host, path)
                    figures.setdefault(name, []).append((1e6 * (cpu(proxy.pid) - before) / count, count / arguments.seconds, ready))
                stop(running.pop())
        print(f"{arguments.hosts} virtual hosts with {arguments.rules} rules each, against one of both; median of {arguments.rounds} rounds")
        print(f"{'request':15} {'CPU us/req':>11} {'against one':>12} {'req/s':>9} {'start s':>8}")
        for name, values in figures.items():
            middle = [statistics.median(v[i] for v in values) for i in range(3)]
            base = figures.get(name.replace("many", "one"), values)
            change = 100 * (middle[0] / statistics.median(v[0] for v in base) - 1)
            print(f"{name:15} {middle[0]:11.3f} {change:+11.1f}% {middle[1]:9.0f} {middle[2]:8.2f}   [{' '.join('%.2f' % v[0] for v in values)}]")
    finally:
        for process in reversed(running):
            stop(process)
        shutil.rmtree(folder, ignore_errors=True)


main()
