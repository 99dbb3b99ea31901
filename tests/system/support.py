"""What the system tests share: a running stack in a temporary folder, JTL's stock changed under it, a live client, and the checks that
must hold after every fault: TEMU shows what the oracle wants, nothing was pushed twice, no log line is missing."""

import asyncio
import contextlib
import json
import os
import select
import shutil
import sys
import tempfile
import threading
import time
import unittest

import pymssql
import websockets

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "ecosystem", "sandbox"))
sys.path.insert(0, os.path.join(ROOT, "tests", "system"))
import oracle  # noqa: E402
from stack import Stack, StackError  # noqa: E402

BUILD = os.environ.get("TEMU_TEST_BUILD", "release")
QUICK = {"workers.backoff_ms": 20, "workers.backoff_max_ms": 100, "workers.hold_ms": 200, "database.login_timeout_s": 5}


def await_condition(condition, timeout=20, what="the condition"):
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("%s did not come true in %d s" % (what, timeout))
        select.select([], [], [], 0.01)


class LiveClient:
    """Reads /ws/logs on a thread of its own and keeps every event."""

    def __init__(self, stack, after=None):
        self.events, self.failure = [], None
        self._changed = threading.Condition()
        query = "?after=" + after if after else ""
        self._url = "ws://127.0.0.1:%d/ws/logs%s" % (stack.api_port, query)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._read()), daemon=True)
        self._thread.start()
        self.await_event(lambda event: event.get("event") == "hello")

    async def _read(self):
        try:
            async with websockets.connect(self._url, max_size=None) as live:
                async for message in live:
                    with self._changed:
                        self.events.append(json.loads(message))
                        self._changed.notify_all()
        except (OSError, websockets.WebSocketException) as error:
            self.failure = error
        finally:
            with self._changed:
                self.failure = self.failure or EOFError("closed")
                self._changed.notify_all()

    def await_event(self, wanted, timeout=30):
        with self._changed:
            found = self._changed.wait_for(lambda: any(wanted(e) for e in self.events) or self.failure, timeout)
            hits = [e for e in self.events if wanted(e)]
            if not hits:
                raise StackError("no such event in %d s (%s); %d came, the last: %s"
                                 % (timeout, self.failure if found else "time-out", len(self.events), self.events[-3:]))
            return hits[0]

    def await_end(self, timeout=30):
        with self._changed:
            self._changed.wait_for(lambda: self.failure, timeout)

    def await_run(self, run_id, *states):
        return self.await_event(lambda e: e.get("event") == "run" and e.get("run_id") == run_id and e.get("state") in states)

    def numbers(self):
        with self._changed:
            return [event["seq"] for event in self.events if event.get("seq")]


