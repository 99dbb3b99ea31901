"""Two shops with two credentials before one JTL, side by side: both in step, each by its own rules, and the trouble of one never delays
the other."""

import contextlib
import json
import time

import support
from support import LiveClient, StackCase, oracle

SLOW_MS = 60000
ENDED = ("success", "partial", "failed", "cancelled")


class TwoShops(StackCase):
    orders_faults, articles, more_shops = True, 200, ({"name": "Second", "percent": 50},)
    # One thread is fewer than there are shops, and one in flight fewer than the pages of a catalogue: neither may be taken by one shop.
    settings = {"workers.threads": 1, "temu.in_flight": 1, "temu.timeout_ms": 5000}

    def setUp(self):
        self.malls = [self.stack.mall_id(number) for number in range(2)]

    def tearDown(self):
        self.stack.gateway_control("POST", "/clear")
        for run in self.stack.request("GET", "/api/runs?limit=100")[2]["runs"]:
            if run["state"] not in ENDED:
                self.stack.request("POST", "/api/runs/%s/cancel" % run["run_id"])
                self.stack.await_run(run["run_id"])

    def both(self, mode="full"):
        """Started together; their ends."""
        answers = [self.stack.execute(mode, shop) for shop in (1, 2)]
        self.assertEqual([status for status, _, _ in answers], [202, 202], answers)
        return [self.stack.await_run(answer["run_id"]) for _, _, answer in answers]

    def shared_articles(self):
        """SKU texts, as JTL compares them, of articles that both shops list."""
        texts = [{oracle.fold(sku["sku_sn"]) for goods in catalogue.goods for sku in goods["skus"] if sku["sku_sn"].strip()}
                 for catalogue in (self.model, self.model.more[0])]
        return texts[0] & texts[1] & {oracle.fold(row["sku"]) for row in self.model.articles if "gap" not in row}

    def timed(self, shop):
        begun = time.monotonic()
        run = self.sync("full", shop)
        self.assertEqual(run["state"], "success", run)
        return time.monotonic() - begun

    @contextlib.contextmanager
    def undisturbed(self, fault=None):
        """While shop 1 is in trouble (its run has reached the gateway), shop 2 works at its usual pace."""
        usual = self.timed(2)
        live = LiveClient(self.stack)
        if fault:
            self.stack.gateway_control("POST", "/fault", dict({"count": -1, "mall_id": self.malls[0]}, **fault))
        calls = self.stack.gateway_control("GET", "/stats")["total"]
        status, _, answer = self.stack.execute("full", 1)
        self.assertEqual(status, 202, answer)
        if fault:
            support.await_condition(lambda: any(call["mall_id"] == self.malls[0] for call in self.stack.temu_calls(calls)),
                                    what="a call of the shop in trouble")
        self.change_stock(12, start=30)
        for _ in range(2):
            self.assertLess(self.timed(2), 10 * usual + 2)
        self.assert_in_step(1)
        yield answer["run_id"]
        self.assertEqual([e for e in live.events if e.get("event") == "run" and e.get("shop") == 2
                          and e["state"] not in ("queued", "running", "success")], [])

    def mend(self, run_id):
        """The trouble is over; shop 1 comes back by itself or with its next run."""
        self.stack.gateway_control("POST", "/clear")
        run = self.stack.await_run(run_id)
        if run["state"] != "success" or run["result"]["planned"]:
            self.assertEqual(self.sync("full", 1)["state"], "success")
        self.assert_in_step(0)
        return run

    def test_01_both_are_in_step_each_with_its_own_share(self):
        self.assert_in_step(0)
        self.assert_in_step(1)
        whole, half = oracle.expected(self.model), oracle.expected(self.model, 1, percent=50)
        self.assertNotEqual(half, oracle.expected(self.model, 1), "the share decides")
        self.assertEqual(set(whole) & set(half), set())

    def test_02_one_change_in_jtl_reaches_both_at_once(self):
        self.change_stock(25)
        self.change_stock(4, start=40, to=0)
        writes = len(self.stack.temu_writes())
        for run in self.both("quick"):
            self.assertEqual(run["state"], "success", run)
        self.assert_in_step(0)
        self.assert_in_step(1)
        changed = {write["mall_id"] for write in self.stack.temu_writes(writes)}
        self.assertEqual(changed, set(self.malls))

    def test_03_the_same_sku_text_stands_in_both(self):
        shared = self.shared_articles()
        self.assertGreater(len(shared), 50)
        rows = self.rows("SELECT shop, sku, sku_id FROM dbo.temu_products")
        texts = [{oracle.fold(sku) for shop, sku, _ in rows if shop == number} for number in (1, 2)]
        self.assertLessEqual(shared, texts[0] & texts[1])
        self.assertEqual(len({sku_id for _, _, sku_id in rows}), len(rows))

    def test_04_the_report_names_the_articles_that_both_offer(self):
        for shop, other in ((1, 2), (2, 1)):
            report = self.sync("full", shop)["result"]["report"]
            line = next(entry for entry in report if entry["rule"] == "shared_article")
            self.assertEqual(line["count"], len(self.shared_articles()), line)
            self.assertTrue(line["examples"])
            self.assertIn("shop", line["what"])
            self.assertIn(str(other), json.dumps(line["examples"]))

    def test_05_a_token_of_one_is_replaced(self):
        with self.undisturbed({"kind": "replace_token", "count": 1}) as run_id:
            run = self.stack.await_run(run_id, states=("held", "failed"))
            self.assertIn("token", json.dumps(run["error"]).lower())
        self.mend(run_id)

    def test_06_the_gateway_answers_one_with_502(self):
        with self.undisturbed({"kind": "http502"}) as run_id:
            pass
        self.mend(run_id)

    def test_07_the_calls_of_one_hang(self):
        with self.undisturbed({"kind": "slow", "delay_ms": SLOW_MS}) as run_id:
            self.assertNotIn(self.stack.run(run_id)["state"], ENDED, "it still hangs")
        self.stack.request("POST", "/api/runs/%s/cancel" % run_id)
        self.assertEqual(self.mend(run_id)["state"], "cancelled")

    def test_08_the_gate_of_one_is_shut(self):
        self.change_stock(10, start=60)
        before = self.stack.temu_stock(0)
        self.open_gate("off", 1)
        with self.undisturbed() as run_id:
            run = self.stack.await_run(run_id)
            self.assertEqual(run["state"], "success", run)
            self.assertTrue(self.stack.items(run_id, "planned"))
            self.assertEqual(self.stack.temu_stock(0), before)
        self.open_gate("stock", 1)
        self.mend(run_id)

    def test_09_the_catalogue_of_one_is_damaged(self):
        for fault in ({"kind": "duplicate_page"}, {"kind": "truncate"}, {"kind": "total_changes"}, {"kind": "empty_page"}):
            with self.subTest(fault=fault["kind"]):
                before = self.stack.temu_stock(0)
                with self.undisturbed(dict(fault, type="bg.local.goods.sku.list.query")) as run_id:
                    run = self.stack.await_run(run_id)
                    self.assertEqual(run["state"], "failed", run)
                    self.assertEqual(self.stack.temu_stock(0), before, "a read that cannot be believed pushes nothing")
                self.mend(run_id)

    def rates(self):
        """Of the two keys, in the order of their first use."""
        rates = sorted(self.stack.request("GET", "/api/system")[2]["pools"]["rates"], key=lambda rate: rate["number"])
        self.assertEqual([rate["number"] for rate in rates], [1, 2])
        return rates

    def calls_made(self):
        counts = self.stack.gateway_control("GET", "/stats")["counts"]
        return [sum(row["calls"] for row in counts if row["mall_id"] == mall) for mall in self.malls]

    def test_10_each_app_key_has_a_budget_of_its_own(self):
        before, calls = self.rates(), self.calls_made()
        self.stack.gateway_control("POST", "/fault", {"kind": "code", "code": 4000004, "count": 1, "mall_id": self.malls[0]})
        for run in self.both():
            self.assertEqual(run["state"], "success", run)
        after = self.rates()
        self.assertEqual([now["taken"] - was["taken"] for was, now in zip(before, after)],
                         [now - was for was, now in zip(calls, self.calls_made())], "who calls pays, and from the own budget")
        self.assertEqual([now["limited"] - was["limited"] for was, now in zip(before, after)], [1, 0])
        self.assertLess(after[0]["rate"], before[0]["rate"])
        self.assertEqual(after[1]["rate"], before[1]["rate"])
        # TEMU counts each key by itself, too: what fits into one key's second is taken by each at once.
        self.stack.gateway_control("POST", "/rate", {"per_second": 6})
        try:
            calls = self.stack.gateway_control("GET", "/stats")["total"]
            for run in self.both():
                self.assertEqual(run["state"], "success", run)
            self.assertEqual([call for call in self.stack.temu_calls(calls) if call["outcome"] == "4000004"], [])
            self.assertGreater(self.stack.gateway_control("GET", "/stats")["total"] - calls, 6)
        finally:
            self.stack.gateway_control("POST", "/rate", {"per_second": self.rate})

    def test_11_both_are_killed_in_mid_run_and_resume(self):
        self.change_stock(30, start=80)
        self.stack.gateway_control("POST", "/fault", {"kind": "slow", "count": -1, "delay_ms": 30, "type": "bg.local.goods.stock.edit"})
        writes = len(self.stack.temu_writes())
        answers = [self.stack.execute("full", shop)[2] for shop in (1, 2)]
        support.await_condition(lambda: {write["mall_id"] for write in self.stack.temu_writes(writes)} == set(self.malls),
                                what="a push of both")
        self.stack.workers.kill()
        self.stack.gateway_control("POST", "/clear")
        self.stack.start_workers()
        self.stack.await_ready()
        for answer in answers:
            self.assertEqual(self.stack.await_run(answer["run_id"])["state"], "success")
        for number in (0, 1):
            self.sync("full", number + 1)
            self.assert_in_step(number)
        self.assert_events_whole()

    def test_12_the_guard_of_one_stops_one(self):
        kept = self.stack.shops[1]["percent"]
        self.stack.workers.stop()
        self.stack.shops[1]["percent"] = 100
        self.stack.write_config()
        self.stack.start_workers()
        self.stack.await_ready()
        self.change_stock(10, start=110)
        before = self.stack.temu_stock(1)
        runs = self.both()
        self.assertEqual([run["state"] for run in runs], ["success", "failed"], runs)
        self.assertRegex(runs[1]["error"]["code"], "^GUARD_")
        self.assertIn("percent: 50 -> 100", runs[1]["error"]["text"])
        self.assertEqual(self.stack.temu_stock(1), before)
        self.assert_in_step(0)
        self.stack.workers.stop()
        self.stack.shops[1]["percent"] = kept
        self.stack.write_config()
        self.stack.start_workers()
        self.stack.await_ready()
        self.assertEqual([run["state"] for run in self.both()], ["success", "success"])
        self.assert_in_step(0)
        self.assert_in_step(1)

    def test_14_the_credentials_of_the_other_shop(self):
        """Nothing is worse than a shop that is kept in step with another one's rules."""
        self.change_stock(20, start=20)
        before, writes = [self.stack.temu_stock(number) for number in (0, 1)], len(self.stack.temu_writes())
        products = self.rows("SELECT COUNT(*) FROM dbo.temu_products")
        self.swap_credentials()
        for run in self.both():
            self.assertEqual((run["state"], run["error"]["code"]), ("failed", "CATALOGUE_OTHER"), run)
            self.assertIn("access_token", run["error"]["text"])
        self.assertEqual([self.stack.temu_stock(number) for number in (0, 1)], before)
        self.assertEqual((self.rows("SELECT COUNT(*) FROM dbo.temu_products"), len(self.stack.temu_writes())), (products, writes))
        self.assertEqual(len(self.stack.alarms("CATALOGUE_OTHER")), 2)
        self.swap_credentials()
        for number, run in enumerate(self.both()):
            self.assertEqual((run["state"], run["result"]["new"], run["result"]["vanished"]), ("success", 0, 0), run)
            self.assert_in_step(number)

    def swap_credentials(self):
        self.stack.workers.stop()
        self.stack.apps.reverse()
        self.stack.write_config()
        self.stack.start_workers()
        self.stack.await_ready()

    def test_13_each_shop_has_its_own_lease(self):
        leases = [self.stack.shop_state(shop)["lease"] for shop in (1, 2)]
        self.assertEqual([lease["state"] for lease in leases], ["held", "held"])
        self.assertEqual(len({lease["installation"] for lease in leases}), 1)


if __name__ == "__main__":
    support.main()
