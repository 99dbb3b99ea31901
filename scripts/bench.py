#!/usr/bin/python3
"""Measures the inventory sync against the sandbox at zero latency and prints a Markdown table: duration of a first, an unchanged and a
changed run, requests against the least possible, SQL statements, peak memory of both daemons; then the lines of code per room.

usage: bench.py [SKUs ...]   (default 500 5000)"""

import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "ecosystem", "sandbox"))
from stack import Stack  # noqa: E402

LIST, EDIT = "bg.local.goods.sku.list.query", "bg.local.goods.stock.edit"
REPEAT = 5
ROOMS = ["common", "proto", "api", "worker/core", "worker/store", "worker/db", "worker/temu", "worker/jobs", "ecosystem/schema",
         "ecosystem/sandbox", "tests", "scripts"]


def least_requests(stack, run, full):
    """Every page of both lists once, and one call for each goods (of at most 50 SKUs) with something to change."""
    pages = 0
    if full:
        lists = {2: 0, 3: 0}
        for row in stack.temu_stock().values():
            lists[row["status"]] += 1
        pages = sum(max(1, math.ceil(count / 100)) for count in lists.values())
    goods = {}
    for item in stack.items(run["run_id"], "pushed"):
        goods[item["goods_id"]] = goods.get(item["goods_id"], 0) + 1
    return pages + sum(math.ceil(count / 50) for count in goods.values())


def counters(stack):
    sql = json.loads(stack.sql_control_line("stats"))
    return sql["statements"]


def measure(stack, mode):
    before = counters(stack)
    _, _, answer = stack.execute(mode)
    run = stack.await_run(answer["run_id"], timeout=600)
    if run["state"] != "success":
        sys.exit("bench: %s ended %s: %s" % (run["run_id"], run["state"], json.dumps(run)))
    return run, counters(stack) - before


def change_some(stack, articles):
    """Another quantity for every tenth article, through SQL like JTL would."""
    import pymssql
    with pymssql.connect(server=stack.sql_host, port=str(stack.sql_port), user=stack.user, password=stack.password, database=stack.jtl,
                         tds_version="7.3", autocommit=True) as connection:
        connection.cursor().execute("UPDATE dbo.tlagerbestandProLagerLagerartikel SET fBestand = fBestand + 1 "
                                    "WHERE kArtikel - kArtikel / 10 * 10 = 3 AND kArtikel <= %d AND kWarenlager = 2", (articles,))


def row(title, runs, stack, full):
    durations = [run["duration_seconds"] * 1000 for run, _ in runs]
    run, statements = runs[-1]
    print("| %s | %d | %d | %d | %d | %d / %d | %d |" % (
        title, min(durations), statistics.median(durations), max(durations), run["result"]["pushed"], run["result"]["requests"],
        least_requests(stack, run, full), statements), flush=True)


def bench(articles):
    folder = tempfile.mkdtemp(prefix="temu-bench-")
    stack = Stack(folder, articles=articles, rate=1000000, settings={"temu.rate": 1000})
    try:
        stack.start()
        stack.request("PUT", "/api/shops/1/writes", {"writes": "stock", "reason": "bench"})
        idle = [stack.memory_kb(process)[0] for process in (stack.workers, stack.api)]
        print("\n## %d SKUs\n\n| run | min ms | median ms | max ms | pushed | requests / least | statements |" % articles)
        print("|---|---|---|---|---|---|---|")
        row("full, first", [measure(stack, "full")], stack, True)
        row("full, nothing changed", [measure(stack, "full") for _ in range(REPEAT)], stack, True)
        row("quick, nothing changed", [measure(stack, "quick") for _ in range(REPEAT)], stack, False)
        changed = []
        for _ in range(REPEAT):
            change_some(stack, articles)
            changed.append(measure(stack, "quick"))
        row("quick, a tenth changed", changed, stack, False)
        print("\nmemory: " + ", ".join("%s %.1f MB idle, %.1f MB peak" % (process.name, before / 1024, stack.memory_kb(process)[1] / 1024)
                                       for process, before in zip((stack.workers, stack.api), idle)), flush=True)
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)


def lines_of_code():
    print("\n## Lines\n\n| room | lines |\n|---|---|")
    for room in ROOMS:
        files = subprocess.run(["git", "ls-files", room], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
        total = 0
        for name in files:
            with open(os.path.join(ROOT, name), encoding="utf-8", errors="replace") as file:
                total += sum(1 for _ in file)
        print("| %s | %d |" % (room, total))


if __name__ == "__main__":
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    print("# Inventory sync against the sandbox, zero latency (commit %s, %d cores)" % (commit, os.cpu_count()))
    for count in [int(word) for word in sys.argv[1:]] or [500, 5000]:
        bench(count)
    lines_of_code()
