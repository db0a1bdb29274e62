#!/usr/bin/env python3
"""Side-by-side proxy measurement: one backend, one load, every proxy in turn, several rounds.

The proxy is pinned to core 0; backend and load generator share core 1.  The figure of merit is the
CPU time that the proxy itself spends per request (user+system, from /proc/PID/stat, all its threads
and children), which stays meaningful on a noisy machine; throughput and latency are printed beside it.

  Benchmarks/side-by-side.py --proxies nginx,haproxy,weir --scenario small,large --rounds 3 --weir-cmd '.build/release/weir run {conf}'

Weir is started by --weir-cmd (a command; {conf} is replaced by a configuration file written here).
Everything binds to 127.0.0.1.
"""
import argparse, json, os, re, shutil, signal, socket, statistics as st, subprocess, sys, tempfile, time

CLK = os.sysconf("SC_CLK_TCK")
BACK, FRONT = 30080, 30090

def tree(pid):
    out, todo = [], [pid]
    while todo:
        p = todo.pop()
        out.append(p)
        try:
            for t in os.listdir(f"/proc/{p}/task"):
                todo += [int(c) for c in open(f"/proc/{p}/task/{t}/children").read().split()]
        except OSError:
            pass
    return out

def cpu(pid):
    """user+system seconds of the process and its children, at the clock's resolution or better."""
    tot = 0.0
    for p in tree(pid):
        try:
            s = 0
            for t in os.listdir(f"/proc/{p}/task"):
                s += int(open(f"/proc/{p}/task/{t}/schedstat").read().split()[0])
            tot += s / 1e9
        except (OSError, IndexError):
            pass
    return tot

def rss(pid):
    tot = 0
    for p in tree(pid):
        try:
            for l in open(f"/proc/{p}/smaps_rollup"):
                if l.startswith("Pss:"):
                    tot += int(l.split()[1])
        except OSError:
            pass
    return tot

def wait(port, what, deadline=10):
    end = time.time() + deadline
    while time.time() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 0.3).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{what} does not listen on {port}")

def start(cmd, core, log, env=None):
    return subprocess.Popen(["taskset", "-c", str(core)] + cmd, stdout=open(log, "ab"), stderr=subprocess.STDOUT,
                            start_new_session=True, env={**os.environ, **(env or {})})

