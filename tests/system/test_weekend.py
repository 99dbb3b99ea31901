"""The first weekend on a real shop, scripted: an old installation with its damage is adopted, a week of plans is compared while the old
system still runs, the gate is opened for stock, a wrong warehouse is configured, JTL is updated, a clone of the machine starts by mistake.
All along a checker writes down what may be: at the end no write of the gateway's whole list was one that should not have been.

The same days for the same SEED (1)."""

import os
import random
import signal
import tempfile

import old_system
import support
from support import BUILD, QUICK, Stack, StackCase, await_condition, oracle

SHOP, CLONE, OLD = "shop-pc", "clone", "old"
DAYS = 5


class Checker:
    """Moments, each with the number of the last write before it: who may write from then on, and at most how much of each SKU. `overlap`:
    a run of ours was under way, so the figures of the moment before are good too."""

    def __init__(self, stack):
        self.stack, self.moments = stack, []

    def mark(self, writers, limits, overlap=False):
        number = self.stack.gateway_control("GET", "/writes?since=1000000")["total"]
        limits = dict(limits)
        if overlap:
            for sku_id, value in self.moments[-1][2].items():
                limits[sku_id] = max(value, limits.get(sku_id, 0))
        self.moments.append((number, frozenset(writers), limits))

    def faults(self):
        found, place = [], 0
        for write in self.stack.temu_writes():
            while place + 1 < len(self.moments) and self.moments[place + 1][0] < write["number"]:
                place += 1
            _, writers, limits = self.moments[place]
            if write["via"] not in writers:
                found.append("moment %d: %s must not write: %s" % (place, write["via"], write))
            elif write["via"] != OLD and write["now"] > limits.get(write["sku_id"], -1):
                found.append("moment %d: more than JTL has (%s): %s" % (place, limits.get(write["sku_id"]), write))
        return found


