"""Attempts to have the system harm a shop: at the wrong moment, by a wrong setting, by a person's haste. Whatever is tried, no write at TEMU
is above what JTL had at some moment of the attempt, and nothing goes out while it must not."""

import os
import resource
import signal

import support
from process import Process
from support import StackCase, await_condition, oracle

EDIT, LIST = "bg.local.goods.stock.edit", "bg.local.goods.sku.list.query"
REFUSED_FOR_GOOD = 150010003
ENDED = ("success", "partial", "failed", "cancelled")


class Attempt(StackCase):
    """Begins and ends in step."""
    orders_faults, articles = True, 60
    settings = {"temu.push_batch": 5, "temu.in_flight": 1, "old_system.quiet_s": 2}  # which is how long some of them take
    shop_settings = {"zero_share_percent": 20, "zero_share_least": 2, "raise_share_percent": 100}

    def setUp(self):
        self.addCleanup(self.put_right)
        self.writes, self.limits = len(self.stack.temu_writes()), {}
        self.note_limits()

    def put_right(self):
        self.assert_nothing_above_jtl()
        self.stack.gateway_control("POST", "/clear")
        self.stack.sql_control_line("clear")
        if self.stack.installations:
            for made in self.stack.installations:
                made.stop()
            self.stack.installations.clear()
            self.rows("DELETE FROM dbo.temu_lease; SELECT 1")
        for run in self.stack.request("GET", "/api/runs?limit=100")[2]["runs"]:
            if run["state"] not in ENDED:
                self.stack.request("POST", "/api/runs/%s/cancel" % run["run_id"])
                self.stack.await_run(run["run_id"])
        self.change_stock(55)
        for number in range(len(self.stack.shops)):
            self.assertEqual(self.sync(shop=number + 1)["state"], "success")
            self.assert_in_step(number)

    def note_limits(self):
        for sku_id, value in oracle.expected(self.model).items():
            self.limits[sku_id] = max(value, self.limits.get(sku_id, 0))

    def change_stock(self, count=10, start=0, to=None):
        wanted = super().change_stock(count, start, to)
        self.note_limits()
        return wanted

    def written(self):
        return self.stack.temu_writes()[self.writes:]

    def assert_nothing_above_jtl(self):
        self.assertEqual([write for write in self.written() if write["now"] > self.limits.get(write["sku_id"], -1)], [])

    def calls(self):
        return self.stack.gateway_control("GET", "/stats")["total"]

    def confirm(self, run_id, made=None, **body):
        status, _, answer = (made or self.stack).request("POST", "/api/runs/%s/confirm" % run_id, body or None)
        return status, answer

    def guarded(self, count=30):
        """A plan that the guard stopped."""
        self.change_stock(count, to=0)
        run = self.sync()
        self.assertEqual((run["state"], run["error"]["code"]), ("failed", "GUARD_ZEROS"), run)
        return run

    def slow(self, kind, delay_ms, count=-1):
        self.stack.gateway_control("POST", "/fault", {"kind": "slow", "count": count, "delay_ms": delay_ms, "type": kind})

    def started(self, made=None, **params):
        status, _, answer = (made or self.stack).execute("full", **params)
        self.assertEqual(status, 202, answer)
        return answer["run_id"]

    def in_mid_read(self):
        """A run that waits for its first page of TEMU's list."""
        self.slow(LIST, 400, 1)
        since = self.calls()
        run_id = self.started()
        await_condition(lambda: self.calls() > since, what="the read of TEMU")
        return run_id

    def in_mid_push(self, delay_ms=120):
        self.change_stock(50)
        self.slow(EDIT, delay_ms)
        since = len(self.stack.temu_writes())
        run_id = self.started()
        await_condition(lambda: len(self.stack.temu_writes()) > since, what="the push")
        return run_id

    def old_system_logs(self):
        self.rows("INSERT INTO dbo.scheduler_logs (job_id, job_type, level, message, [timestamp]) "
                  "VALUES ('sync_inventory', 'inventory', 'INFO', N'Start', GETDATE()); SELECT 1")

    def restart(self, end=None):
        (end or self.stack.workers.stop)()
        self.stack.write_config()
        self.stack.start_workers()
        self.stack.await_ready()


