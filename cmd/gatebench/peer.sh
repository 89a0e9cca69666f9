#!/usr/bin/env bash
# Runs Postfix (SMTP on 127.0.0.1:PORT) with Dovecot (LMTP, IMAP on 127.0.0.1:PORT+1) in a directory of its own,
# as the peer that gatebench compares with: stock settings, Maildir, accounts u000@bench.test to u099@bench.test with
# the password "secret". Both fsync as they do out of the box.
#
#	peer.sh start DIR PORT      peer.sh stop DIR
#
# Needs root and Debian's postfix, dovecot-imapd, dovecot-lmtpd.
set -euo pipefail
verb=$1 dir=$2 port=${3:-2525}

stop() {
	postfix -c "$dir/postfix" stop 2>/dev/null || true
	[ -f "$dir/dovecot/run/master.pid" ] && kill "$(cat "$dir/dovecot/run/master.pid")" 2>/dev/null || true
}

start() {
	mkdir -p "$dir"/{postfix,spool,data,mail,dovecot/run}
	getent passwd vmail >/dev/null || useradd --system --no-create-home --shell /usr/sbin/nologin vmail
	chown -R vmail "$dir/mail"
	chown postfix "$dir/data"

	cp /usr/share/postfix/main.cf.debian "$dir/postfix/main.cf" 2>/dev/null || : >"$dir/postfix/main.cf"
	cp /etc/postfix/master.cf "$dir/postfix/master.cf"
	cp /etc/postfix/dynamicmaps.cf "$dir/postfix/" 2>/dev/null || true
	[ -d /etc/postfix/dynamicmaps.cf.d ] && cp -r /etc/postfix/dynamicmaps.cf.d "$dir/postfix/"
	[ -d /etc/postfix/postfix-files.d ] && cp -r /etc/postfix/postfix-files.d "$dir/postfix/"
	cp /etc/postfix/postfix-files "$dir/postfix/" 2>/dev/null || true
	sed -i "s/^smtp  *inet .*/127.0.0.1:$port inet n - n - - smtpd/" "$dir/postfix/master.cf"
	sed -i -E 's/^([a-z-]+ +(unix|fifo) +[-yn]+ +[-yn]+ +)[-y]( )/\1n\3/' "$dir/postfix/master.cf"
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
		virtual_transport = lmtp:unix:$dir/dovecot/run/lmtp
		maillog_file = /var/log/gatebench-postfix.log
		smtpd_client_connection_count_limit = 0
		smtpd_client_connection_rate_limit = 0
		alias_maps =
	EOF
	grep -q '^postlog' "$dir/postfix/master.cf" || echo 'postlog unix-dgram n - n - 1 postlogd' >>"$dir/postfix/master.cf"

	cat >"$dir/dovecot/dovecot.conf" <<-EOF
		protocols = imap lmtp
		base_dir = $dir/dovecot/run
		log_path = $dir/dovecot/log
		ssl = no
		disable_plaintext_auth = no
		listen = 127.0.0.1
		mail_location = maildir:$dir/mail/%n
		mail_uid = vmail
		mail_gid = vmail
		first_valid_uid = 1
		passdb {
		  driver = static
		  args = password=secret
		}
		userdb {
		  driver = static
		  args = uid=vmail gid=vmail home=$dir/mail/%n allow_all_users=yes
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
}

case $verb in
start) start ;;
stop) stop ;;
*) echo "usage: peer.sh start DIR PORT | stop DIR" >&2; exit 2 ;;
esac
