#!/usr/bin/env bash
# Prints the schema files (NNN_name.sql, given in order) as C source for worker/db/schema.h, so that the binary carries its schema.
set -euo pipefail
echo '#include "worker/db/schema.h"'
echo 'const struct schema_file schema_files[] = {'
for file in "$@"; do
    base=$(basename "$file" .sql)
    number=${base%%_*}
    printf '\t{ %d, "%s",\n' "$((10#$number))" "${base#*_}"
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/\t  "/' -e 's/$/\\n"/' "$file"
    printf '\t},\n'
done
echo '};'
echo 'const size_t schema_file_count = sizeof(schema_files) / sizeof(schema_files[0]);'
