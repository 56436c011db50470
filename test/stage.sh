# stage.sh
#		A private PostgreSQL with pg_backupctl in it.  Sourced by the other scripts.
#
# Tests install nothing into the system.  PostgreSQL finds its files relative
# to the program that runs, so a copy of the installation below a temporary
# folder is a complete one, and "make install DESTDIR=" puts the extension in.
#
#		. test/stage.sh
#		stage_begin [NAME]			makes $STAGE, removed at exit together with
#									all processes that run programs in it
#		stage_aside [NAME]			the same, but HOME, TMPDIR and the current folder stay
#		stage_postgres [faults [sanitized]]
#									copies PostgreSQL, installs release or faults build;
#									sets BINDIR, and PATH begins with it.  "sanitized": with
#									address and undefined-behaviour checks in module and client
#		stage_reports				what the sanitizers found since; false when they did
#		as_user COMMAND...			runs it as the unprivileged user: PostgreSQL refuses root
#		stage_server FOLDER [LINE...]	initdb and start, with these lines in postgresql.conf;
#									sets PGHOST, PGPORT, PGUSER, PGDATABASE
#
# Started by root, servers run as "postgres", or "nobody" where that is missing.

set -u

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
MAKE=${MAKE:-make}

umask 022

# The caller's connection settings and language must not leak in.
for name in "${!PG@}"; do
	case $name in
		PG_*) ;;
		*) unset "$name" ;;
	esac
done
unset LANGUAGE name
export LC_ALL=C.UTF-8 TZ=UTC

# Called by make -jN: its job server is not ours to use.
MAKEFLAGS=$(printf '%s' "${MAKEFLAGS:-}" | sed -E 's/(^| )(-j[0-9]*|--jobserver-[a-z]+=[^ ]*)//g')
export MAKEFLAGS

if [ -z "${PG_CONFIG:-}" ]; then
	PG_CONFIG=$("$MAKE" -s --no-print-directory -C "$TOP" print-pg_config)
fi
# the staged one will stand before it in PATH
PG_CONFIG=$(command -v "$PG_CONFIG" || echo "$PG_CONFIG")
export PG_CONFIG

RUN_AS=()
RUN_USER=$(id -un)

die()
{
	echo "$(basename "$0"): $*" >&2
	exit 1
}

as_user()
{
	"${RUN_AS[@]}" "$@"
}