class AtTheWrongMoment(Attempt):
    def test_the_gate_is_opened_in_mid_run_while_the_old_system_works(self):
        old_rows = "SELECT id, jtl_stock, temu_stock, needs_sync, updated_at FROM dbo.temu_inventory ORDER BY id"
        self.change_stock(10)
        self.open_gate("off")
        before = self.rows(old_rows)
        run_id = self.in_mid_read()
        self.old_system_logs()
        self.open_gate("stock")
        run = self.stack.await_run(run_id, states=("held", *ENDED))
        self.assertEqual((run["state"], run["error"]["code"]), ("held", "OLD_SYSTEM"), run)
        self.assertEqual(self.rows(old_rows), before, "a gate opened meanwhile opens no table of a system that works")
        self.assertEqual(self.written(), [])
        self.assertEqual(self.stack.await_run(run_id)["state"], "success")
        self.assert_in_step()

    def test_the_old_system_is_started_in_mid_push(self):
        run_id = self.in_mid_push(200)
        self.old_system_logs()
        run = self.stack.await_run(run_id, states=("held", *ENDED))
        self.assertEqual((run["state"], run["error"]["code"]), ("held", "OLD_SYSTEM"), run)
        self.assertLess(len(self.written()), 50)
        self.stack.gateway_control("POST", "/clear")
        self.assertEqual(self.stack.await_run(run_id)["state"], "success")
        self.assert_in_step()

    def test_quick_after_the_old_system_has_worked(self):
        """It raised at TEMU what is sold out again by now: the ledger knows nothing of it."""
        sku_id = next(iter(self.change_stock(1, to=0)))
        self.assertEqual(self.sync()["state"], "success")
        self.old_system_logs()
        self.stack.gateway_control("POST", "/set", {"sku_id": sku_id, "stock": 40})
        for mode in ("quick", "quick", "full"):
            status, _, answer = self.stack.execute(mode)
            self.assertEqual(status, 202, answer)
            run = self.stack.await_run(answer["run_id"])
            if mode == "quick":
                self.assertEqual((run["state"], run["error"]["code"]), ("failed", "QUICK_NEEDS_FULL"), run)
            self.rows("UPDATE dbo.temu_ledger SET sent_at = DATEADD(minute, -10, sent_at) WHERE sku_id = %d; SELECT 1", (sku_id,))
        self.assertEqual((run["state"], self.stack.temu_stock()[sku_id]["stock"]), ("success", 0), run)

    def test_the_schema_is_migrated_in_mid_push(self):
        run_id = self.in_mid_push(30)
        self.stack.migrate()
        self.assertEqual(self.stack.await_run(run_id)["state"], "success")
        self.assert_in_step()

    def test_rows_are_doubled_in_mid_run(self):
        self.change_stock(10)
        run_id = self.in_mid_read()
        columns = "sku, goods_id, sku_id, goods_name, is_active, shop"
        self.rows("INSERT INTO dbo.temu_products (%s) SELECT %s FROM dbo.temu_products; SELECT 1" % (columns, columns))
        self.assertEqual(self.stack.await_run(run_id)["state"], "success")
        self.change_stock(10, start=10)
        run = self.sync()
        pushed = [item["sku_id"] for item in self.stack.items(run["run_id"], "pushed")]
        self.assertEqual(len(pushed), len(set(pushed)), "a listing is pushed once, however often the old system has it")
        self.assert_in_step()

    def test_articles_change_their_numbers_in_mid_run(self):
        one, two = [row for row in self.model.articles if row.get("plain")][:2]
        self.change_stock(1, 0, to=900)
        self.change_stock(1, 1, to=3)
        self.assertEqual(self.sync()["state"], "success")
        run_id = self.in_mid_read()
        with self.database() as connection:
            cursor = connection.cursor()
            for row, sku in ((one, "X-MEANWHILE"), (two, one["sku"]), (one, two["sku"])):
                cursor.execute("UPDATE dbo.tArtikel SET cArtNr = %s WHERE kArtikel = %d", (sku, row["k"]))
        one["sku"], two["sku"] = two["sku"], one["sku"]
        self.note_limits()
        run = self.stack.await_run(run_id)
        self.assertEqual(run["state"], "success", run)
        self.assertIn("recreated_article", [line["rule"] for line in run["result"]["report"]])
        self.assert_in_step()


