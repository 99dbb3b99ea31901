#!/usr/bin/env bash
# Layers, vendor headers, banned calls, headers that compile alone, cppcheck. Says what is wrong and ends with 1.
set -uo pipefail
cd "$(dirname "$0")/.."
rooms=$(ls -d api common proto worker ecosystem 2>/dev/null)
bad=0
complain() { echo "check: $1"; bad=1; }

# No arrow may run the wrong way: <folder> must not include <pattern>.
forbid() {
    local folder=$1 pattern=$2 hit
    [ -d "$folder" ] || return 0
    hit=$(grep -rnE "^#include \"($pattern)" --include='*.[ch]' --include='*.def' "$folder") && complain "$folder must not include: $hit"
    return 0
}
forbid common 'proto/|api/|worker/|ecosystem/'
forbid proto 'api/|worker/|ecosystem/'
forbid api 'worker/|ecosystem/'
forbid worker 'api/|ecosystem/'
forbid worker/core 'worker/(jobs|db|temu)/'
forbid worker/store 'worker/(core|jobs|db|temu)/'
forbid worker/db 'worker/(core|jobs|temu|store)/'
forbid worker/temu 'worker/(core|jobs|db|store)/'
forbid ecosystem/sandbox 'api/|worker/|proto/'

# Each vendor library in one room.
vendor() {
    local header=$1 allowed=$2 hit
    hit=$(grep -rlE "^#include <$header" --include='*.[ch]' $rooms | grep -vE "^($allowed)")
    [ -z "$hit" ] || complain "<$header> outside its room: $hit"
}
vendor 'civetweb' 'api/httpd\.c'
vendor 'nng/' 'common/ipc\.c'
vendor 'yaml' 'common/conf\.c'
vendor '(ctpublic|cspublic|cstypes)' 'worker/db/'
vendor 'curl/' 'common/http\.c'
vendor 'sqlite3' 'worker/store/|ecosystem/sandbox/'
vendor '(cjson/)?cJSON' 'common/json\.c'

hit=$(grep -rnE '\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|system|popen)\(' --include='*.[ch]' $rooms) &&
    complain "banned call: $hit"

# Every header compiles alone.
report=$(mktemp)
trap 'rm -f "$report"' EXIT
for header in $(find $rooms tests -name '*.h'); do
    gcc -std=c11 -D_GNU_SOURCE -I. -fsyntax-only -x c "$header" 2>"$report" || complain "$header does not compile alone: $(head -3 "$report")"
done

cppcheck -q --std=c11 -I. --enable=warning,portability --inline-suppr --error-exitcode=1 \
    $(find $rooms -name '*.c') || complain "cppcheck has findings (above), or is not installed"
exit $bad
