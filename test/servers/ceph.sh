#!/bin/bash
#
# ceph.sh
#		A real S3 server (Ceph's radosgw with one monitor and one OSD) for tests.
#
#		ceph.sh missing				names the Debian packages that are not installed
#		ceph.sh start DIR PID		returns when S3 answers, and prints "NAME=value" lines
#		ceph.sh key DIR add ACCESS SECRET	gives its user another key
#		ceph.sh key DIR remove ACCESS		takes it away
#		ceph.sh stop DIR			ends it
#
# Everything is below DIR, which must be new, on 127.0.0.1 and on ports that
# were free.  It ends by itself when process PID has ended, however that went:
# a supervisor looks for it twice a second, and the daemons are its children
# and get a signal when it ends.  Not for root: run it as some other user.
#
# Objects are in memory only, up to CEPH_MEM_GIB (default 4), and gone at the
# end.  What is printed:
#
#		BKC_S3_URL			http://127.0.0.1:PORT; BUCKET.s3.localhost:PORT is a bucket, too
#		BKC_S3_TLS_URL		the same with https
#		BKC_S3_CA			file with the certificate of its authority
#		BKC_S3_OTHER_CA		that of another one
#		BKC_S3_REGION		any other would do
#		BKC_S3_CREDENTIALS	file for the URL's parameter "credentials"
#
# Path style works with 127.0.0.1 and s3.localhost only: any other name,
# "localhost" too, is taken for a bucket's.  Storage classes are STANDARD,
# STANDARD_IA and GLACIER; the id of a KMS key is testkey-1.

set -u

programs=(ceph-mon:ceph-mon ceph-osd:ceph-osd radosgw:radosgw ceph:ceph-common
	radosgw-admin:radosgw monmaptool:ceph-common openssl:openssl /usr/bin/python3:python3)
PATH=$PATH:/usr/sbin:/sbin

die()
{
	echo "ceph.sh: $*" >&2
	exit 1
}