class ByAPersonsHaste(Attempt):
    def test_a_confirmed_plan_after_the_stock_has_turned_round(self):
        plan = self.guarded()
        turned = self.change_stock(15, to=500)
        before = self.stack.temu_stock()
        status, answer = self.confirm(plan["run_id"], only="sold_out")
        self.assertEqual(status, 202, answer)
        run = self.stack.await_run(answer["run_id"])
        self.assertEqual(run["state"], "success", run)
        stock = self.stack.temu_stock()
        for sku_id in turned:
            self.assertEqual(stock[sku_id]["stock"], before[sku_id]["stock"], "neither zero nor what nobody has confirmed")
        self.assertEqual(set(self.differences()), set(turned))

    def test_just_at_the_limit_and_one_more(self):
        result = self.sync()["result"]
        limit = (result["mapped"] - result["skipped"]) * 20 // 100
        self.change_stock(limit, to=0)
        run = self.sync()
        self.assertEqual((run["state"], run["result"]["zeros"]), ("success", limit), run)
        self.change_stock(limit)
        self.assertEqual(self.sync()["state"], "success")
        writes = len(self.stack.temu_writes())
        self.change_stock(limit + 1, to=0)
        run = self.sync()
        self.assertEqual((run["state"], run["result"]["zeros"], run["result"]["sold_out_for_sale"]), ("failed", limit + 1, limit + 1), run)
        self.assertEqual(len(self.stack.temu_writes()), writes)

    def test_the_disk_is_full_when_a_plan_is_confirmed(self):
        plan = self.guarded()
        self.stack.workers.stop()
        program = os.path.join(self.stack.bin, "temu-workers")
        self.stack.workers = Process("temu-workers", ["/bin/sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\"", program, "--config",
                                                      self.stack.path("temu.yaml")],
                                     self.stack.daemon_environment(), self.stack.path("log", "temu-workers.log"))
        self.stack.await_ready()
        _, hard = usual = resource.prlimit(self.stack.workers.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.stack.workers.pid, resource.RLIMIT_FSIZE, (4096, hard))
        status, answer = self.confirm(plan["run_id"])
        self.assertEqual(status, 500, answer)
        self.assertIn("disk", answer["detail"])
        resource.prlimit(self.stack.workers.pid, resource.RLIMIT_FSIZE, usual)
        self.assertEqual(self.written(), [])
        answers = []
        await_condition(lambda: answers.append(self.confirm(plan["run_id"])) or answers[-1][0] != 500, what="a journal that writes again")
        status, answer = answers[-1]
        self.assertEqual(status, 202, answer)
        self.assertEqual(self.stack.await_run(answer["run_id"])["state"], "success")
        self.assert_in_step()

    def test_a_plan_is_confirmed_while_another_machine_takes_over(self):
        plan = self.guarded(50)
        other = self.stack.installation("other", {}, [dict(self.shop_settings)])
        other.start()
        other.open_gate("stock")
        mine = self.stack.shop_state()["lease"]
        self.slow(EDIT, 250)
        status, answer = self.confirm(plan["run_id"])
        self.assertEqual(status, 202, answer)
        await_condition(lambda: len(self.written()) >= 3, what="the confirmed push")
        status, _, taken = other.request("POST", "/api/shops/1/lease", {"from": mine["installation"], "reason": "test"})
        self.assertEqual(status, 202, taken)
        run = self.stack.await_run(answer["run_id"], states=("held", *ENDED))
        self.assertEqual(run["state"], "held", run)
        self.assertIn(run["error"]["code"], ("LEASE_LOST", "LEASE_FOREIGN"))
        written = len(self.written())
        self.stack.gateway_control("POST", "/clear")
        # What the first one had begun to send may still arrive: the same zeros from here are no news that a guard would have to stop.
        self.assertEqual(other.sync()["state"], "success")
        self.assert_in_step()
        self.assertEqual({write["via"] for write in self.written()[written:]}, {"other"})
        self.assertEqual(self.confirm(answer["run_id"])[1]["code"], "PLAN_NONE")
        back = other.shop_state()["lease"]
        status, _, taken = self.stack.request("POST", "/api/shops/1/lease", {"from": back["installation"], "reason": "test"})
        self.assertEqual(status, 202, taken)
        run = self.stack.await_run(answer["run_id"])  # its plan is still the confirmed one
        self.assertEqual(run["state"], "success", run)
        self.assert_in_step()

    def test_a_lease_that_looks_expired_makes_no_second_writer(self):
        """The server's clock was set forward, and a copy of the folder starts just then."""
        copy = self.stack.clone("copy")
        copy.write_config()
        run_id = self.in_mid_push(80)
        self.stack.workers.child.send_signal(signal.SIGSTOP)
        try:
            self.rows("UPDATE dbo.temu_lease SET expires_at = DATEADD(hour, -1, SYSUTCDATETIME()) WHERE shop = 1; SELECT 1")
            copy.start_daemons()
            await_condition(lambda: copy.shop_state()["lease"]["state"] == "held", what="the copy's lease")
            calls = self.calls()
        finally:
            self.stack.workers.child.send_signal(signal.SIGCONT)
        run = self.stack.await_run(run_id, states=("held", *ENDED))
        self.assertEqual(run["state"], "held", run)
        # A call that was on its way when the machine froze may still arrive; no new one is sent.
        late = [call for call in self.stack.temu_calls(calls) if call["type"] == EDIT and call["via"] == ""]
        self.assertLessEqual(len(late), 1, late)
        self.stack.gateway_control("POST", "/clear")
        copy.stop()
        self.rows("UPDATE dbo.temu_lease SET expires_at = DATEADD(hour, -1, SYSUTCDATETIME()) WHERE shop = 1; SELECT 1")
        run = self.stack.await_run(run_id)
        self.assertIn(run["state"], ("success", "partial"), run)


