"""What a person at the API can decide on a live shop: a plan that a guard stopped is confirmed, a SKU is let out of quarantine, a shop is
not taken from oneself. And that each of these is refused where it would do harm."""

import concurrent.futures
import contextlib
import select
import sqlite3

import support
from support import LiveClient, StackCase

REFUSED_FOR_GOOD = 150010003


class Operator(StackCase):
    """One running system, in step again after every test."""
    orders_faults, articles = True, 100
    shop_settings = {"zero_share_percent": 10, "zero_share_least": 5, "raise_share_percent": 100}

    def setUp(self):
        self.addCleanup(self.restock)

    def restock(self):
        self.stack.gateway_control("POST", "/clear")
        self.change_stock(80)
        self.assertEqual(self.sync("full")["state"], "success")
        self.assert_in_step()

    def confirm(self, run_id, **body):
        status, _, answer = self.stack.request("POST", "/api/runs/%s/confirm" % run_id, body or None)
        return status, answer

    def assert_refused(self, answered, status, code, run_id=None):
        self.assertEqual((answered[0], answered[1].get("code")), (status, code), answered)
        if run_id is not None:
            self.assertEqual(answered[1]["run_id"], run_id)

    def await_confirmed(self, answered, plan):
        """The run that carries the plan out, at its end."""
        status, answer = answered
        self.assertEqual(status, 202, answer)
        run = self.stack.await_run(answer["run_id"])
        self.assertEqual((run["trigger"], run["params"]["confirm"]), ("confirm", plan["run_id"]))
        return run

    def guarded(self, count=25, start=0):
        """A run whose plan would set too much to zero; nothing of it reaches TEMU."""
        self.change_stock(count, start=start, to=0)
        before = self.stack.temu_stock()
        run = self.sync("full")
        self.assertEqual((run["state"], run["error"]["code"]), ("failed", "GUARD_ZEROS"), run)
        self.assertIn("/api/runs/%s/confirm" % run["run_id"], run["error"]["text"])
        self.assertEqual(self.stack.temu_stock(), before)
        return run

    def journal_path(self):
        return self.stack.path("state", "journal.db")

    def restart(self, end):
        end()
        self.stack.start_workers()
        self.stack.await_ready()

    # --- plans ---

    def test_a_plan_is_confirmed_once_however_many_ask(self):
        live = LiveClient(self.stack)
        plan = self.guarded()
        alarm = live.await_event(lambda event: event.get("event") == "alarm" and event.get("run_id") == plan["run_id"])
        self.assertEqual(alarm["level"], "ERROR")
        self.assertTrue(alarm["text"].startswith("GUARD_ZEROS: "), alarm)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = sorted(pool.map(lambda _: self.confirm(plan["run_id"], reason="counted by hand"), range(8)), key=lambda a: a[0])
        run = self.await_confirmed(answers[0], plan)
        self.assertEqual(run["state"], "success", run)
        self.assert_in_step()
        for answered in answers[1:] + [self.confirm(plan["run_id"])]:
            self.assert_refused(answered, 409, "PLAN_CONFIRMED", run["run_id"])
        self.assert_refused(self.confirm(run["run_id"]), 409, "PLAN_NONE")
        self.assert_events_whole(live)

    def test_what_cannot_be_confirmed(self):
        run = self.sync("quick")
        self.assert_refused(self.confirm(run["run_id"]), 409, "PLAN_NONE")
        self.assert_refused(self.confirm("temu_inventory_sync.1.999999999999"), 404, "UNKNOWN_RUN")
        self.assert_refused(self.confirm("nonsense"), 404, "UNKNOWN_RUN")
        self.assert_refused(self.confirm(run["run_id"], only="zeros"), 400, "BAD_REQUEST")
        for params in ({"confirm": run["run_id"]}, {"only": "sold_out"}):  # nobody confirms by a parameter
            status, _, answer = self.stack.execute("full", **params)
            self.assertEqual((status, answer["code"]), (400, "BAD_REQUEST"), answer)

    def test_a_changed_world_is_not_what_was_confirmed(self):
        plan = self.guarded()
        self.change_stock(25, start=25, to=0)
        run = self.await_confirmed(self.confirm(plan["run_id"]), plan)
        self.assertEqual((run["state"], run["error"]["code"]), ("failed", "GUARD_ZEROS"), run)
        again = self.await_confirmed(self.confirm(run["run_id"]), run)  # its own plan may be confirmed like any other
        self.assertEqual(again["state"], "success", again)
        self.assert_in_step()

    def test_only_what_is_sold_out(self):
        raised = self.change_stock(5, start=60)
        before = self.stack.temu_stock()
        plan = self.guarded()
        run = self.await_confirmed(self.confirm(plan["run_id"], only="sold_out", reason="they are"), plan)
        self.assertEqual((run["state"], run["params"]["only"]), ("success", "sold_out"), run)
        stock = self.stack.temu_stock()
        for sku_id in raised:
            self.assertEqual(stock[sku_id]["stock"], before[sku_id]["stock"])
        self.assertEqual(set(self.differences()) - set(raised), set())
        self.assertEqual(self.sync("full")["state"], "success")
        self.assert_in_step()

    def test_an_old_plan(self):
        plan = self.guarded()
        self.stack.workers.stop()
        with contextlib.closing(sqlite3.connect(self.journal_path())) as journal, journal:
            changed = journal.execute("UPDATE runs SET finished_ms = finished_ms - 3600000 WHERE n = ?",
                                      (int(plan["run_id"].rsplit(".", 1)[1]),))
            self.assertEqual(changed.rowcount, 1)
        self.stack.start_workers()
        self.stack.await_ready()
        self.assert_refused(self.confirm(plan["run_id"]), 410, "PLAN_OLD")
        fresh = self.sync("full")
        self.assertEqual(self.await_confirmed(self.confirm(fresh["run_id"]), fresh)["state"], "success")
        self.assert_in_step()

    def test_killed_at_any_moment_after_the_answer(self):
        for delay in (0, 0.02, 0.05, 0.1, 0.2):
            with self.subTest(delay=delay):
                plan = self.guarded()
                answered = self.confirm(plan["run_id"])
                select.select([], [], [], delay)
                self.restart(self.stack.workers.kill)
                run = self.await_confirmed(answered, plan)
                self.assertEqual(run["state"], "success", run)
                self.assert_refused(self.confirm(plan["run_id"]), 409, "PLAN_CONFIRMED", run["run_id"])
                self.restock()

    # --- quarantine ---

    def quarantine(self, query=""):
        status, _, answer = self.stack.request("GET", "/api/shops/1/quarantine" + query)
        self.assertEqual(status, 200, answer)
        return answer

    def outcome(self, run, sku_id):
        return [(item["outcome"], item["reason"]) for item in self.stack.items(run["run_id"]) if item["sku_id"] == sku_id]

    def test_a_sku_goes_into_quarantine_and_is_let_out(self):
        sku_id = next(iter(self.change_stock(1, start=70)))
        self.stack.gateway_control("POST", "/fault", {"kind": "refuse_sku", "sku_id": sku_id, "count": -1, "code": REFUSED_FOR_GOOD})
        live = LiveClient(self.stack)
        for refusals in range(1, 4):
            self.assertEqual(self.quarantine()["items"], [])
            run = self.sync("full")
            self.assertEqual((run["state"], self.outcome(run, sku_id)[0][0]), ("partial", "refused"), (refusals, run))
        alarm = live.await_event(lambda event: event.get("event") == "alarm")
        self.assertEqual((alarm["run_id"], alarm["text"].split(":")[0]), (run["run_id"], "QUARANTINE"))
        self.restart(self.stack.workers.stop)  # it is kept
        entry, = self.quarantine()["items"]
        self.assertEqual((entry["sku_id"], entry["refusals"]), (str(sku_id), 3), entry)
        self.assertIn(str(REFUSED_FOR_GOOD), entry["code"])
        self.assertEqual(self.quarantine("?after=%s" % sku_id)["items"], [])
        self.assertEqual(self.stack.request("GET", "/api/shops")[2]["shops"][0]["quarantined"], 1)
        run = self.sync("full")
        self.assertEqual((run["state"], self.outcome(run, sku_id)), ("success", [("skipped", "quarantine")]), run)
        self.stack.gateway_control("POST", "/clear")
        path = "/api/shops/1/quarantine/%s" % sku_id
        status, _, answer = self.stack.request("DELETE", path)
        self.assertEqual((status, answer["sku_id"], answer["quarantined"]), (200, str(sku_id), 0), answer)
        status, _, answer = self.stack.request("DELETE", path)
        self.assertEqual((status, answer["code"]), (404, "NOT_QUARANTINED"), answer)
        run = self.sync("full")
        self.assertEqual((run["state"], self.outcome(run, sku_id)[0][0]), ("success", "pushed"), run)
        self.assert_in_step()
        self.assert_events_whole(live)

    def test_alarms_can_be_read_from_the_beginning(self):
        plan = self.guarded()
        self.assertEqual(self.await_confirmed(self.confirm(plan["run_id"]), plan)["state"], "success")
        journal = self.stack.request("GET", "/readyz")[2]["workers"]["journal"]
        live = LiveClient(self.stack, after="%s:0&event=alarm&level=ERROR" % journal)
        live.await_event(lambda event: event.get("run_id") == plan["run_id"])
        self.assertEqual({event["event"] for event in live.events} - {"hello"}, {"alarm"})

    # --- lease ---

    def test_nobody_takes_a_shop_from_himself_or_from_nobody(self):
        lease = self.stack.request("GET", "/api/shops")[2]["shops"][0]["lease"]
        self.assertEqual(lease["state"], "held", lease)
        for name in (lease["installation"], "0" * 32):
            status, _, answer = self.stack.request("POST", "/api/shops/1/lease", {"from": name, "reason": "test"})
            self.assertEqual((status, answer["code"]), (409, "LEASE_NOT_FOREIGN"), answer)
        status, _, answer = self.stack.request("POST", "/api/shops/9/lease", {"from": lease["installation"]})
        self.assertEqual((status, answer["code"]), (404, "UNKNOWN_SHOP"), answer)
        self.assertEqual(self.sync("quick")["state"], "success")


if __name__ == "__main__":
    support.main()