# End whatever still runs a program of the stage: nobody else's process can.
stage_kill()
{
	local signal=$1 exe pid found=1

	for exe in /proc/[0-9]*/exe; do
		case "$(readlink "$exe" 2>/dev/null)" in
			"$STAGE"/*)
				pid=${exe#/proc/}
				kill "-$signal" "${pid%/exe}" 2>/dev/null && found=0
				;;
		esac
	done
	return $found
}

stage_end()
{
	local status=$? i

	trap - EXIT INT TERM HUP
	if [ -n "${STAGE:-}" ] && [ -d "$STAGE" ]; then
		cd /
		! declare -F servers_end >/dev/null || servers_end
		if stage_kill QUIT; then
			for i in 1 2 3 4 5 6 7 8 9 10; do
				sleep 0.2
				stage_kill 0 || break
			done
			stage_kill KILL || true
		fi
		if [ -n "${STAGE_KEEP:-}" ]; then
			echo "kept: $STAGE"
		else
			rm -rf "$STAGE"
		fi
	fi
	exit $status
}

stage_begin()
{
	local base=${TMPDIR:-/tmp} user

	if [ "$(id -u)" -eq 0 ]; then
		for user in postgres nobody; do
			id -u "$user" >/dev/null 2>&1 && break
		done
		RUN_USER=$user
		RUN_AS=(setpriv "--reuid=$(id -u "$user")" "--regid=$(id -g "$user")" --clear-groups)
	fi

	# The user must be able to go there, and socket names have 107 bytes.
	if [ ${#base} -gt 50 ] || ! "${RUN_AS[@]}" test -w "$base" -a -x "$base"; then
		base=/tmp
	fi
	STAGE=$(mktemp -d "$base/pg_backupctl-${1:-test}-XXXXXX") || die "could not make a temporary folder"
	STAGE=$(cd "$STAGE" && pwd -P)
	trap stage_end EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	chmod 755 "$STAGE"
	[ ${#RUN_AS[@]} -eq 0 ] || chown "$(id -u "$RUN_USER"):$(id -g "$RUN_USER")" "$STAGE"
	cd "$STAGE"
	as_user mkdir home sock tmp
	export HOME=$STAGE/home TMPDIR=$STAGE/tmp STAGE
}

# For scripts that only want servers, or call others that have a stage of their own.
stage_aside()
{
	local home=$HOME folder=$PWD tmp=${TMPDIR:-}

	stage_begin "$@"
	export HOME=$home
	cd "$folder"
	if [ -n "$tmp" ]; then
		export TMPDIR=$tmp
	else
		unset TMPDIR
	fi
}

stage_postgres()
{
	local dir

	BINDIR=$STAGE$("$PG_CONFIG" --bindir) || die "no pg_config; try: make deps"
	for dir in bindir pkglibdir sharedir; do
		dir=$("$PG_CONFIG" --$dir)
		mkdir -p "$STAGE$dir"
		# bitcode, development files and manuals are never looked at here
		(cd "$dir" && tar -c --dereference --exclude=./bitcode --exclude=./pgxs --exclude=./man \
			--exclude=./llvmjit* .) | tar -x -C "$STAGE$dir" || die "could not copy $dir"
	done
	"$MAKE" -s -j"$(nproc)" --no-print-directory -C "$TOP" "FAULTS=${1:+1}" "SANITIZE=${2:+1}" \
		"PG_CONFIG=$PG_CONFIG" "DESTDIR=$STAGE" install >"$STAGE/install.log" 2>&1 || {
		cat "$STAGE/install.log" >&2
		die "could not build or install"
	}
	[ -z "${2:-}" ] || stage_sanitizers
	export PATH=$BINDIR:$PATH
}

# The module's sanitizers work only in a process that begins with their
# libraries, so a script stands in the place of the server.  PostgreSQL finds
# its files beside the name it is called by: that stays the script's.
#
# Reports go to files: a server's output has many places, and some are lost.
# (The client's undefined behaviour still goes to stderr, but the abort fails its test.)
# Leaks are not looked for, because a backend ends without freeing anything;
# the unit tests find those of the core.
stage_sanitizers()
{
	local asan ubsan options=abort_on_error=1:halt_on_error=1

	asan=$(readlink -f "$("${CC:-gcc}" -print-file-name=libasan.so)")
	ubsan=$(readlink -f "$("${CC:-gcc}" -print-file-name=libubsan.so)")
	[ -e "$asan" ] && [ -e "$ubsan" ] || die "the compiler has no libasan.so and libubsan.so"
	as_user mkdir "$STAGE/sanitizers"
	export ASAN_OPTIONS=$options:log_path=$STAGE/sanitizers/report:detect_leaks=0
	ASAN_OPTIONS+=:detect_stack_use_after_return=0:detect_odr_violation=0:intercept_tls_get_addr=0
	export UBSAN_OPTIONS=$options:print_stacktrace=1

	cat >"$STAGE/sanitizers.c" <<-'EOF'
		#define _GNU_SOURCE
		#include <dlfcn.h>

		extern void __asan_init(void);

		/*
		 * The address checks begin with the first malloc, which may be glibc's under
		 * its lock for languages (libp11-kit, by OpenLDAP, does that).  They want that
		 * lock for a message of their own and leave it broken.  So they begin here,
		 * before any library.
		 *
		 * Both libraries have this function, and the first one's takes the calls of
		 * both, so that undefined behaviour would be reported on stderr.
		 */
		__attribute__((constructor)) static void
		begin(void)
		{
			void		(*set_path) (const char *);

			__asan_init();
			set_path = (void (*) (const char *)) dlsym(RTLD_NEXT, "__sanitizer_set_report_path");
			set_path(REPORT);
		}

		/* This one looks for its options when it has something to report: the server's
		 * environment is overwritten then, by its title. */
		const char *
		__ubsan_default_options(void)
		{
			return OPTIONS;
		}
	EOF
	"${CC:-gcc}" -shared -fPIC -Wl,-z,initfirst -DREPORT="\"$STAGE/sanitizers/report\"" \
		-DOPTIONS="\"$UBSAN_OPTIONS\"" -o "$STAGE/sanitizers.so" "$STAGE/sanitizers.c" ||
		die "could not build sanitizers.so"

	mv "$BINDIR/postgres" "$BINDIR/postgres.bin" || die "could not put a script in the place of postgres"
	# initdb's calls do not load the module
	cat >"$BINDIR/postgres" <<-EOF
		#!/bin/bash
		case \${1:-} in
			--boot | --check | --single | -V) ;;
			*) export LD_PRELOAD=$asan:$STAGE/sanitizers.so:$ubsan\${LD_PRELOAD:+:\$LD_PRELOAD} ;;
		esac
		exec -a "\$0" "\$0.bin" "\$@"
	EOF
	chmod 755 "$BINDIR/postgres"
}

stage_reports()
{
	local file found=0

	for file in "$STAGE"/sanitizers/report.*; do
		[ -s "$file" ] || continue
		echo "== ${file##*/}"
		cat "$file"
		found=1
	done
	return $found
}

# Distinct for scripts that run side by side; the socket folder is private anyway.
stage_port()
{
	echo $((50000 + $$ % 10000))
}

stage_server()
{
	local data=$1 line
	shift

	export PGHOST=$STAGE/sock PGPORT=${PGPORT:-$(stage_port)} PGUSER=postgres PGDATABASE=postgres
	as_user "$BINDIR/initdb" -D "$data" -U postgres -A trust -k -N -E UTF8 --locale=C \
		>"$STAGE/tmp/initdb.log" 2>&1 || {
		cat "$STAGE/tmp/initdb.log" >&2
		die "initdb failed"
	}
	for line in "listen_addresses = ''" "unix_socket_directories = '$PGHOST'" "port = $PGPORT" "$@"; do
		printf '%s\n' "$line"
	done | as_user tee -a "$data/postgresql.conf" >/dev/null
	as_user "$BINDIR/pg_ctl" -D "$data" -l "$STAGE/server.log" -s -w start || {
		cat "$STAGE/server.log" >&2
		die "the server did not start"
	}
}
