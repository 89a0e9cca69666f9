#!/usr/bin/env bash
# Measures relaying with DKIM signatures: Gatepost, which signs with RSA and Ed25519, and Postfix with OpenDKIM, which
# signs with RSA, in turns on this machine.
#
#	cmd/gatebench/signing.sh [ROUNDS]
#
# SHIFT (20000) is added to the ports of Gatepost. Needs root and Debian's postfix, dovecot-imapd, dovecot-lmtpd, opendkim.
# Everything is on loopback and in temporary directories.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-3}
shift=${SHIFT:-20000}
dir=$(mktemp -d /var/tmp/gatebench.XXXXXX)
chmod 755 "$dir"
go build -o "$dir" ./cmd/gatepost ./cmd/gatebench
bench=$dir/gatebench

cleanup() {
	cmd/gatebench/peer.sh stop "$dir/peer" || true
	for pid in ${server:-} ${signer:-}; do kill "$pid" && wait "$pid" || true; done
	rm -rf "$dir"
}
trap cleanup EXIT

# OpenDKIM as a package sets it up: relaxed header, simple body, the key in a file.
mkdir "$dir/peer" "$dir/opendkim"
openssl genrsa -out "$dir/opendkim/key" 2048 2>/dev/null
chmod 600 "$dir/opendkim/key"
cat >"$dir/opendkim/conf" <<-EOF
	Domain bench.test
	Selector s1
	KeyFile $dir/opendkim/key
	Mode s
	Canonicalization relaxed/simple
	InternalHosts 127.0.0.0/8
	Socket inet:2531@127.0.0.1
	Syslog no
	UserID root
	RequireSafeKeys no
EOF
opendkim -x "$dir/opendkim/conf" -f &
signer=$!
MILTER=inet:127.0.0.1:2531 cmd/gatebench/peer.sh start "$dir/peer" 2525 >/dev/null 2>&1

echo secret >"$dir/password"
"$dir/gatepost" init --base "$dir/base" --domain bench.test --password-file "$dir/password" >/dev/null
echo 'UPDATEMODULE SMTPSending {SmartHost="127.0.0.1:2528";}' | "$dir/gatepost" cli --base "$dir/base"
coproc SERVE { exec "$dir/gatepost" serve --base "$dir/base" --listen 127.0.0.1 --port-shift "$shift"; }
server=$SERVE_PID
read -r -u "${SERVE[0]}" ready && [ "$ready" = ready ]
"$dir/gatepost" dns --base "$dir/base" bench.test >/dev/null # makes the keys

for round in $(seq "$rounds"); do
	echo "round $round"
	echo "  Postfix+OpenDKIM: $("$bench" relay --addr 127.0.0.1:2525 --sink 127.0.0.1:2527 --messages 3000 | tr '\n' ';')"
	echo "  Gatepost:         $("$bench" relay --addr 127.0.0.1:$((shift + 25)) --sink 127.0.0.1:2528 --messages 5000 | tr '\n' ';')"
done