def stop(p):
    try:
        os.killpg(p.pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
    try:
        p.wait(4)
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        p.wait()

class Lab:
    resumes = True  # nobody lets a client resume its session in "tlsfull"
    logged = False  # all do the work of "small-logged": a virtual host, a rule, X-Forwarded-For, an access log in a file

    def __init__(self, a):
        self.a, self.d = a, tempfile.mkdtemp(prefix="weirlab")
        os.chmod(self.d, 0o755); self.body = os.path.join(self.d, "www")
        os.makedirs(self.body)
        for name, n in (("1k", 1024), ("64k", 65536), ("1m", 1 << 20), ("100m", 100 << 20)):
            with open(f"{self.body}/{name}", "wb") as f:
                f.write(os.urandom(min(n, 1 << 20)) * max(1, n >> 20))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", f"{self.d}/key.pem", "-out", f"{self.d}/cert.pem", "-days", "30", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
        open(f"{self.d}/both.pem", "w").write(open(f"{self.d}/cert.pem").read() + open(f"{self.d}/key.pem").read())

    def write(self, name, text):
        p = f"{self.d}/{name}"
        open(p, "w").write(text)
        return p

    def backend(self):
        conf = self.write("back.conf", f"""
daemon off; worker_processes 1; pid {self.d}/back.pid; error_log {self.d}/back.err warn; master_process off;
worker_rlimit_nofile 60000;
events {{ worker_connections 20000; }}
http {{ access_log off; keepalive_requests 1000000000; sendfile on; tcp_nodelay on; open_file_cache max=100 inactive=600s;
 client_body_temp_path {self.d}/b1; proxy_temp_path {self.d}/b2; fastcgi_temp_path {self.d}/b3; uwsgi_temp_path {self.d}/b4; scgi_temp_path {self.d}/b5;
 server {{ listen 127.0.0.1:{BACK} backlog=4096; root {self.body}; location / {{ add_header Cache-Control "max-age=3600"; }} }} }}""")
        p = start(["nginx", "-c", conf], 1, f"{self.d}/back.log")
        wait(BACK, "backend")
        return p

    # -- one method for each proxy; returns the running process -------------------------------------------
    def nginxlines(self, tls, cache):
        """As it logs unless told otherwise: one write for each line."""
        return self.nginx(tls, cache, "")

    def nginx(self, tls, cache, buffering=" buffer=64k flush=1s"):
        ssl = f"ssl_certificate {self.d}/cert.pem; ssl_certificate_key {self.d}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;" if tls else ""
        if not self.resumes: ssl += " ssl_session_tickets off; ssl_session_cache off;"
        how = "ssl http2" if tls else ""
        c1 = f"proxy_cache_path {self.d}/ngc levels=1:2 keys_zone=c:20m max_size=500m;" if cache else ""
        c2 = "proxy_cache c; proxy_cache_valid 200 1h;" if cache else ""
        log, host, where, other = "access_log off;", "", "/", ""
        if self.logged:
            # Buffered, as Weir's is.
            log = (f"log_format l '$remote_addr [$time_local] $host \"$request\" $status $body_bytes_sent $request_time';"
                   f" access_log {self.d}/n.access l{buffering};")
            host, where = "server_name www.example.com;", "/1k"
            other = f"server {{ listen 127.0.0.1:{FRONT} default_server; return 404; }}"
        conf = self.write("nginx.conf", f"""
daemon off; worker_processes 1; pid {self.d}/n.pid; error_log {self.d}/n.err warn; user root;
worker_rlimit_nofile 60000;
events {{ worker_connections 40000; }}
http {{ {log} keepalive_requests 1000000000; tcp_nodelay on; sendfile on; {c1}
 client_body_temp_path {self.d}/n1; proxy_temp_path {self.d}/n2; fastcgi_temp_path {self.d}/n3; uwsgi_temp_path {self.d}/n4; scgi_temp_path {self.d}/n5;
 upstream b {{ server 127.0.0.1:{BACK}; keepalive 512; keepalive_requests 1000000000; }}
 server {{ listen 127.0.0.1:{FRONT} {how} backlog=4096; {host} {ssl}
  location {where} {{ proxy_pass http://b; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header X-Forwarded-For $remote_addr; {c2} }} }} {other} }}""")
        return start(["nginx", "-c", conf], 0, f"{self.d}/n.log")

    def haproxy(self, tls, cache):
        ssl = f"ssl crt {self.d}/both.pem alpn h2,http/1.1" if tls else ""
        kept = ""
        if not self.resumes: ssl, kept = ssl + " no-tls-tickets", "tune.ssl.cachesize 0"
        cz = "cache c\n total-max-size 200\n max-object-size 2000000\n max-age 3600\n" if cache else ""
        cu = " http-request cache-use c\n http-response cache-store c\n" if cache else ""
        log = "log stdout format raw local0" if self.logged else ""  # which goes to a file here
        how = "default_backend b"
        if self.logged:
            how = """log global
 log-format "%ci [%trl] %[capture.req.hdr(0)] \\"%HM %HU %HV\\" %ST %B %Ta"
 http-request capture req.hdr(Host) len 64
 acl host hdr(host) -i www.example.com
 acl rule path_beg /1k
 use_backend b if host rule"""
        conf = self.write("haproxy.cfg", f"""
global
 nbthread 1
 {log}
 maxconn 6000
 tune.ssl.default-dh-param 2048
 {kept}
{cz}
defaults
 mode http
 timeout client 60s
 timeout server 60s
 timeout connect 5s
 option forwardfor
 option splice-auto
 http-reuse always
frontend f
 bind 127.0.0.1:{FRONT} {ssl}
 {how}
backend b
{cu} server s 127.0.0.1:{BACK} pool-max-conn 512
""")
        return start(["haproxy", "-db", "-f", conf], 0, f"{self.d}/h.log")

    def envoy(self, tls, cache):
        kept = "" if self.resumes else """
          disable_stateless_session_resumption: true
          disable_stateful_session_resumption: true"""
        tlsctx = f"""
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext{kept}
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_certificates: [{{certificate_chain: {{filename: {self.d}/cert.pem}}, private_key: {{filename: {self.d}/key.pem}}}}]""" if tls else ""
        conf = self.write("envoy.yaml", f"""
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {FRONT}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: i
          use_remote_address: true
          generate_request_id: false
          route_config: {{virtual_hosts: [{{name: v, domains: ["*"], routes: [{{match: {{prefix: "/"}}, route: {{cluster: b}}}}]}}]}}
          http_filters: [{{name: envoy.filters.http.router, typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router, dynamic_stats: false}}}}]{tlsctx}
  clusters:
  - name: b
    connect_timeout: 5s
    circuit_breakers: {{thresholds: [{{max_connections: 4096, max_pending_requests: 40000, max_requests: 40000}}]}}
    load_assignment: {{cluster_name: b, endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {BACK}}}}}}}}}]}}]}}
""")
        return start([self.a.envoy, "-c", conf, "--concurrency", "1", "-l", "error", "--disable-hot-restart"], 0, f"{self.d}/e.log")

    def h2o(self, tls, cache):
        ssl = f"\n  ssl:\n    certificate-file: {self.d}/cert.pem\n    key-file: {self.d}/key.pem" if tls else ""
        conf = self.write("h2o.yaml", f"""
num-threads: 1
user: root
pid-file: {self.d}/h2o.pid
listen:
  host: 127.0.0.1
  port: {FRONT}{ssl}
hosts:
  default:
    paths:
      /:
        proxy.reverse.url: http://127.0.0.1:{BACK}/
        proxy.preserve-host: ON
        proxy.timeout.keepalive: 60000
""")
        return start(["h2o", "-c", conf], 0, f"{self.d}/h2o.log")

    def varnish(self, tls, cache):
        vcl = self.write("v.vcl", f"""vcl 4.1; backend b {{ .host="127.0.0.1"; .port="{BACK}"; }}
sub vcl_recv {{ {"return(hash);" if cache else "return(pass);"} }}""")
        return start(["varnishd", "-F", "-a", f"127.0.0.1:{FRONT}", "-f", vcl, "-s", "malloc,400m", "-n", f"{self.d}/vn", "-p", "thread_pools=1", "-p", "thread_pool_min=100"], 0, f"{self.d}/v.log")

    def direct(self, tls, cache):
        return None

    def weir(self, tls, cache, pipe=False):
        kept = "" if self.resumes else "\n tickets = false\n cache-enabled = false"
        ssl = f"ssl {{ enabled = true\n cert = {self.d}/cert.pem\n key = {self.d}/key.pem{kept} }}" if tls else ""
        cc = "cache { enabled = true }" if cache else ""
        site = ""
        if self.logged:
            site = f"""headers {{{{ x-forwarded-for = true }}}}
  logging {{{{ request {{{{ enabled = true output = "file:{self.d}/w.access" format = '{{{{SRC}}}} [{{{{TS}}}}] {{{{HOST}}}} "{{{{METH}}}} {{{{URI}}}} {{{{PROTO}}}}" {{{{STATUS}}}} {{{{BYTES_OUT}}}} {{{{DURATION}}}}' }}}} }}}}
  vhost "www.example.com" {{{{ rule one {{{{ uri-gmatch = "/1k*" downstreams = b }}}} }}}}"""
        tmpl = open(self.a.weir_conf).read() if self.a.weir_conf else """
server {{
  addr = 127.0.0.1
  port = {front}
  threads = 1
  backlog = 4096
  {ssl}
  {cache}
  downstream b {{ addr = 127.0.0.1
   port = {back}
   {pool} }}
  """ + site + """
}}"""
        pool = "connections = 4\n   pipeline = 64" if pipe else "connections = 512"
        conf = self.write("weir.conf", tmpl.format(front=FRONT, back=BACK, ssl=ssl, cache=cc, dir=self.d, pool=pool))
        return start(self.a.weir_cmd.format(conf=conf).split(), 0, f"{self.d}/w.log")

SC = {  # name: (path, tls, cache, tool, args)
    "small":   ("/1k", False, False, "wrk", ["-t1", "-c64"]),
    "tlsfull": ("/1k", True, False, "wrk", ["-t1", "-c32", "-H", "Connection: close"]),   # see Lab.resumes
    "small-logged": ("/1k", False, False, "wrk", ["-t1", "-c64", "-H", "Host: www.example.com"]),   # see Lab.logged
    "many":    ("/1k", False, False, "wrk", ["-t1", "-c512"]),
    "manypipe":("/1k", False, False, "wrk", ["-t1", "-c512"]),   # Weir with 4 backend connections shared by pipelining
    "one":     ("/1k", False, False, "wrk", ["-t1", "-c1"]),
    "medium":  ("/64k", False, False, "wrk", ["-t1", "-c32"]),
    "large":   ("/1m", False, False, "wrk", ["-t1", "-c16"]),
    "huge":    ("/100m", False, False, "wrk", ["-t1", "-c4", "--timeout", "20s"]),
    "hugeeach":("/100m", False, False, "curl", 4),   # as huge, each client a process: wrk reads one connection for as long as it brings bytes
    "close":   ("/1k", False, False, "wrk", ["-t1", "-c64", "-H", "Connection: close"]),
    "tls":     ("/1k", True, False, "wrk", ["-t1", "-c64"]),
    "tlslarge":("/1m", True, False, "wrk", ["-t1", "-c16"]),
    "tlsclose":("/1k", True, False, "wrk", ["-t1", "-c32", "-H", "Connection: close"]),
    "cache":   ("/1k", False, True, "wrk", ["-t1", "-c64"]),
    "cache64k":("/64k", False, True, "wrk", ["-t1", "-c32"]),
    "h2":      ("/1k", True, False, "h2load", ["-t1", "-c16", "-m32"]),
}

def load(lab, sc, seconds, port):
    path, tls, cache, tool, args = SC[sc]
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}{path}"
    if tool == "wrk":
        o = subprocess.run(["taskset", "-c", "1", "wrk", *args, f"-d{seconds}s", "--latency", url], capture_output=True, text=True).stdout
        n = int(re.search(r"(\d+) requests in", o).group(1))
        err = sum(int(x) for x in re.findall(r"(?:connect|read|write|timeout|responses:) (\d+)", o))
        unit = {"us": 1, "ms": 1e3, "s": 1e6}
        lat = {k: float(v) * unit[u] for k, v, u in re.findall(r"(50|99)%\s+([\d.]+)([a-z]+)", o)}
        t = float(re.search(r"in ([\d.]+)s", o).group(1)) if re.search(r"in ([\d.]+)s", o) else seconds
        return n, t, lat, err
    if tool == "curl":
        begun, times, errors = time.time(), [], 0
        command = ["taskset", "-c", "1", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{size_download} %{time_total}\\n"]
        size = None
        while time.time() < begun + seconds:
            # Several requests a process, so that starting it is no part of the measurement.
            running = [subprocess.Popen(command + [url] + ["-o", "/dev/null", url] * 3, stdout=subprocess.PIPE, text=True) for _ in range(args)]
            for p in running:
                for line in p.communicate()[0].splitlines():
                    code, length, took = line.split()
                    size = size or int(length)
                    times.append(float(took) * 1e6)
                    errors += code != "200" or int(length) != size
        times.sort()
        return len(times), time.time() - begun, {"50": st.median(times), "99": times[min(len(times) - 1, len(times) * 99 // 100)]}, errors
    o = subprocess.run(["taskset", "-c", "1", "h2load", *args, "-D", str(seconds), url], capture_output=True, text=True).stdout
    n = int(re.search(r"(\d+) succeeded", o).group(1))
    err = int(re.search(r"(\d+) failed", o).group(1))
    return n, seconds, {}, err

def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--proxies", default="nginx,haproxy")
    ap.add_argument("--scenario", default="small")
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--seconds", type=int, default=4)
    ap.add_argument("--envoy", default=os.environ.get("ENVOY", "envoy"))
    ap.add_argument("--weir-cmd", default=os.environ.get("WEIR_CMD", "weir run {conf}"))
    ap.add_argument("--weir-conf")
    ap.add_argument("--json")
    ap.add_argument("--keep", action="store_true")
    a = ap.parse_args()
    lab = Lab(a)
    res = {}
    back = lab.backend()
    try:
        for sc in a.scenario.split(","):
            tls, cache = SC[sc][1], SC[sc][2]
            lab.logged = sc.endswith("-logged")
            lab.resumes = sc != "tlsfull"
            size = os.path.getsize(lab.body + SC[sc][0])
            for r in range(a.rounds):
                for name in a.proxies.split(","):
                    p = lab.weir(tls, cache, sc == "manypipe") if name == "weir" else getattr(lab, name)(tls, cache)
                    try:
                        port = FRONT if p else BACK
                        wait(port, name)
                        time.sleep(0.3)
                        load(lab, sc, 1, port)
                        c0 = cpu(p.pid) if p else 0
                        n, t, lat, err = load(lab, sc, a.seconds, port)
                        c1 = cpu(p.pid) if p else 0
                        res.setdefault((sc, name), []).append((1e6 * (c1 - c0) / max(n, 1), n / t, lat.get("50"), lat.get("99"), err, rss(p.pid) if p else 0, (c1 - c0) / max(n * size / 2**30, 1e-9)))
                    finally:
                        if p:
                            stop(p)
                            time.sleep(0.2)
            print(f"\n== {sc}: {SC[sc][0]} {SC[sc][3]} {SC[sc][4] if isinstance(SC[sc][4], int) else ' '.join(SC[sc][4])} · median of {a.rounds}")
            print(f"{'proxy':10} {'CPU µs/req':>11} {'CPU s/GiB':>10} {'req/s':>9} {'p50 µs':>9} {'p99 µs':>9} {'errors':>7} {'PSS KiB':>9}")
            for name in a.proxies.split(","):
                v = res[(sc, name)]
                m = lambda i: st.median(x[i] for x in v)
                print(f"{name:10} {m(0):11.2f} {m(6):10.2f} {m(1):9.0f} {(m(2) if v[0][2] else 0):9.0f} {(m(3) if v[0][3] else 0):9.0f} {sum(x[4] for x in v):7d} {m(5):9.0f}   [{' '.join('%.1f' % x[0] for x in v)}]")
            sys.stdout.flush()
    finally:
        stop(back)
        if a.json:
            json.dump({f"{k[0]}/{k[1]}": v for k, v in res.items()}, open(a.json, "w"))
        if not a.keep:
            shutil.rmtree(lab.d, ignore_errors=True)

main()
