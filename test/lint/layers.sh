#!/bin/bash
#
# layers.sh
#		Includes point one way only.
#
#		server, client -> pipe, notify -> format, crypto, store -> base
#
# format may also use crypto (its hashes), and store may use format/names.h
# (what an object may be called).  notify may use the transfers of store/http, and of S3 what is
# AWS's rather than a store's: signatures and credentials.  Each folder of the core lists what it may
# include from; a folder without a line here is a violation by itself.

shopt -s globstar nullglob

declare -A may=(
	[base]='base/'
	[crypto]='base/|crypto/'
	[format]='base/|crypto/|format/'
	[store]='base/|crypto/|format/names\.h|store/'
	[notify]='base/|crypto/|store/http/|store/s3/(sign|creds)\.h|notify/'
	[pipe]='base/|crypto/|format/|store/|pipe/'
)

for folder in src/core/*/; do
	name=$(basename "$folder")
	if [ -z "${may[$name]:-}" ]; then
		echo "$folder: no layer in test/lint/layers.sh"
		continue
	fi
	grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$folder"**/*.[ch] /dev/null |
		grep -vE "\"(${may[$name]})"
done

# Server and client see the core, and their own folder, but not each other's.
client=$(cd src/client 2>/dev/null && ls ./*.h 2>/dev/null | sed 's|^\./||')
server=$(cd src/server 2>/dev/null && ls ./*.h 2>/dev/null | sed 's|^\./||')
for name in $client; do
	grep -nE "#[[:space:]]*include[[:space:]]*\"(client/|\.\./client/)?$name\"" src/server/*.[ch] src/core/**/*.[ch] /dev/null |
		while IFS= read -r hit; do
			# the same name on both sides means the own one
			[ -e "src/server/$name" ] && [[ $hit != *client/* ]] || echo "$hit"
		done
done
for name in $server; do
	grep -nE "#[[:space:]]*include[[:space:]]*\"(server/|\.\./server/)?$name\"" src/client/*.[ch] src/core/**/*.[ch] /dev/null |
		while IFS= read -r hit; do
			[ -e "src/client/$name" ] && [[ $hit != *server/* ]] || echo "$hit"
		done
done
grep -nE '#[[:space:]]*include[[:space:]]*"(\.\./|client/|server/)' src/**/*.[ch] /dev/null
exit 0
