#!/usr/bin/env bash
# Builds and runs every test; the last line is "N passed, N failed".
# usage: test.sh [--long]     --long: the long campaigns whole instead of a sample (SEED=n)
set -uo pipefail
cd "$(dirname "$0")/.."
long=
[ "${1:-}" = --long ] && long=1
scripts/install-deps.sh test || { echo "test: the packages above are needed"; exit 1; }

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
export TSAN_OPTIONS=suppressions=$PWD/tests/tsan.supp
passed=0 failed=0

# Builds one set of unit tests and runs each program; counts cmocka's own lines.
run_unit() {
    local build=$1
    # Some tests start the stand-ins of their own build.
    if ! make -s -j2 BUILD="$build" unit "build/$build/sandbox-sql" "build/$build/sandbox-gateway" >"$logs/build" 2>&1; then
        tail -30 "$logs/build"
        echo "FAIL build $build"
        failed=$((failed + 1))
        return
    fi
    local program name ok bad skipped
    for name in tests/unit/*/test_*.c; do
        name=${name#tests/unit/} name=${name%.c}
        program=build/$build/unit/$name
        timeout "${TEST_TIMEOUT:-120}" "$program" >"$logs/out" 2>&1 </dev/null
        local status=$?
        ok=$(grep -c '^\[       OK \]' "$logs/out")
        bad=$(grep -c '^\[  FAILED  \] [A-Za-z_0-9]*$' "$logs/out")
        skipped=$(grep -c '^\[  SKIPPED \] [A-Za-z_0-9]*$' "$logs/out")
        # A crash, a sanitizer report or a time-out has no line of its own.
        [ "$status" != 0 ] && [ "$bad" = 0 ] && bad=1
        passed=$((passed + ok)) failed=$((failed + bad))
        printf '%-8s %-28s %3d ok %s%s\n' "$build" "$name" "$ok" "$([ "$skipped" = 0 ] || echo "$skipped skipped ")" \
            "$([ "$bad" = 0 ] || echo "$bad FAILED (exit $status)")"
        [ "$bad" = 0 ] || tail -40 "$logs/out"
    done
}

# The whole system as processes: each file against the sandbox (or what TEMU_TEST_TDS, TEMU_TEST_GATEWAY name). Under a sanitizer the
# stand-ins are those of the release. Leaving in mid-drain with threads is how the daemons end when they must.
run_system() {
    local build=$1
    shift
    if ! make -s -j2 BUILD="$build" programs >"$logs/build" 2>&1; then
        tail -30 "$logs/build"
        echo "FAIL build $build"
        failed=$((failed + 1))
        return
    fi
    local name ok bad skipped
    for name in "$@"; do
        TEMU_TEST_BUILD=$build TSAN_OPTIONS=$TSAN_OPTIONS:report_thread_leaks=0:atexit_sleep_ms=0 timeout 900 /usr/bin/python3 -B "$name" >"$logs/out" 2>&1 </dev/null
        local status=$?
        ok=$(grep -cE '\.\.\. ok$' "$logs/out")
        bad=$(grep -cE '^(FAIL|ERROR): ' "$logs/out")
        skipped=$(grep -c "\.\.\. skipped" "$logs/out")
        [ "$status" != 0 ] && [ "$bad" = 0 ] && bad=1
        passed=$((passed + ok)) failed=$((failed + bad))
        printf '%-8s %-28s %3d ok %s%s\n' "$build" "$(basename "$name" .py)" "$ok" \
            "$([ "$skipped" = 0 ] || echo "$skipped skipped ")" "$([ "$bad" = 0 ] || echo "$bad FAILED (exit $status)")"
        [ "$bad" = 0 ] || tail -60 "$logs/out"
    done
}

# Each fuzz target for a few seconds; a finding leaves its input in build/fuzz/.
run_fuzz() {
    if ! make -s -j2 BUILD=fuzz CC=clang-14 fuzz >"$logs/build" 2>&1; then
        tail -30 "$logs/build"
        echo "FAIL build fuzz"
        failed=$((failed + 1))
        return
    fi
    local target
    for target in tests/fuzz/fuzz_*.c; do
        target=build/fuzz/fuzz/$(basename "$target" .c)
        if "$target" -seed="${SEED:-1}" -max_total_time="$1" -timeout=10 -max_len=4096 -artifact_prefix=build/fuzz/ >"$logs/out" 2>&1; then
            passed=$((passed + 1))
            echo "fuzz     $(basename "$target") $(grep -o "Done.*" "$logs/out" | tail -1)"
        else
            failed=$((failed + 1))
            echo "fuzz     $(basename "$target") FAILED"
            tail -30 "$logs/out"
        fi
    done
}

if [ -n "$long" ]; then
    export TEMU_TEST_LONG=1 TEMU_TEST_SOAK_SECONDS=${TEMU_TEST_SOAK_SECONDS:-60} TEMU_TEST_KILLS=${TEMU_TEST_KILLS:-500} TEST_TIMEOUT=900
fi
run_unit release
run_unit asan
run_unit tsan
run_system release tests/system/test_*.py
run_system asan tests/system/test_{faults,daemons,shops,weekend}.py
if [ -n "$long" ]; then
    run_system asan tests/system/test_lease.py
    run_system tsan tests/system/test_{faults,daemons,lease,shops,weekend}.py
    for seed in {2..10}; do SEED=$seed run_system release tests/system/test_weekend.py; done
fi
run_fuzz "$([ -n "$long" ] && echo 300 || echo 3)"
if scripts/check.sh >"$logs/out" 2>&1; then
    passed=$((passed + 1))
else
    cat "$logs/out"
    failed=$((failed + 1))
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