class ByWhatItReads(Attempt):
    def test_sold_out_in_quarantine(self):
        sku_id = next(iter(self.change_stock(1, start=30)))
        self.stack.gateway_control("POST", "/fault", {"kind": "refuse_sku", "sku_id": sku_id, "count": -1, "code": REFUSED_FOR_GOOD})
        for _ in range(3):
            self.assertEqual(self.sync("quick")["state"], "partial")
        self.stack.gateway_control("POST", "/clear")
        self.assertEqual(self.sync("quick")["result"]["quarantined"], 1)
        self.change_stock(1, start=30, to=0)
        run = self.sync("quick")
        outcome = [item["outcome"] for item in self.stack.items(run["run_id"]) if item["sku_id"] == sku_id]
        self.assertEqual((run["state"], outcome, run["result"]["sold_out_for_sale"]), ("success", ["pushed"], 0), run)
        self.assertEqual(self.stack.temu_stock()[sku_id]["stock"], 0)
        self.assertEqual(self.stack.shop_state()["quarantined"], 0)

    def test_no_figure_for_anything(self):
        """JTL's view, made anew by an update, returns NULL: nothing is known, and that is said aloud."""
        self.change_stock(8, to=0)
        view = self.rows("SELECT m.definition FROM sys.sql_modules m JOIN sys.objects o ON o.object_id = m.object_id "
                         "WHERE o.name = 'vLagerbestandProLager'", name=self.stack.jtl)[0][0]
        empty = view.replace("CAST(b.fBestand AS decimal(28,14)) AS fBestand", "CAST(NULL AS decimal(28,14)) AS fBestand", 1)
        self.assertNotEqual(empty, view)
        self.make_view(empty)
        try:
            run = self.sync()
        finally:
            self.make_view(view)
        self.assertEqual((run["state"], run["result"]["pushed"]), ("partial", 0), run)
        alarm = self.stack.alarms("STOCK_NULL")[-1]
        self.assertIn("%d of %d SKUs" % (run["result"]["null_stocks"], run["result"]["mapped"]), alarm)
        self.assertIn("STOCK_NULL", self.open_alarms(), "the end of its own run does not end it")
        self.assertEqual(self.written(), [])

    def open_alarms(self):
        return {alarm["code"] for alarm in self.stack.request("GET", "/api/alarms")[2]["alarms"]}

    def make_view(self, text):
        with self.database() as connection:
            connection.cursor().execute("DROP VIEW dbo.vLagerbestandProLager")
            connection.cursor().execute(text)

    def test_a_shop_is_configured_under_another_number(self):
        run_id = self.in_mid_push(60)
        app = self.stack.apps[0]
        self.stack.shops[0]["id"] = 2
        self.stack.apps.append(app)
        try:
            self.restart(self.stack.workers.kill)
            self.stack.gateway_control("POST", "/clear")
            run = self.stack.await_run(run_id)
            self.assertEqual((run["state"], run["error"]["code"]), ("failed", "UNKNOWN_SHOP"), run)
            self.open_gate("stock", 2)
            run = self.sync(shop=2)
            self.assertEqual(run["state"], "success", run)
            self.assertIn("are listings of shop 1 too", self.stack.alarms("CLAIMS_OTHER_SHOP")[-1])
            self.assert_in_step()
        finally:
            del self.stack.shops[0]["id"], self.stack.apps[1]
            self.restart()
        self.assertEqual(self.sync()["state"], "success")


class ExchangedTokens(Attempt):
    more_shops = ({"name": "Second", "percent": 50, "raise_share_percent": 100},)

    def test_the_tokens_of_two_shops_are_exchanged(self):
        ledger = "SELECT shop, sku_id, active, known FROM dbo.temu_ledger ORDER BY shop, sku_id"
        before = self.rows(ledger)
        self.change_stock(10)
        self.stack.apps.reverse()
        try:
            self.restart()
            for shop in (1, 2):
                run = self.sync(shop=shop)
                self.assertEqual((run["state"], run["error"]["code"]), ("failed", "CATALOGUE_OTHER"), run)
            self.assertEqual(self.rows(ledger), before, "neither shop's listings were given up for the other's")
            self.assertEqual(self.written(), [])
        finally:
            self.stack.apps.reverse()
            self.restart()


del Attempt

if __name__ == "__main__":
    support.main()
