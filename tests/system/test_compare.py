"""Plans side by side, and a plan beside what the old system did since: seen from outside, while nothing is sent."""

import time

import support
import temu_client
from support import StackCase, oracle

OLD = "old_system"


class Comparing:
    """What the classes below share."""

    def compare(self, plan, other):
        status, _, answer = self.stack.request("POST", "/api/jobs/execute",
                                               {"job_id": "temu_plan_compare", "params": {"plan": plan, "with": other}})
        self.assertEqual(status, 202, answer)
        return self.stack.await_run(answer["run_id"])

    def compared(self, plan, other):
        """(result, {sku_id: item}) of a comparison that went well; the figures are those of the items."""
        run = self.compare(plan, other)
        self.assertEqual(run["state"], "success", run)
        items = self.stack.items(run["run_id"])
        self.assertEqual({item["outcome"] for item in items} - {"compared"}, set())
        by_sku = {int(item["sku_id"]): item for item in items}
        self.assertEqual(len(by_sku), len(items), "one item a SKU")
        for reason in ("same", "other", "only_plan", "only_other"):
            self.assertEqual(run["result"][reason], sum(item["reason"] == reason for item in items), run["result"])
        return run["result"], by_sku

    def plan(self):
        """A full run behind a shut gate; (run id, {sku_id: target})."""
        run = self.sync("full")
        self.assertEqual(run["state"], "success", run)
        return run["run_id"], {int(item["sku_id"]): item["to"] for item in self.stack.items(run["run_id"], "planned")}

    def old_system_pushes(self, targets):
        """As the old system does it: a call at TEMU for each SKU, then the mark in its table."""
        stock = self.stack.temu_stock()
        with self.database(self.stack.own) as connection:
            cursor = connection.cursor()
            for sku_id, target in targets.items():
                temu_client.call(self.stack.gateway_url, self.stack.app, "bg.local.goods.stock.edit", goodsId=stock[sku_id]["goods_id"],
                                 stockType=0, skuStockTargetList=[{"skuId": sku_id, "stockTarget": target}],
                                 requestUniqueKey="old-%d-%d" % (sku_id, time.monotonic_ns()))
                cursor.execute("UPDATE dbo.temu_inventory SET needs_sync = 0, temu_stock = %d, last_synced_to_temu = GETDATE() "
                               "WHERE product_id = (SELECT MAX(id) FROM dbo.temu_products WHERE sku_id = %d)", (target, sku_id))

    def in_step_again(self):
        self.open_gate("stock")
        self.assertEqual(self.sync("full")["state"], "success")
        self.assert_in_step()


