#!/usr/bin/env bash
# Runs Postfix (SMTP on 127.0.0.1:PORT) with Dovecot (LMTP, IMAP on 127.0.0.1:PORT+1) in a directory of its own,
# as the peer that gatebench compares with: stock settings, Maildir, accounts u000@bench.test to u099@bench.test with
# the password "secret". Mail for relay.test goes on to 127.0.0.1:PORT+2. Both fsync as they do out of the box.
#
#	peer.sh start DIR PORT      peer.sh stop DIR
#
# MILTER, such as inet:127.0.0.1:2531, is a mail filter that Postfix asks.
#
# What is outside of DIR is the system user gatebench-peer, who owns the mail; stop removes it, and a start that
# fails or is interrupted stops at once. DIR is the caller's to remove.
#
# Needs root and Debian's postfix, dovecot-imapd, dovecot-lmtpd.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: peer.sh start DIR PORT | stop DIR" >&2; exit 2; }
verb=$1 dir=$2 port=${3:-2525}
user=gatebench-peer

# dovecot_pid prints the pid of the Dovecot that start has started, if it still runs: a pid file may outlive its process.
dovecot_pid() {
	local pid
	pid=$(cat "$dir/dovecot/run/master.pid" 2>/dev/null) || return 1
	grep -qzxF "$dir/dovecot/dovecot.conf" "/proc/$pid/cmdline" 2>/dev/null && echo "$pid"
}

stop() {
	local pid
	# Postfix itself asks the lock of its master.pid whether that process is alive, and waits for its end.
	[ ! -d "$dir/postfix" ] || postfix -c "$dir/postfix" stop 2>/dev/null || true
	if pid=$(dovecot_pid); then
		kill "$pid"
		for _ in $(seq 100); do
			[ -d "/proc/$pid" ] || break
			sleep 0.1
		done
	fi
	if getent passwd "$user" >/dev/null; then
		# Dovecot's processes for the user end a moment after their master.
		for _ in $(seq 50); do
			userdel "$user" 2>/dev/null && return
			sleep 0.1
		done
		userdel "$user"
	fi
}

start() {
	trap stop EXIT
	mkdir -p "$dir"/{postfix,spool,data,mail,dovecot/run}
	getent passwd "$user" >/dev/null || useradd --system --no-create-home --shell /usr/sbin/nologin "$user"
	chown -R "$user" "$dir/mail"
	chown postfix "$dir/data"

	cp /usr/share/postfix/main.cf.debian "$dir/postfix/main.cf" 2>/dev/null || : >"$dir/postfix/main.cf"
	cp /etc/postfix/master.cf "$dir/postfix/master.cf"
	cp /etc/postfix/dynamicmaps.cf "$dir/postfix/" 2>/dev/null || true
	[ -d /etc/postfix/dynamicmaps.cf.d ] && cp -r /etc/postfix/dynamicmaps.cf.d "$dir/postfix/"
	[ -d /etc/postfix/postfix-files.d ] && cp -r /etc/postfix/postfix-files.d "$dir/postfix/"
	cp /etc/postfix/postfix-files "$dir/postfix/" 2>/dev/null || true
	sed -i "s/^smtp  *inet .*/127.0.0.1:$port inet n - n - - smtpd/" "$dir/postfix/master.cf"
	sed -i -E 's/^([a-z-]+ +(unix|fifo) +[-yn]+ +[-yn]+ +)[-y]( )/\1n\3/' "$dir/postfix/master.cf"
	touch "$dir/transport"
	for n in $(seq -w 0 99); do echo "u0$n@bench.test ok"; done >"$dir/postfix/accounts"
	cat >"$dir/postfix/main.cf" <<-EOF
		compatibility_level = 3.6
		queue_directory = $dir/spool
		data_directory = $dir/data
		command_directory = /usr/sbin
		daemon_directory = /usr/lib/postfix/sbin
		myhostname = bench.test
		mydestination =
		inet_interfaces = 127.0.0.1
		inet_protocols = ipv4
		mynetworks = 127.0.0.0/8
		virtual_mailbox_domains = bench.test
		virtual_mailbox_maps = texthash:$dir/postfix/accounts
		transport_maps = inline:{{relay.test = smtp:[127.0.0.1]:$((port + 2))}} texthash:$dir/transport
		virtual_transport = lmtp:unix:$dir/dovecot/run/lmtp
		maillog_file = $dir/postfix.log
		maillog_file_prefixes = $dir
		smtpd_client_connection_count_limit = 0
		smtpd_client_connection_rate_limit = 0
		alias_maps =
	EOF
	[ -z "${MILTER:-}" ] || printf 'smtpd_milters = %s\nmilter_default_action = tempfail\n' "$MILTER" >>"$dir/postfix/main.cf"
	grep -q '^postlog' "$dir/postfix/master.cf" || echo 'postlog unix-dgram n - n - 1 postlogd' >>"$dir/postfix/master.cf"

	cat >"$dir/dovecot/dovecot.conf" <<-EOF
		protocols = imap lmtp
		base_dir = $dir/dovecot/run
		log_path = $dir/dovecot/log
		ssl = no
		disable_plaintext_auth = no
		listen = 127.0.0.1
		mail_location = maildir:$dir/mail/%n
		mail_uid = $user
		mail_gid = $user
		first_valid_uid = 1
		passdb {
		  driver = static
		  args = password=secret
		}
		userdb {
		  driver = static
		  args = uid=$user gid=$user home=$dir/mail/%n allow_all_users=yes
		}
		service imap-login {
		  inet_listener imap {
		    port = $((port + 1))
		  }
		  inet_listener imaps {
		    port = 0
		  }
		}
		service lmtp {
		  unix_listener lmtp {
		    mode = 0666
		  }
		}
		mail_max_userip_connections = 2000
		namespace inbox {
		  inbox = yes
		}
	EOF
	dovecot -c "$dir/dovecot/dovecot.conf"
	postfix -c "$dir/postfix" set-permissions 2>/dev/null || true
	postfix -c "$dir/postfix" start
	trap - EXIT
}

case $verb in
start) start ;;
stop) stop ;;
*) echo "usage: peer.sh start DIR PORT | stop DIR" >&2; exit 2 ;;
esac