class StackCase(unittest.TestCase):
    """One stack for the class; every test leaves it in step."""
    articles, seed, settings, shop_settings = 60, 7, {}, {}
    gate, first_run, rate = "stock", True, 1000
    more_shops = ()  # settings of shops beside the first
    orders_faults = False  # uses the control ports, which only the stand-ins have

    @classmethod
    def skip_elsewhere(cls):
        """What servers of somebody else cannot do."""
        if cls.orders_faults and (os.environ.get("TEMU_TEST_TDS") or os.environ.get("TEMU_TEST_GATEWAY")):
            raise unittest.SkipTest("faults are ordered from the stand-ins only")
        if cls.more_shops and os.environ.get("TEMU_TEST_GATEWAY"):
            raise unittest.SkipTest("TEMU_TEST_GATEWAY has credentials for one shop only")

    @classmethod
    def setUpClass(cls):
        cls.skip_elsewhere()
        cls.folder = tempfile.mkdtemp(prefix="temu-")
        cls.stack = Stack(cls.folder, BUILD, cls.articles, cls.seed, rate=cls.rate, settings=dict(QUICK, **cls.settings),
                          shop=cls.shop_settings, more_shops=cls.more_shops)
        try:
            cls.stack.start()
            cls.model = cls.stack.model()
            for shop in range(1, len(cls.stack.shops) + 1):
                cls.open_gate(cls.gate, shop)
                if cls.first_run:
                    run = cls.sync(shop=shop)
                    assert run["state"] == "success", run
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        try:
            cls.stack.stop()
            cls.assert_clean_logs()
        finally:
            if os.environ.get("TEMU_TEST_KEEP"):
                print("kept:", cls.folder)
            else:
                shutil.rmtree(cls.folder, ignore_errors=True)

    @classmethod
    def assert_clean_logs(cls):
        """A sanitizer's report ends no daemon's life for certain, and no test by itself."""
        for path in [made.path("log", name) for made in (cls.stack, *cls.stack.installations) for name in os.listdir(made.path("log"))]:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
            for word in ("Sanitizer", "runtime error:", "Assertion"):
                assert word not in text, "%s: %s" % (path, text[max(0, text.index(word) - 200):][:4000])

    @classmethod
    def open_gate(cls, gate, shop=1):
        cls.stack.open_gate(gate, shop)

    @classmethod
    def sync(cls, mode="full", shop=None, **params):
        """One run to its end."""
        return cls.stack.sync(mode, shop, **params)

    @classmethod
    def database(cls, name=None):
        return contextlib.closing(pymssql.connect(server=cls.stack.sql_host, port=str(cls.stack.sql_port), user=cls.stack.user,
                                                  password=cls.stack.password, database=name or cls.stack.jtl, charset="UTF-8",
                                                  tds_version="7.3", autocommit=True))

    @classmethod
    def rows(cls, statement, parameters=(), name=None):
        with cls.database(name or cls.stack.own) as connection:
            cursor = connection.cursor()
            cursor.execute(statement, parameters)
            return cursor.fetchall()

    def change_stock(self, count=10, start=0, to=None):
        """New quantities for `count` plain articles in JTL and in the model; returns {sku_id: wanted}."""
        picked = [row for row in self.model.articles if row.get("plain")][start:start + count]
        with self.database() as connection:
            cursor = connection.cursor()
            for row in picked:
                amount = to if to is not None else row["k"] * 3 + len(self.id()) % 7 + self.bump()
                entries = [e for e in self.model.stock if e["k"] == row["k"] and e["w"] == 2]
                if entries:
                    entries[0]["b"] = str(amount)
                    cursor.execute("UPDATE dbo.tlagerbestandProLagerLagerartikel SET fBestand = %d WHERE kArtikel = %d AND kWarenlager = 2",
                                   (amount, row["k"]))
                else:
                    self.model.stock.append({"k": row["k"], "w": 2, "b": str(amount), "g": "0"})
                    cursor.execute("INSERT INTO dbo.tlagerbestandProLagerLagerartikel (kArtikel, kWarenlager, fBestand) VALUES (%d, 2, %d)",
                                   (row["k"], amount))
        skus = {oracle.fold(row["sku"]) for row in picked}
        want = oracle.expected(self.model)
        return {sku["sku_id"]: want[sku["sku_id"]] for goods in self.model.goods for sku in goods["skus"]
                if oracle.fold(sku["sku_sn"]) in skus}

    bumps = 0

    @classmethod
    def bump(cls):
        StackCase.bumps += 1
        return StackCase.bumps

    def differences(self, number=0):
        """Of the number-th shop, from 0."""
        stock, shop = self.stack.temu_stock(number), self.stack.shops[number]
        want = oracle.expected(self.model, number, tuple(shop.get("warehouses", (2,))), shop.get("percent", 100))
        return {sku_id: (stock[sku_id]["stock"], value) for sku_id, value in want.items() if stock[sku_id]["stock"] != value}

    def assert_in_step(self, number=0):
        self.assertEqual(self.differences(number), {}, "TEMU shows (left) what it should not (wanted: right)")

    def assert_events_whole(self, live=None):
        """The journal's numbers have no hole, and the live client saw each of its numbers once and in order."""
        numbers, start = [], 1
        while True:
            _, _, page = self.stack.request("GET", "/api/logs?from=%d" % start)
            numbers += [event["seq"] for event in page["events"]]
            if not page["more"]:
                break
            start = numbers[-1] + 1
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        if live is not None:
            live.await_event(lambda event: int((event.get("cursor") or ":0").split(":")[1]) == numbers[-1])
            seen = live.numbers()
            self.assertEqual(seen, numbers[len(numbers) - len(seen):])


def main():
    unittest.main(verbosity=2)
