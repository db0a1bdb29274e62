#!/bin/sh
# Memory per idle keep-alive client, and whether it comes back: at most 1,024 bytes each, and a ratio of at most 1.2.
# An nginx that serves a file of 1 KiB stands behind Weir.
#   Benchmarks/memory-idle.sh [WEIR] [CLIENTS]
set -eu
weir=${1:-.build/release/weir}
clients=${2:-4000}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'kill $weir_process $nginx_process 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
weir_process=
nginx_process=
ulimit -n "$(ulimit -Hn)"

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free_port)
backend_port=$(free_port)
mkdir "$work/www"
head -c 1024 /dev/zero | tr '\0' x >"$work/www/1k"
cat >"$work/nginx.conf" <<END
worker_processes 1; daemon off; pid $work/nginx.pid; error_log $work/nginx.log;
events { worker_connections 4096; }
http {
    access_log off; keepalive_requests 1000000;
    client_body_temp_path $work; proxy_temp_path $work; fastcgi_temp_path $work; uwsgi_temp_path $work; scgi_temp_path $work;
    server { listen 127.0.0.1:$backend_port; root $work/www; }
}
END
chmod -R a+rX "$work"
nginx -c "$work/nginx.conf" 2>/dev/null &
nginx_process=$!
"$weir" run --listen "127.0.0.1:$port" --to "127.0.0.1:$backend_port" >/dev/null 2>"$work/weir.log" &
weir_process=$!
sleep 1.5
python3 "$here/memory-idle.py" "$weir_process" "$port" --clients "$clients"
