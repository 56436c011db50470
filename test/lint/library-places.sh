#!/bin/bash
#
# library-places.sh
#		Each foreign library is known in one place only.

shopt -s globstar nullglob

# headers, and the folder that may include them
places=(
	'openssl/'		'src/core/crypto/'
	'curl/'			'src/core/store/http/'
	'expat\.h'		'src/core/store/s3/'
	'jansson\.h'	'src/core/format/|src/core/notify/|src/core/store/s3/|src/client/'
	'zstd\.h'		'src/core/pipe/'
	'lz4(hc)?\.h'	'src/core/pipe/'
	'zlib\.h'		'src/core/pipe/'
	'pthread\.h'	'nowhere'
)

for ((i = 0; i < ${#places[@]}; i += 2)); do
	grep -nE "#[[:space:]]*include[[:space:]]*[<\"]${places[i]}" src/**/*.[ch] /dev/null |
		grep -vE "^(${places[i + 1]})"
done
exit 0