missing()
{
	local pair list=()

	for pair in "${programs[@]}"; do
		command -v "${pair%%:*}" >/dev/null || list+=("${pair#*:}")
	done
	[ ${#list[@]} -eq 0 ] || printf '%s\n' "${list[@]}" | sort -u | paste -s -d ' '
}

# When a process began: with its number that is an identity.  Nothing when it has ended.
birth()
{
	local text

	{ read -r text <"/proc/$1/stat"; } 2>/dev/null || return
	text=${text##*) }
	set -- $text
	[ "$1" = Z ] || echo "${20}"
}

# Ports below those that the kernel gives to clients.
free_ports()
{
	/usr/bin/python3 - "$1" <<-'PYTHON'
		import random, socket, sys
		held = []
		while len(held) < int(sys.argv[1]):
		    s = socket.socket()
		    try:
		        s.bind(("127.0.0.1", random.randrange(12000, 32000)))
		        held.append(s)
		    except OSError:
		        pass
		print(*(s.getsockname()[1] for s in held))
	PYTHON
}

# An authority and a certificate of it: clients that trust the authority have something to verify.
make_certificate()
{
	(
		umask 077
		cd "$DIR/tls" || exit
		for name in ca other; do
			openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
				-subj "/CN=pg_backupctl test authority $name" -keyout $name.key -out $name.crt || exit
		done
		openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=s3.localhost \
			-keyout server.key -out server.csr &&
			printf '%s\n' 'subjectAltName=DNS:localhost,DNS:s3.localhost,DNS:*.s3.localhost,IP:127.0.0.1' >server.ext &&
			openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 \
				-extfile server.ext -out server.crt &&
			cat server.key server.crt >server.pem && chmod 644 ca.crt other.crt
	) >"$DIR/log/openssl.log" 2>&1 || die "could not make a certificate, see $DIR/log/openssl.log"
}

configure()
{
	cat >"$CONF" <<-END
		[global]
		fsid = $1
		mon host = v2:127.0.0.1:$MON_PORT/0
		auth cluster required = none
		auth service required = none
		auth client required = none
		# Without authentication every connection must be in this mode, else radosgw hangs.
		ms mon client mode = crc
		ms client mode = crc
		ms cluster mode = crc
		ms service mode = crc
		ms bind ipv6 = false
		public addr = 127.0.0.1
		cluster addr = 127.0.0.1
		run dir = $DIR/run
		admin socket = $DIR/run/\$name.asok
		pid file = $DIR/run/\$name.pid
		log file = $DIR/log/\$name.log
		osd pool default size = 1
		osd pool default min size = 1
		osd pool default pg num = 1
		osd pool default pgp num = 1
		osd crush chooseleaf type = 0
		mon allow pool size one = true
		mon pg warn min per osd = 0
		mon max pg per osd = 1000
		mon data avail crit = 1
		osd objectstore = memstore
		memstore device bytes = $((${CEPH_MEM_GIB:-4} << 30))
		osd memory target = 939524096
		# nobody needs what is in memory
		osd fast shutdown = true
		paxos propose interval = 0.05
		[mon.a]
		mon data = $DIR/mon
		[osd.0]
		osd data = $DIR/osd
		# must be there and well formed; it is not used
		key = AQDBFakeFakeFakeFakeFakeFakeFakeFakeFw==
		[client.rgw.a]
		rgw frontends = beast endpoint=127.0.0.1:$PORT ssl_endpoint=127.0.0.1:$TLS_PORT ssl_certificate=$DIR/tls/server.pem tcp_nodelay=1
		rgw data = $DIR/rgw
		rgw enable usage log = false
		rgw enable quota threads = false
		rgw dns name = s3.localhost
		rgw crypt require ssl = false
		rgw crypt s3 kms backend = testing
		rgw crypt s3 kms encryption keys = testkey-1=YmluCmJvb3N0CmJvb3N0LWJ1aWxkCmNlcGguY29uZgo=
		rgw thread pool size = 64
		# what was removed gives its memory back within seconds, not hours
		rgw gc obj min wait = 1
		rgw gc processor period = 3
		rgw gc processor max time = 3
	END
}

# wait_for SECONDS WHAT COMMAND...: until it succeeds, as long as all daemons live
wait_for()
{
	local end=$((SECONDS + $1)) what=$2 pid
	shift 2

	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || die "$what does not answer, see $DIR/log"
		for pid in "${daemons[@]}"; do
			[ -n "$(birth "$pid")" ] || die "a daemon has ended, see $DIR/log"
		done
		sleep 0.1
	done
}

# daemon NAME COMMAND...: a child that ends when this shell does
daemons=()
daemon()
{
	local name=$1
	shift

	setpriv --pdeathsig KILL "$@" </dev/null >"$DIR/log/$name.out" 2>&1 &
	daemons+=($!)
}

end_daemons()
{
	local i pid left

	for ((i = ${#daemons[@]} - 1; i >= 0; i--)); do
		kill "${daemons[i]}" 2>/dev/null
	done
	for ((i = 0; i < 50; i++)); do
		left=
		for pid in "${daemons[@]}"; do
			[ -z "$(birth "$pid")" ] || left=1
		done
		[ -n "$left" ] || break
		sleep 0.1
	done
	for pid in "${daemons[@]}"; do
		kill -KILL "$pid" 2>/dev/null
	done
	wait
}

admin()
{
	radosgw-admin -c "$CONF" "$@" >>"$DIR/log/admin.log" 2>&1 || die "radosgw-admin failed, see $DIR/log/admin.log"
}

# The whole life of the server.
serve()
{
	local parent=$1 parent_birth=$2 fsid osd class

	DIR=$3
	CONF=$DIR/ceph.conf
	trap end_daemons EXIT
	trap 'exit 143' TERM INT HUP
	echo "$BASHPID" >"$DIR/supervisor.pid"
	read -r PORT TLS_PORT MON_PORT < <(free_ports 3)
	[ -n "${MON_PORT:-}" ] || die "there are no free ports"
	make_certificate
	fsid=$(cat /proc/sys/kernel/random/uuid)
	osd=$(cat /proc/sys/kernel/random/uuid)
	configure "$fsid"

	monmaptool --create --clobber --fsid "$fsid" --addv a "[v2:127.0.0.1:$MON_PORT]" "$DIR/monmap" >"$DIR/log/mkfs.log" 2>&1 &&
		ceph-mon -c "$CONF" --mkfs -i a --monmap "$DIR/monmap" >>"$DIR/log/mkfs.log" 2>&1 ||
		die "could not make a monitor, see $DIR/log/mkfs.log"
	daemon mon ceph-mon -f -c "$CONF" -i a
	wait_for 60 "the monitor" ceph -c "$CONF" --connect-timeout 2 osd new "$osd"
	ceph-osd -c "$CONF" -i 0 --mkfs --osd-uuid "$osd" >>"$DIR/log/mkfs.log" 2>&1 ||
		die "could not make an OSD, see $DIR/log/mkfs.log"
	daemon osd ceph-osd -f -c "$CONF" -i 0

	# The user first: it makes the zone that the storage classes need.
	admin user create --uid=test --display-name=test --max-buckets=0 --access-key="$ACCESS_KEY" --secret-key="$SECRET_KEY"
	for class in STANDARD_IA GLACIER; do
		admin zonegroup placement add --rgw-zonegroup default --placement-id default-placement --storage-class $class
		admin zone placement add --rgw-zone default --placement-id default-placement --storage-class $class \
			--data-pool default.rgw.buckets.data
	done
	daemon radosgw radosgw -f -c "$CONF" -n client.rgw.a
	wait_for 120 radosgw bash -c "exec 3<>/dev/tcp/127.0.0.1/$PORT"

	(umask 077 && printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' \
		"$ACCESS_KEY" "$SECRET_KEY" >"$DIR/credentials")
	printf '%s\n' "BKC_S3_URL=http://127.0.0.1:$PORT" "BKC_S3_TLS_URL=https://127.0.0.1:$TLS_PORT" \
		"BKC_S3_CA=$DIR/tls/ca.crt" "BKC_S3_OTHER_CA=$DIR/tls/other.crt" BKC_S3_REGION=us-east-1 "BKC_S3_CREDENTIALS=$DIR/credentials" >"$DIR/env.new"
	mv "$DIR/env.new" "$DIR/env"

	while [ "$(birth "$parent")" = "$parent_birth" ]; do
		# the supervisor's own signals come through at once, which they would not during sleep
		sleep 0.5 &
		wait $!
	done
}

ACCESS_KEY=testkey
SECRET_KEY=testsecret

case ${1:-} in
	missing)
		missing
		;;
	start)
		[ $# -eq 3 ] || die "usage: ceph.sh start DIR PID"
		[ "$(id -u)" -ne 0 ] || die "not for root"
		[ -z "$(missing)" ] || die "please install: $(missing)"
		mkdir -p "$2"/{mon,osd,rgw,run,log,tls} && cd "$2" && DIR=$(pwd -P) || exit 1
		parent_birth=$(birth "$3")
		[ -n "$parent_birth" ] || die "there is no process $3"
		setsid "$0" serve "$3" "$parent_birth" "$DIR" </dev/null >"$DIR/log/supervisor.log" 2>&1 &
		while [ ! -e "$DIR/env" ]; do
			if [ -z "$(birth $!)" ]; then
				cat "$DIR/log/supervisor.log" >&2
				exit 1
			fi
			sleep 0.1
		done
		cat "$DIR/env"
		;;
	serve)
		serve "$2" "$3" "$4"
		;;
	key)
		DIR=$2
		CONF=$DIR/ceph.conf
		case $3 in
			add) admin key create --uid=test --key-type=s3 --access-key="$4" --secret-key="$5" ;;
			remove) admin key rm --uid=test --key-type=s3 --access-key="$4" ;;
			*) die "usage: ceph.sh key DIR add ACCESS SECRET | key DIR remove ACCESS" ;;
		esac
		;;
	stop)
		pid=$(cat "$2/supervisor.pid" 2>/dev/null) || exit 0
		kill "$pid" 2>/dev/null
		for ((i = 0; i < 80; i++)); do
			[ -n "$(birth "$pid")" ] || break
			sleep 0.1
		done
		;;
	*)
		die "usage: ceph.sh missing | start DIR PID | key DIR ... | stop DIR"
		;;
esac