class Compare(Comparing, StackCase):
    articles = 80

    def test_01_two_plans_before_and_after_stock_changed(self):
        self.open_gate("off")
        before = self.stack.temu_stock()
        self.change_stock(6, start=0, to=70)
        self.change_stock(2, start=6, to=0)
        first, left = self.plan()
        again, _ = self.plan()
        result, _ = self.compared(first, again)
        self.assertEqual((result["same"], result["other"], result["only_plan"], result["only_other"]), (len(left), 0, 0, 0))
        self.change_stock(3, start=0, to=71)   # planned, and otherwise now
        self.change_stock(4, start=10, to=0)   # sold out since
        second, right = self.plan()
        result, items = self.compared(first, second)
        want = {sku_id: ("same" if left.get(sku_id) == right.get(sku_id) else "other" if sku_id in left and sku_id in right else
                         "only_plan" if sku_id in left else "only_other") for sku_id in left.keys() | right.keys()}
        self.assertEqual({sku_id: item["reason"] for sku_id, item in items.items()}, want)
        self.assertEqual({sku_id: (item["from"], item["to"]) for sku_id, item in items.items()},
                         {sku_id: (left.get(sku_id), right.get(sku_id)) for sku_id in want})
        self.assertGreaterEqual(result["other"], 3)
        self.assertGreaterEqual(result["only_other"], 1)
        self.assertEqual((result["plan_pieces"], result["with_pieces"]), (sum(left.values()), sum(right.values())))
        self.assertEqual(result["with_sold_out_only"], sum(target == 0 and left.get(sku_id) != 0 for sku_id, target in right.items()))
        self.assertEqual(self.stack.temu_stock(), before, "a comparison sends nothing")
        self.in_step_again()

    def test_02_own_pushes_are_not_the_old_systems(self):
        self.change_stock(5, start=40)
        run = self.sync("full")
        self.assertEqual(run["state"], "success", run)
        self.assertGreaterEqual(run["result"]["pushed"], 1)
        result, items = self.compared(run["run_id"], OLD)
        self.assertEqual(result["own_pushes"], run["result"]["pushed"])
        self.assertEqual((result["same"], result["other"], result["only_other"]), (0, 0, 0))
        self.assertEqual(len(items), run["result"]["pushed"])

    def test_03_a_plan_beside_the_old_system(self):
        self.open_gate("off")
        sold_out = self.change_stock(6, start=20, to=0)
        restocked = sorted(self.change_stock(8, start=30, to=55))
        plan, targets = self.plan()
        sold_out = sorted(sku_id for sku_id in sold_out if targets.get(sku_id) == 0)
        restocked = [sku_id for sku_id in restocked if targets.get(sku_id)]
        self.assertGreaterEqual(len(sold_out), 3)
        self.assertGreaterEqual(len(restocked), 4)
        settled = [sku_id for sku_id, value in sorted(oracle.expected(self.model).items()) if value > 0 and sku_id not in targets][:5]
        result, items = self.compared(plan, OLD)
        self.assertEqual((result["only_plan"], result["same"], result["only_other"]), (len(targets), 0, 0))
        self.assertEqual(result["sold_out_for_sale"], len(sold_out))

        # It never pushes a zero, pushes what is in stock again and again, and once a wrong value.
        pushed = {sku_id: targets[sku_id] for sku_id in restocked[1:]}
        pushed[restocked[1]] += 4
        pushed[sold_out[0]] = 3
        pushed.update({sku_id: oracle.expected(self.model)[sku_id] for sku_id in settled})
        self.old_system_pushes(pushed)
        self.rows("INSERT INTO dbo.temu_inventory (product_id, temu_stock, last_synced_to_temu) OUTPUT INSERTED.id "
                  "SELECT MAX(id), 999, DATEADD(hour, -1, GETDATE()) FROM dbo.temu_products WHERE sku_id = %d", (settled[0],))
        result, items = self.compared(plan, OLD)
        self.assertEqual(items[restocked[0]]["reason"], "only_plan")
        self.assertEqual((items[restocked[1]]["reason"], items[restocked[1]]["to"]), ("other", pushed[restocked[1]]))
        self.assertEqual({items[sku_id]["reason"] for sku_id in restocked[2:]}, {"same"})
        self.assertEqual({items[sku_id]["reason"] for sku_id in settled}, {"only_other"})
        self.assertEqual(result["as_wanted"], len(settled))
        self.assertEqual(result["sold_out_for_sale"], len(sold_out))
        self.assertIn("still for sale", items[sold_out[0]]["text"])
        self.assertIn("still for sale", items[sold_out[1]]["text"])
        self.assertIn("%d sold-out SKUs still for sale" % len(sold_out), result["text"])
        self.assertEqual(items[sold_out[1]]["sku"], self.stack.temu_stock()[sold_out[1]]["sku_sn"])

        # A plan made now starts anew: what was pushed before is not its concern.
        later, _ = self.plan()
        result, _ = self.compared(later, OLD)
        self.assertEqual((result["same"], result["other"], result["only_other"]), (0, 0, 0))
        self.rows("DELETE FROM dbo.temu_inventory OUTPUT DELETED.id WHERE temu_stock = 999")
        self.in_step_again()

    def test_04_what_cannot_be_compared_says_why(self):
        for params, word in (({}, "params.plan"), ({"plan": "a"}, "params.with"), ({"plan": "a", "with": "a"}, "params.with"),
                             ({"plan": "a", "with": OLD, "shop": 1}, "params.shop")):
            status, _, answer = self.stack.request("POST", "/api/jobs/execute", {"job_id": "temu_plan_compare", "params": params})
            self.assertEqual(status, 400, answer)
            self.assertIn(word, str(answer))
        run = self.compare("temu_inventory_sync.1.000000999999", OLD)
        self.assertEqual((run["state"], run["error"]["code"]), ("failed", "PLAN_UNKNOWN"), run)


class KilledInBetween(Comparing, StackCase):
    articles, orders_faults = 600, True

    def test_killed_half_way_it_starts_again_and_has_every_sku_once(self):
        self.open_gate("off")
        plan, _ = self.plan()
        self.rows("UPDATE dbo.temu_inventory SET last_synced_to_temu = GETDATE(), temu_stock = temu_stock + 1 OUTPUT INSERTED.id")
        self.stack.sql_control_line('hang match="ISNULL(l.goods_id" skip=1')
        status, _, answer = self.stack.request("POST", "/api/jobs/execute", {"job_id": "temu_plan_compare",
                                                                            "params": {"plan": plan, "with": OLD}})
        self.assertEqual(status, 202, answer)
        support.await_condition(lambda: len(self.stack.items(answer["run_id"])) >= 500, what="the first page of items")
        self.stack.workers.kill()
        self.stack.start_workers()
        self.stack.await_ready()
        run = self.stack.await_run(answer["run_id"])
        self.assertEqual((run["state"], run["rescues"]), ("success", 1), run)
        items = self.stack.items(run["run_id"])
        self.assertEqual(len({item["sku_id"] for item in items}), len(items))
        self.assertEqual(len(items), sum(run["result"][reason] for reason in ("same", "other", "only_plan", "only_other")))


if __name__ == "__main__":
    support.main()
