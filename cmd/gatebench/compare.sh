#!/usr/bin/env bash
# Measures Gatepost and Postfix + Dovecot one after the other on this machine, in turns, and prints both.
#
#	cmd/gatebench/compare.sh [ROUNDS] [mail]
#
# With "mail" it leaves IMAP out. SHIFT (20000) is added to the ports of Gatepost. Needs root and Debian's postfix, dovecot-imapd, dovecot-lmtpd. Everything is on loopback and in temporary directories.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-3} part=${2:-}
shift=${SHIFT:-20000}
smtp=127.0.0.1:$((shift + 25)) imap=127.0.0.1:$((shift + 143))
dir=$(mktemp -d /var/tmp/gatebench.XXXXXX)
chmod 755 "$dir"
go build -o "$dir" ./cmd/gatepost ./cmd/gatebench
bench=$dir/gatebench

cleanup() {
	cmd/gatebench/peer.sh stop "$dir/peer" || true
	[ -n "${server:-}" ] && kill "$server" && wait "$server" || true
	rm -rf "$dir"
}
trap cleanup EXIT

# 1,000 hosts for relaying, of which the first 100 are silent, slow or refuse.
hosts=(--hosts 1000 --silent 34 --slow 33 --refusing 33 --messages 10000)
mkdir "$dir/peer"
"$bench" relay --sink :2529 "${hosts[@]}" --routes postfix >"$dir/peer/transport"
cmd/gatebench/peer.sh start "$dir/peer" 2525 >/dev/null 2>&1
echo secret >"$dir/password"
"$dir/gatepost" init --base "$dir/base" --domain bench.test --password-file "$dir/password" >/dev/null
{
	for n in $(seq -w 0 99); do echo "CREATEACCOUNT u0$n {Password=secret;}"; done
	echo "CREATEACCOUNT big {Password=secret;}"
	echo 'UPDATEMODULE SMTPSending {SmartHost="127.0.0.1:2528";}'
	echo 'UPDATEMODULE Signing {MakeKeys=NO;}' # Postfix does not sign what it relays
	"$bench" relay --sink :2530 "${hosts[@]}" --routes gatepost | awk 'BEGIN { printf "SETROUTERTABLE \"" } { printf "%s\\e", $0 } END { print "\"" }'
} | "$dir/gatepost" cli --base "$dir/base"
coproc SERVE { exec "$dir/gatepost" serve --base "$dir/base" --listen 127.0.0.1 --port-shift "$shift"; }
server=$SERVE_PID
read -r -u "${SERVE[0]}" ready && [ "$ready" = ready ]
if [ "$part" != mail ]; then
	"$bench" fill --addr 127.0.0.1:2526 --users big --messages 5000
	"$bench" fill --addr "$imap" --users big@bench.test --messages 5000
fi

peer() { echo "  Postfix+Dovecot: $("$bench" "$@" | tr '\n' ';')"; }
ours() { echo "  Gatepost:        $("$bench" "$@" | tr '\n' ';')"; }

for round in $(seq "$rounds"); do
	echo "round $round"
	peer smtp --addr 127.0.0.1:2525 --readable 127.0.0.1:2526 --messages 3000
	ours smtp --addr "$smtp" --readable "$imap" --messages 10000
	peer relay --addr 127.0.0.1:2525 --sink 127.0.0.1:2527 --messages 3000
	ours relay --addr "$smtp" --sink 127.0.0.1:2528 --messages 5000
	[ "$part" != mail ] || continue
	for what in fetch-flags fetch-envelope fetch-list fetch-body select noop store login append "search SUBJECT\ gatebench" "search BODY\ nowhere"; do
		eval "set -- $what"
		peer "$@" --addr 127.0.0.1:2526 --users big
		ours "$@" --addr "$imap" --users big@bench.test
	done
done
if [ "$part" != mail ]; then
	echo "idle connections"
	peer idle --addr 127.0.0.1:2526 --users 'u%03d' --accounts 100 --conns 200 --notify 0 --pid "$(cat "$dir/peer/dovecot/run/master.pid")"
	ours idle --addr "$imap" --users 'u%03d@bench.test' --accounts 100 --conns 1000 --notify 0 --pid "$server"
fi
echo "relaying to 1,000 hosts of which 100 are dead or slow"
ours relay --addr "$smtp" --sink :2530 "${hosts[@]}"
peer relay --addr 127.0.0.1:2525 --sink :2529 "${hosts[@]}" --limit 1m || true
