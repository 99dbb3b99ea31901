"""Faults that must end well. After each: the run's state is right, no SKU is wrong at TEMU, nothing is pushed twice needlessly, no log
line is missing."""

import signal
import threading

import support
from support import LiveClient, StackCase


class Faults(StackCase):
    orders_faults = True

    def setUp(self):
        self.live = LiveClient(self.stack)
        self.edits = {sku_id: row["edits"] for sku_id, row in self.stack.temu_stock().items()}

    def tearDown(self):
        if self.stack.sql is None or not self.stack.sql.alive():
            self.stack.start_sql()
        self.stack.sql_control_line("clear")
        self.stack.gateway_control("POST", "/clear")
        if self.differences():
            self.sync("full")

    def settle(self, run, *states):
        """The run ended as expected; if it could not finish everything, the next one does."""
        self.assertIn(run["state"], states or ("success",), run)
        if run["state"] != "success":
            self.stack.gateway_control("POST", "/clear")
            self.assertEqual(self.sync("full")["state"], "success")
        self.assert_in_step()
        self.assert_events_whole(self.live)

    def assert_pushed_once(self, wanted, at_most=1):
        now = self.stack.temu_stock()
        often = {sku_id: now[sku_id]["edits"] - self.edits[sku_id] for sku_id in now
                 if now[sku_id]["edits"] - self.edits[sku_id] > (at_most if sku_id in wanted else 0)}
        self.assertEqual(often, {}, "SKUs edited more often than needed")

    def sync_with_sql_fault(self, *lines):
        wanted = self.change_stock()
        for line in lines:
            self.stack.sql_control_line(line)
        run = self.sync("full")
        self.settle(run)
        self.assert_pushed_once(wanted)
        return run

    def sync_with_gateway_fault(self, fault, states=("success",), at_most=1):
        wanted = self.change_stock()
        self.stack.gateway_control("POST", "/fault", fault)
        run = self.sync("full")
        self.settle(run, *states)
        self.assert_pushed_once(wanted, at_most)
        return run

    def let_late_attempts_be_overtaken(self):
        """An attempt without an answer may still arrive, so its SKUs stay unknown and the next run sets them once more."""
        self.assertGreater(self.sync("full")["result"]["pushed"], 0)
        self.assertEqual(self.sync("full")["result"]["pushed"], 0)

    # --- SQL Server ---

    def test_connection_cut_in_the_middle_of_the_stock_rows(self):
        self.sync_with_sql_fault("cut-rows 5 match=\"vLagerbestandProLager v\"")

    def test_connection_closed_in_an_orderly_way_in_the_middle_of_the_stock_rows(self):
        self.sync_with_sql_fault("cut-clean-rows 5 match=\"vLagerbestandProLager v\"")

    def test_connection_cut_after_a_write_was_executed(self):
        self.sync_with_sql_fault("cut-after match=temu_ledger count=2")

    def test_deadlock_victim(self):
        self.sync_with_sql_fault("error 1205 13 match=temu_ledger", "error 1205 13 match=temu_products")

    def test_lock_time_out(self):
        self.sync_with_sql_fault("error 1222 16 match=temu_ledger", "error 1222 16 match=\"vLagerbestandProLager v\"")

    def test_error_after_some_rows_is_no_short_list(self):
        wanted = self.change_stock()
        before = self.stack.temu_stock()
        self.stack.sql_control_line("error 8134 16 after-rows=3 match=\"vLagerbestandProLager v\"")
        run = self.sync("full")
        self.assertEqual(run["state"], "failed", run)
        self.assertEqual(self.stack.temu_stock(), before)
        self.settle(self.sync("full"))
        self.assert_pushed_once(wanted)

    def test_server_restarts_between_two_steps(self):
        wanted = self.change_stock()
        self.stack.sql_control_line("delay 300 match=temu_products")
        _, _, answer = self.stack.execute("full")
        self.live.await_run(answer["run_id"], "running")
        self.stack.sql.kill()
        self.stack.start_sql()
        self.settle(self.stack.await_run(answer["run_id"]))
        self.assert_pushed_once(wanted)

    def test_login_refused_holds_and_goes_on_by_itself(self):
        wanted = self.change_stock()
        self.stack.sql_control_line("refuse-login count=0")
        self.stack.sql_control_line("close-all")
        _, _, answer = self.stack.execute("full")
        self.live.await_run(answer["run_id"], "held")
        self.stack.sql_control_line("clear")
        run = self.stack.await_run(answer["run_id"])
        self.settle(run)
        self.assertEqual(run["attempt"], 1, "a hold spends no attempt")
        self.assert_pushed_once(wanted)

    # --- TEMU ---

    def test_html_502(self):
        self.sync_with_gateway_fault({"kind": "http502", "count": 2})

    def test_truncated_json(self):
        self.sync_with_gateway_fault({"kind": "truncate", "count": 1, "type": "bg.local.goods.sku.list.query"})

    def test_rate_limit(self):
        self.sync_with_gateway_fault({"kind": "code", "code": 4000004, "count": 2})

    def test_system_error(self):
        self.sync_with_gateway_fault({"kind": "code", "code": 4000000, "count": 1,
                                      "text": "Temu internal system error, please try again later."})

    def test_reset_before_the_effect(self):
        self.sync_with_gateway_fault({"kind": "reset_before", "count": 1, "type": "bg.local.goods.stock.edit"})
        self.let_late_attempts_be_overtaken()

    def test_reset_after_the_effect(self):
        self.sync_with_gateway_fault({"kind": "reset_after", "count": 1, "type": "bg.local.goods.stock.edit"},
                                     ("success", "partial"), at_most=2)
        self.let_late_attempts_be_overtaken()

    def test_page_twice(self):
        self.sync_with_gateway_fault({"kind": "duplicate_page", "count": 1})

    def test_ids_as_strings(self):
        self.sync_with_gateway_fault({"kind": "ids_as_strings", "count": 100})

    def test_success_with_a_refused_sku(self):
        wanted = self.change_stock()
        refused = next(iter(wanted))
        self.stack.gateway_control("POST", "/fault", {"kind": "refuse_sku", "sku_id": refused, "count": -1, "code": 150010003})
        run = self.sync("full")
        self.assertEqual(run["state"], "partial", run)
        item = [i for i in self.stack.items(run["run_id"], "refused")]
        self.assertEqual([int(i["sku_id"]) for i in item], [refused])
        self.assertTrue(item[0]["code"] and item[0]["request_id"])
        self.settle(run, "partial")

    def test_catalogue_that_stays_short_aborts(self):
        before = self.stack.temu_stock()
        self.change_stock()
        self.stack.gateway_control("POST", "/fault", {"kind": "empty_page", "count": -1})
        run = self.sync("full")
        self.assertEqual(run["state"], "failed", run)
        self.assertEqual(self.stack.temu_stock(), before)

    # --- our own processes ---

    def test_two_triggers_at_once_are_one_run(self):
        wanted = self.change_stock()
        self.stack.sql_control_line("delay 300 match=temu_products")
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.stack.execute("full"))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        accepted = [answer for status, _, answer in answers if status == 202]
        refused = [answer for status, _, answer in answers if status == 409]
        self.assertEqual((len(accepted), len(refused)), (1, 3), answers)
        self.assertIn(accepted[0]["run_id"], str(refused[0]))
        self.settle(self.stack.await_run(accepted[0]["run_id"]))
        self.assert_pushed_once(wanted)

    def test_workers_killed_in_the_push(self):
        wanted = self.change_stock(40)
        self.stack.gateway_control("POST", "/fault", {"kind": "slow", "count": -1, "type": "bg.local.goods.stock.edit", "delay_ms": 60})
        _, _, answer = self.stack.execute("full")
        edits = sum(self.edits.values())
        while sum(row["edits"] for row in self.stack.temu_stock().values()) < edits + 3:
            pass  # the gateway's own count is the condition
        self.stack.workers.kill()
        self.stack.gateway_control("POST", "/clear")
        self.stack.start_workers()
        self.stack.await_ready()
        run = self.stack.await_run(answer["run_id"])
        self.settle(run)
        # The run tells of all it did, before the kill and after it.
        self.assertEqual({int(item["sku_id"]) for item in self.stack.items(run["run_id"], "pushed")}, set(wanted))
        self.assertEqual(self.stack.items(run["run_id"], "planned"), [])
        self.assertEqual((run["result"]["pushed"], run["result"]["planned"]), (len(wanted), 0))
        # What was in flight at the kill may be repeated, nothing else.
        now = self.stack.temu_stock()
        twice = [sku_id for sku_id in wanted if now[sku_id]["edits"] - self.edits[sku_id] > 1]
        self.assertLess(len(twice), len(wanted))
        self.assertEqual([sku_id for sku_id in now if now[sku_id]["edits"] > self.edits[sku_id] and sku_id not in wanted], [])

    def test_api_killed_with_a_live_client(self):
        self.change_stock(40)
        self.stack.gateway_control("POST", "/fault", {"kind": "slow", "count": -1, "type": "bg.local.goods.stock.edit", "delay_ms": 200})
        _, _, answer = self.stack.execute("full")
        self.live.await_event(lambda e: e.get("event") == "log" and e.get("run_id") == answer["run_id"])
        self.stack.api.kill()
        self.live.await_end()
        cursor = [e["cursor"] for e in self.live.events if e.get("cursor")][-1]
        self.stack.start_api()
        self.stack.await_ready()
        again = LiveClient(self.stack, after=cursor)
        run = self.stack.await_run(answer["run_id"])
        too_late = any(e.get("run_id") == answer["run_id"] and e.get("state") == "success" for e in self.live.events)
        if not too_late:
            again.await_run(answer["run_id"], "success")
        numbers = self.live.numbers() + again.numbers()
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))
        if not too_late or again.numbers():
            self.live = again
        self.settle(run)

    def test_terminated_workers_drain_and_go_on(self):
        wanted = self.change_stock(40)
        self.stack.gateway_control("POST", "/fault", {"kind": "slow", "count": -1, "type": "bg.local.goods.stock.edit", "delay_ms": 60})
        _, _, answer = self.stack.execute("full")
        edits = sum(self.edits.values())
        while sum(row["edits"] for row in self.stack.temu_stock().values()) < edits + 3:
            pass
        self.assertEqual(self.stack.workers.stop(signal.SIGTERM), 0)
        self.stack.gateway_control("POST", "/clear")
        self.stack.start_workers()
        self.stack.await_ready()
        run = self.stack.await_run(answer["run_id"])
        self.settle(run)
        self.assertEqual(run["attempt"], 1, "an interruption spends no attempt")
        self.assert_pushed_once(wanted)


class ColdStart(StackCase):
    first_run, orders_faults = False, True

    def test_server_down_at_start(self):
        self.stack.workers.stop()
        self.stack.sql.kill()
        self.stack.start_workers()
        self.stack.await_ready()
        live = LiveClient(self.stack)
        status, _, answer = self.stack.execute("full")
        self.assertEqual(status, 202)
        live.await_run(answer["run_id"], "retry")
        self.stack.start_sql()
        run = self.stack.await_run(answer["run_id"], states=("success", "failed"))
        if run["state"] == "failed":
            run = self.sync("full")
        self.assertEqual(run["state"], "success", run)
        self.assert_in_step()
        self.assert_events_whole(live)


if __name__ == "__main__":
    support.main()
