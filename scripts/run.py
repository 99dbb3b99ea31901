#!/usr/bin/python3
"""Starts the sandbox and the daemons, runs a full inventory sync with its live log, prints its result, stays until Ctrl-C.

Environment: ONCE=1 ends after the run (exit 0 only if it succeeded); PORT of the API (8000); ARTICLES (500) and SEED (1) of a fresh
sandbox; RATE requests per second at the gateway (20); LATENCY_MS of it (0); RUN_FOLDER (run/) for everything that is kept, FRESH=1
forgets what is kept there. Installed configuration and TEMU_ variables are ignored."""

import asyncio
import fcntl
import json
import os
import shutil
import signal
import sys
import time

import websockets

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "ecosystem", "sandbox"))
from stack import Stack, StackError, free_port_check  # noqa: E402

TERMINAL = ("success", "partial", "failed", "cancelled")
TABLE = [("SKUs seen", "seen"), ("mapped", "mapped"), ("unmapped", "unmapped"), ("skipped by rule", "skipped"), ("changed", "changed"),
         ("pushed", "pushed"), ("refused", "refused"), ("in doubt", "unknown"), ("requests sent", "requests")]


def number(name, default, low, high):
    text = os.environ.get(name) or str(default)
    if not text.isdigit() or not low <= int(text) <= high:
        sys.exit("run: %s=%s: a whole number from %d to %d is expected" % (name, text, low, high))
    return int(text)


def one_at_a_time(folder):
    """Two of us in one folder would pull the files from under each other."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    lock = open(os.path.join(folder, "lock"), "w", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit("run: another `make run` works in %s; stop that one first" % folder)
    return lock


def forget(folder):
    """Only what we put there: RUN_FOLDER may name any folder."""
    for part in Stack.PARTS:
        shutil.rmtree(os.path.join(folder, part), ignore_errors=True)


def show(event):
    if event.get("event") == "log":
        print("%6d %s %-7s %s" % (event["seq"], event["time"][11:23], event["level"], event["text"]), flush=True)
    elif event.get("event") == "run":
        print("%6d %s %-7s run %s: %s" % (event["seq"], event["time"][11:23], "", event["run_id"], event["state"]), flush=True)
    elif event.get("event") == "dropped":
        print("       (lines %s to %s were dropped: this terminal was too slow)" % (event["from"], event["to"]), flush=True)


def make_way(stack, run_id):
    status, _, answer = stack.request("POST", "/api/runs/%s/cancel" % run_id)
    if status not in (200, 202, 409):  # 409: it is over in the meantime
        raise StackError("run %s could not be cancelled: %d %s" % (run_id, status, answer))
    stack.await_run(run_id)


async def sync_with_live_log(stack, ends):
    """Connects first, triggers second, so that not one line is missed. Until the run is in one of these states."""
    async with websockets.connect("ws://127.0.0.1:%d/ws/logs" % stack.api_port, max_size=None) as live:
        hello = json.loads(await live.recv())
        if hello.get("event") != "hello":
            raise StackError("the live log did not greet: %s" % hello)
        status, _, answer = await asyncio.to_thread(stack.execute, "full")
        if status == 409 and answer.get("code") == "ALREADY_RUNNING":
            print("run: %s was stopped by an earlier Ctrl-C and is cancelled for a new one" % answer["run_id"], flush=True)
            await asyncio.to_thread(make_way, stack, answer["run_id"])
            status, _, answer = await asyncio.to_thread(stack.execute, "full")
        if status != 202:
            raise StackError("the sync was not accepted: %d %s" % (status, answer))
        print("run: %s accepted; its live log:" % answer["run_id"], flush=True)
        async for message in live:
            event = json.loads(message)
            show(event)
            if event.get("event") == "run" and event.get("run_id") == answer["run_id"] and event["state"] in ends:
                return await asyncio.to_thread(stack.run, answer["run_id"])
    raise StackError("the live log ended before the run did")


def print_table(run):
    result = run.get("result") or {}
    print("\n%s: %s" % (run["run_id"], run["state"]))
    for title, key in TABLE:
        if key in result:
            print("  %-16s %10s" % (title, result[key]))
    print("  %-16s %8.2f s" % ("duration", run.get("duration_seconds") or 0))
    if run.get("error"):
        print("  error: %s" % json.dumps(run["error"], ensure_ascii=False))
    print(flush=True)


async def work(stack, once):
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(name, stopped.set)
    begun = time.monotonic()
    await asyncio.to_thread(stack.start)
    if stopped.is_set():
        return 130
    status, _, answer = await asyncio.to_thread(stack.request, "PUT", "/api/shops/1/writes",
                                                {"writes": "stock", "reason": "make run opens the sandbox's shop"})
    if status != 200:
        raise StackError("the write gate did not open: %d %s" % (status, answer))
    print("run: up in %.2f s. API http://127.0.0.1:%d, SQL 127.0.0.1:%d, gateway 127.0.0.1:%d, logs in %s"
          % (time.monotonic() - begun, stack.api_port, stack.sql_port, stack.gateway_port, stack.path("log")), flush=True)
    # Nobody is there to change what a held run waits for when it is to end by itself.
    sync = asyncio.create_task(sync_with_live_log(stack, TERMINAL + ("held",) if once else TERMINAL))
    end = asyncio.create_task(stopped.wait())
    await asyncio.wait({sync, end}, return_when=asyncio.FIRST_COMPLETED)
    if not sync.done():
        sync.cancel()
        return 130
    run = sync.result()
    print_table(run)
    if not once:
        print("run: everything stays up. Try   curl -s http://127.0.0.1:%d/api/jobs/status | jq   Ctrl-C stops it." % stack.api_port,
              flush=True)
        await end
    return 0 if run["state"] == "success" or not once else 1


def main():
    folder = os.path.abspath(os.environ.get("RUN_FOLDER") or os.path.join(ROOT, "run"))
    port = number("PORT", 8000, 1, 65535)
    lock = one_at_a_time(folder)
    for key in [name for name in os.environ if name.startswith("TEMU_")]:
        del os.environ[key]
    code, stack = 1, None
    try:
        free_port_check("127.0.0.1", port)
        if os.environ.get("FRESH"):
            forget(folder)
        stack = Stack(folder, articles=number("ARTICLES", 500, 1, 100000), seed=number("SEED", 1, 0, 2 ** 31), api_port=port,
                      rate=number("RATE", 20, 1, 100000), latency_ms=number("LATENCY_MS", 0, 0, 60000))
        code = asyncio.run(work(stack, bool(os.environ.get("ONCE"))))
    except StackError as error:
        print("run: %s" % error, file=sys.stderr)
    finally:
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, signal.SIG_IGN)  # an impatient second Ctrl-C must leave nothing running
        if stack is not None:
            try:
                stack.stop()
                print("run: stopped", flush=True)
            except StackError as error:
                print("run: %s" % error, file=sys.stderr)
                code = 1
        lock.close()
    sys.exit(code)


if __name__ == "__main__":
    main()
