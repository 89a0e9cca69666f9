#!/usr/bin/env bash
# Measures the CalDAV of Gatepost, Radicale and Xandikos one after the other on this machine, and prints all.
#
#	cmd/gatebench/calendars.sh [EVENTS]
#
# SHIFT (20000) is added to the ports of Gatepost. Needs Debian's radicale and xandikos. Everything is on loopback and in DIR, or in a
# temporary directory on the disk.
set -euo pipefail
cd "$(dirname "$0")/../.."
events=${1:-5000} shift=${SHIFT:-20000}
dir=$(mktemp -d "${DIR:-/var/tmp}/gatebench.XXXXXX")
pids=()
cleanup() {
	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null || true
		for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null && sleep 0.1; done
		kill -9 "$pid" 2>/dev/null || true
	done
	rm -rf "$dir"
}
trap cleanup EXIT
go build -o "$dir" ./cmd/gatepost ./cmd/gatebench

reachable() {
	for _ in $(seq 100); do curl -s -o /dev/null "$1" && return; sleep 0.1; done
	echo "$1 does not answer" >&2
	return 1
}

echo secret >"$dir/password"
"$dir/gatepost" init --base "$dir/base" --domain bench.test --password-file "$dir/password" >/dev/null
echo 'CREATEACCOUNT bench {Password=secret;}
UPDATEMODULE HTTPU {RequestsPerIP=0;}' | "$dir/gatepost" cli --base "$dir/base" >/dev/null
coproc SERVE { exec "$dir/gatepost" serve --base "$dir/base" --listen 127.0.0.1 --port-shift "$shift"; }
gatepost=$SERVE_PID
pids+=("$gatepost")
read -r -u "${SERVE[0]}" ready && [ "$ready" = ready ]

cat >"$dir/radicale.conf" <<END
[server]
hosts = 127.0.0.1:$((shift + 1))
max_connections = 1000
[auth]
type = none
[storage]
filesystem_folder = $dir/radicale
END
radicale --config "$dir/radicale.conf" >"$dir/radicale.log" 2>&1 &
pids+=("$!")
xandikos -d "$dir/xandikos" --defaults -l 127.0.0.1 -p $((shift + 2)) >"$dir/xandikos.log" 2>&1 &
pids+=("$!")
reachable "http://127.0.0.1:$((shift + 1))/"
reachable "http://127.0.0.1:$((shift + 2))/"

bench() { "$dir/gatebench" dav --events "$events" "$@"; }
echo "Gatepost"
bench --url "http://127.0.0.1:$((shift + 8100))/CalDAV/Bench/" --user bench@bench.test --pid "$gatepost"
echo "Radicale"
bench --url "http://127.0.0.1:$((shift + 1))/bench/bench/" --user bench --bulk || tail -3 "$dir/radicale.log"
echo "Xandikos"
bench --url "http://127.0.0.1:$((shift + 2))/user/calendars/calendar/" || tail -3 "$dir/xandikos.log"