class Weekend(StackCase):
    orders_faults, articles, seed = True, 120, int(os.environ.get("SEED") or 1)

    @classmethod
    def setUpClass(cls):
        cls.skip_elsewhere()
        cls.folder = tempfile.mkdtemp(prefix="temu-")
        cls.dice = random.Random(cls.seed)
        cls.stack = Stack(cls.folder, BUILD, cls.articles, cls.seed, rate=cls.rate, settings=dict(
            QUICK, **{"old_system.quiet_s": 2, "lease.ttl_s": 60, "temu.push_batch": 5}), shop={"name": "Laden"})
        cls.home = cls.clone = None
        cls.plans, cls.old_runs, cls.warehouses = [], 0, (2,)
        try:
            cls.stack.start_servers()
            cls.model = cls.stack.model()
            cls.checker = Checker(cls.stack)
            with cls.database(cls.stack.own) as connection:
                old_system.build(connection.cursor())
                cls.damage = old_system.fill(connection.cursor(), cls.model, cls.dice)
            cls.home = cls.stack.installation(SHOP)
        except BaseException:
            cls.tearDownClass()
            raise

    # --- the world ---

    def mark(self, *writers, **options):
        self.checker.mark(writers, oracle.expected(self.model, 0, self.warehouses), **options)

    def old_run(self):
        """The system of before does its work; what it pushed."""
        Weekend.old_runs += 1
        with self.database(self.stack.own) as connection:
            return old_system.inventory_job(connection.cursor(), self.stack.jtl, self.stack.gateway_url + "?via=" + OLD, self.stack.app,
                                            self.old_runs)

    def old_rows(self):
        with self.database(self.stack.own) as connection:
            return old_system.kept_rows(connection.cursor())

    def trade(self, *writers, **options):
        """Half a day: goods arrive, are sold elsewhere, are sold at TEMU."""
        for start in self.dice.sample(range(0, 100, 4), 5):
            self.change_stock(4, start=start, to=self.dice.choice([0, self.dice.randint(1, 9), self.dice.randint(10, 200)]))
        self.mark(*writers, **options)
        stock = self.stack.temu_stock()
        # A sale that brings back exactly the figure from before the last push looks like a late answer for a while: none of those.
        before = {write["sku_id"]: write["was"] for write in self.stack.temu_writes()}
        for sku_id in self.dice.sample(sorted(sku_id for sku_id, row in stock.items() if row["stock"] > 3), 6):
            left = stock[sku_id]["stock"] - self.dice.randint(1, 2)
            self.stack.gateway_control("POST", "/set", {"sku_id": sku_id, "stock": left - (left == before.get(sku_id))})

    def due(self):
        """{sku_id: wanted} where TEMU shows something else."""
        return {sku_id: want for sku_id, (_, want) in self.differences().items()}

    def differences(self, number=0):
        stock = self.stack.temu_stock()
        return {sku_id: (stock[sku_id]["stock"], want) for sku_id, want in oracle.expected(self.model, 0, self.warehouses).items()
                if stock[sku_id]["stock"] != want}

    # --- the installation ---

    def run_sync(self, mode="full", state="success"):
        run = self.home.sync(mode)
        self.assertEqual(run["state"], state, run)
        return run

    def plan_of(self, run):
        return {int(item["sku_id"]): item["to"] for item in self.home.items(run["run_id"], "planned")}

    def compare(self, plan, other):
        status, _, answer = self.home.request("POST", "/api/jobs/execute", {
            "job_id": "temu_plan_compare", "shop": 1, "params": {"plan": plan["run_id"], "with": other}})
        self.assertEqual(status, 202, answer)
        run = self.home.await_run(answer["run_id"])
        self.assertEqual(run["state"], "success", run)
        return run["result"]

    def restart_with(self, **changes):
        self.assertEqual(self.home.workers.stop(), 0)
        self.home.shops[0].update(changes)
        self.home.write_config()
        self.home.start_workers()
        self.home.await_ready()

    def assert_nothing_amiss(self):
        self.assertEqual(self.checker.faults(), [])

    # --- the days ---

    def test_01_friday_the_old_installation_is_adopted(self):
        self.mark(OLD)
        self.old_run()
        before, stock = self.old_rows(), self.stack.temu_stock()
        self.home.write_config()
        output = self.home.migrate()
        self.assertIn("To mend it", output)
        for kind in ("doubled", "no_sku_id", "stale_article"):
            self.assertRegex(output, r"\b(%s)\b" % "|".join(str(number) for number in self.damage[kind]))
        self.home.start()
        self.assertEqual(self.home.shop_state()["writes"], "off", "shut until somebody opens it")
        run = self.run_sync("quick", "failed")
        self.assertEqual(run["error"]["code"], "QUICK_NEEDS_FULL", "what the old system knew is not believed")
        self.assertEqual((self.old_rows(), self.stack.temu_stock()), (before, stock))
        self.assert_nothing_amiss()

    def test_02_a_week_of_plans_with_the_gate_shut(self):
        for day in range(DAYS):
            with self.subTest(day=day):
                self.trade(OLD)
                before, stock = self.old_rows(), self.stack.temu_stock()
                run = self.run_sync()
                plan = self.plan_of(run)
                self.assertEqual(plan, self.due(), "the plan is what the oracle says, TEMU's own sales too")
                self.assertEqual((self.old_rows(), self.stack.temu_stock()), (before, stock), "shut: nothing is touched")
                if self.plans:
                    self.compare_plans(self.plans[-1], (run, plan))
                self.plans.append((run, plan))
                pushed = self.old_run()
                self.compare_with_old_system(run, plan, pushed, stock)
        self.assert_nothing_amiss()

    def compare_plans(self, earlier, later):
        result = self.compare(earlier[0], later[0]["run_id"])
        a, b = earlier[1], later[1]
        self.assertEqual({key: result[key] for key in ("same", "other", "only_plan", "only_other")},
                         {"same": sum(a[k] == b[k] for k in a.keys() & b.keys()), "other": sum(a[k] != b[k] for k in a.keys() & b.keys()),
                          "only_plan": len(a.keys() - b.keys()), "only_other": len(b.keys() - a.keys())}, result)

    def compare_with_old_system(self, run, plan, pushed, stock):
        result = self.compare(run, "old_system")
        self.assertEqual(result["same"], sum(plan.get(k) == v for k, v in pushed.items()), result)
        self.assertEqual(result["other"], sum(k in plan and plan[k] != v for k, v in pushed.items()), result)
        self.assertEqual(result["only_plan"], len(plan.keys() - pushed.keys()), result)
        forgotten = {k for k, v in plan.items() if v == 0 and (pushed[k] > 0 if k in pushed else stock[k]["stock"] > 0)}
        self.assertEqual(result["sold_out_for_sale"], len(forgotten), "what the old system never sets to zero")
        self.assertTrue(forgotten)

    def test_03_saturday_the_gate_is_opened_for_stock(self):
        self.trade(OLD)
        self.old_run()
        self.home.open_gate("stock")
        # The old system was forgotten: its log is fresh. Nothing is sent before it has been silent.
        status, _, answer = self.home.execute("full")
        self.assertEqual(status, 202, answer)
        run = self.home.await_run(answer["run_id"], states=("held", "success", "partial", "failed"))
        self.assertEqual((run["state"], run["error"]["code"]), ("held", "OLD_SYSTEM"), run)
        self.assert_nothing_amiss()
        self.mark(SHOP)
        run = self.home.await_run(answer["run_id"])
        self.assertEqual(run["state"], "success", run)
        self.assertEqual(self.due(), {})
        self.trade(SHOP)
        self.run_sync()
        self.assertEqual(self.due(), {})
        self.assertEqual(self.run_sync("quick")["result"]["pushed"], 0)
        self.assert_nothing_amiss()

    def test_04_a_wrong_warehouse_is_configured(self):
        self.trade(SHOP)
        self.restart_with(warehouses=[1])
        stock, rows = self.stack.temu_stock(), self.old_rows()
        for mode in ("quick", "full"):
            run = self.run_sync(mode, "failed")
            self.assertRegex(run["error"]["code"], "^GUARD_")
            for word in ("warehouses", "2 -> 1", "/confirm"):
                self.assertIn(word, run["error"]["text"])
            self.assertTrue(self.plan_of(run), "the plan is kept")
            self.assertEqual(self.stack.temu_stock(), stock)
        self.assertEqual(len(self.home.alarms("GUARD_")), 2)
        self.assertEqual(len(self.old_rows()["temu_products"]), len(rows["temu_products"]))
        # The person reads the plan and corrects the setting instead of confirming it.
        self.restart_with(warehouses=[2])
        self.run_sync()
        self.assertEqual(self.due(), {})
        writes = len(self.stack.temu_writes())
        status, _, answer = self.home.request("POST", "/api/runs/%s/confirm" % run["run_id"])
        self.assertEqual(status, 202, "the wrong plan is confirmed after all")
        run = self.home.await_run(answer["run_id"])
        self.assertEqual((run["state"], run["trigger"]), ("success", "confirm"), "it reads everything afresh")
        changes = [write for write in self.stack.temu_writes(writes) if write["was"] != write["now"]]
        self.assertEqual(changes, [], "there is nothing to change")
        self.assertEqual(self.due(), {})
        self.assert_nothing_amiss()

    def test_05_sunday_jtl_is_updated(self):
        self.trade(SHOP)
        with open(os.path.join(support.ROOT, "ecosystem", "sandbox", "jtl", "schema.sql"), encoding="utf-8") as file:
            text = file.read()
        view = text[text.index("CREATE VIEW dbo.vLagerbestandProLager AS"):].split("\nGO\n")[0]
        with self.database() as connection:
            cursor = connection.cursor()
            cursor.execute("UPDATE dbo.tversion SET cVersion = N'1.10.12.0'")
            cursor.execute("DROP VIEW dbo.vLagerbestandProLager")
            stock = self.stack.temu_stock()
            status, _, answer = self.home.execute("full")
            self.assertEqual(status, 202, answer)
            run = self.home.await_run(answer["run_id"], states=("held", "success", "partial", "failed"))
            self.assertEqual(run["state"], "held", run)
            for word in ("vLagerbestandProLager", "1.10.11.0", "1.10.12.0"):
                self.assertIn(word, run["error"]["text"])
            self.assertEqual(self.stack.temu_stock(), stock)
            cursor.execute(view)
        run = self.home.await_run(answer["run_id"])
        self.assertEqual((run["state"], run["attempt"]), ("success", 1), run)
        self.assertEqual(self.due(), {})
        self.assertEqual(len(self.home.alarms("JTL_CHANGED")), 1)
        self.run_sync()
        self.assertEqual(len(self.home.alarms("JTL_CHANGED")), 1, "said once")
        self.assert_nothing_amiss()

    def test_06_a_clone_of_the_machine_starts_by_mistake(self):
        self.trade(SHOP)
        self.stack.gateway_control("POST", "/fault", {"kind": "slow", "count": -1, "delay_ms": 20, "type": "bg.local.goods.stock.edit"})
        writes = len(self.stack.temu_writes())
        run_id = self.home.execute("full")[2]["run_id"]
        await_condition(lambda: len(self.stack.temu_writes()) > writes, what="the push")
        os.kill(self.home.workers.pid, signal.SIGSTOP)
        try:
            clone = self.home.clone(CLONE)
        finally:
            os.kill(self.home.workers.pid, signal.SIGCONT)
        clone.start()
        run = clone.await_run(run_id, states=("held", "success", "partial", "failed"))
        self.assertEqual((run["state"], run["error"]["code"]), ("held", "LEASE_ELSEWHERE"), run)
        self.assertEqual(self.home.await_run(run_id)["state"], "success")
        self.stack.gateway_control("POST", "/clear")
        self.trade(SHOP)
        self.run_sync()
        self.assertEqual(self.due(), {})
        self.assertIn(clone.run(run_id)["state"], ("held", "running", "queued"), "it waits, looking now and then whether it may")
        self.assertEqual([call for call in self.stack.temu_calls() if call["via"] == CLONE and call["type"].endswith("stock.edit")], [])
        clone.stop()
        self.assertEqual(self.home.shop_state()["lease"]["state"], "held")
        self.assert_nothing_amiss()

    def test_07_a_real_recall_is_confirmed_once(self):
        self.change_stock(110, start=0, to=0)
        self.mark(SHOP)
        stock = self.stack.temu_stock()
        run = self.run_sync("full", "failed")
        self.assertEqual(run["error"]["code"], "GUARD_ZEROS")
        self.assertEqual(self.stack.temu_stock(), stock)
        sold_out = sum(1 for shown, want in self.differences().values() if want == 0 and shown > 0)
        told = run["result"]["sold_out_for_sale"]
        self.assertEqual(told, sum(item["to"] == 0 and item["from"] != 0 for item in self.home.items(run["run_id"], "planned")))
        self.assertGreaterEqual(told, sold_out, "and those of which TEMU's stock is not certain")
        self.assertIn("%d sold-out SKUs" % told, run["error"]["text"])
        # Meanwhile something is sold at TEMU and something arrives: the confirmed run reads afresh.
        arrived = self.change_stock(2, start=0, to=3)
        self.mark(SHOP)
        status, _, answer = self.home.request("POST", "/api/runs/%s/confirm" % run["run_id"], {"reason": "recall of the supplier"})
        self.assertEqual(status, 202, answer)
        done = self.home.await_run(answer["run_id"])
        self.assertEqual((done["state"], done["trigger"]), ("success", "confirm"), done)
        self.assertEqual(self.due(), {})
        stock = self.stack.temu_stock()
        self.assertEqual({sku_id: stock[sku_id]["stock"] for sku_id in arrived}, arrived)
        status, _, again = self.home.request("POST", "/api/runs/%s/confirm" % run["run_id"])
        self.assertEqual((status, again["code"], again["run_id"]), (409, "PLAN_CONFIRMED", answer["run_id"]))
        self.assert_nothing_amiss()

    def test_08_the_emergency_stop(self):
        self.change_stock(60, start=10)
        self.mark(SHOP)
        self.stack.gateway_control("POST", "/fault", {"kind": "slow", "count": -1, "delay_ms": 40, "type": "bg.local.goods.stock.edit"})
        writes = len(self.stack.temu_writes())
        run_id = self.home.execute("full")[2]["run_id"]
        await_condition(lambda: len(self.stack.temu_writes()) > writes + 5, what="the push")
        self.home.open_gate("off")
        run = self.home.await_run(run_id)
        self.mark()  # from here on nobody
        self.assertTrue(self.due(), run)
        self.stack.gateway_control("POST", "/clear")
        rows, stock = self.old_rows(), self.stack.temu_stock()
        self.assertTrue(self.plan_of(self.run_sync()))
        self.assertEqual((self.old_rows(), self.stack.temu_stock()), (rows, stock))
        self.mark(SHOP)
        self.home.open_gate("stock")
        self.run_sync()
        self.assertEqual(self.due(), {})
        self.assert_nothing_amiss()

    def test_09_the_checker_has_seen_everything(self):
        writes = self.stack.temu_writes()
        self.assertEqual([write["number"] for write in writes], list(range(1, len(writes) + 1)))
        self.assertEqual({write["via"] for write in writes}, {OLD, SHOP})
        self.assertGreater(sum(write["via"] == SHOP for write in writes), 100)
        self.assert_nothing_amiss()
        # And it would have seen what it is there for.
        kept = self.checker.moments
        number, writers, limits = kept[-1]
        last = writes[-1]
        for moment in ((number, frozenset(), limits), (number, writers, {**limits, last["sku_id"]: last["now"] - 1})):
            self.checker.moments = kept[:-1] + [moment]
            self.assertTrue(self.checker.faults())
        self.checker.moments = kept


if __name__ == "__main__":
    support.main()
