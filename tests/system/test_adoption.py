"""An old installation is taken over: its tables only gain, nothing of it is written before the gate is open, its word for what TEMU has is
not believed, its statements run on before and after, and the way back leads to a system that works."""

import os
import random
import re
import shutil
import tempfile
import unittest

import old_system
import support
from support import ROOT, Stack, StackCase, oracle

# Everything is new to TEMU here: how much of it changes at once is not the point of these tests.
SHOP = {"zero_share_percent": 100, "raise_share_percent": 100}


@unittest.skipIf(os.environ.get("TEMU_TEST_GATEWAY"), "the damage is made for the seed's articles")
class Adoption(StackCase):
    articles, seed = 160, 11

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="temu-")
        cls.stack = Stack(cls.folder, support.BUILD, cls.articles, cls.seed, rate=cls.rate, settings=dict(support.QUICK), shop=SHOP)
        try:
            cls.stack.start_sql()
            cls.stack.prepare()
            cls.stack.start_gateway()
            cls.stack.write_config()
            cls.model = cls.stack.model()
            cls.want = oracle.expected(cls.model)
            with cls.database(cls.stack.own) as connection:
                cursor = connection.cursor()
                old_system.build(cursor)
                cls.damage = old_system.fill(cursor, cls.model, random.Random(3))
                cls.before = old_system.kept_rows(cursor)
                cls.lie(cursor)
                cls.before = old_system.kept_rows(cursor)
            cls.too_early = cls.stack.workers_command("--adoption-report")
            cls.stack.workers_command("--migrate", "--plan")
            with cls.database(cls.stack.own) as connection:
                cls.planned = old_system.kept_rows(connection.cursor())
            cls.report = cls.stack.migrate()
            cls.stack.start_workers()
            cls.stack.start_api()
            cls.stack.await_ready()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def lie(cls, cursor):
        """The old system believes that TEMU has what JTL has. TEMU has something else."""
        stock = cls.stack.temu_stock()
        cls.liar = next(row[3] for row in cls.before["temu_products"]
                        if row[3] in cls.want and row[0] not in sum(cls.damage.values(), []) and cls.want[row[3]] != stock[row[3]]["stock"])
        cursor.execute("UPDATE i SET jtl_stock = %d, temu_stock = %d, needs_sync = 0 FROM dbo.temu_inventory i "
                       "JOIN dbo.temu_products p ON p.id = i.product_id WHERE p.sku_id = %d" % (cls.want[cls.liar], cls.want[cls.liar], cls.liar))

    def kept_rows(self):
        with self.database(self.stack.own) as connection:
            return old_system.kept_rows(connection.cursor())

    def execute(self, statement, parameters=()):
        with self.database(self.stack.own) as connection:
            cursor = connection.cursor()
            cursor.execute(statement, parameters)
            return cursor.rowcount

    def unique_keys(self):
        return self.rows("SELECT COUNT(*) FROM sys.indexes i JOIN sys.index_columns x ON x.object_id = i.object_id AND x.index_id = i.index_id "
                         "JOIN sys.columns c ON c.object_id = x.object_id AND c.column_id = x.column_id WHERE i.object_id = "
                         "OBJECT_ID(N'dbo.temu_products') AND i.is_unique = 1 AND i.is_primary_key = 0 AND c.name = N'sku'")[0][0]

    def adoption_report(self):
        code, output = self.stack.workers_command("--adoption-report")
        self.assertEqual(code, 0, output)
        return output

    def found(self, report):
        """{kind: how many}."""
        return {kind: int(count) for count, kind in re.findall(r": (\d+)   \[(\w+)\]$", report, re.MULTILINE)}

    def statements(self, report):
        """What the report offers, as somebody would copy it."""
        return [re.sub(r"^       ", "", block, flags=re.MULTILINE)
                for block in re.findall(r"     To mend it:\n((?:       .*\n)+)", report)]

    def old_upsert(self, sku, goods_id, sku_id, article=None):
        """Its MERGE by SKU, as the update and the insert that it comes to."""
        if self.execute("UPDATE dbo.temu_products SET goods_id = %d, sku_id = %d, goods_name = N'Alt', jtl_article_id = %d, is_active = 1, "
                        "updated_at = GETDATE() WHERE sku = %s", (goods_id, sku_id, article, sku)) == 0:
            self.execute("INSERT INTO dbo.temu_products (sku, goods_id, sku_id, goods_name, jtl_article_id, is_active) "
                         "VALUES (%s, %d, %d, N'Alt', %d, 1)", (sku, goods_id, sku_id, article))

    def run_old_statements(self, sku):
        """One of each kind, on one product; the inventory MERGE by product id likewise."""
        self.old_upsert(sku, 77, 770001, 1)
        self.old_upsert(sku, 78, 770001, 1)
        product = self.rows("SELECT id, goods_id, shop FROM dbo.temu_products WHERE sku = N'%s'" % sku)
        self.assertEqual([row[1:] for row in product], [(78, 1)])
        product = product[0][0]
        for stock, jtl, temu, needs in ((5, 5, 5, False), (9, 9, 5, True)):
            if self.execute("UPDATE dbo.temu_inventory SET jtl_article_id = 1, jtl_stock = %d, needs_sync = CASE WHEN %d > 0 THEN 1 ELSE 0 END, "
                            "updated_at = GETDATE() WHERE product_id = %d", (stock, stock, product)) == 0:
                self.execute("INSERT INTO dbo.temu_inventory (product_id, jtl_article_id, jtl_stock, temu_stock, needs_sync) "
                             "VALUES (%d, 1, %d, %d, 0)", (product, stock, stock))
            self.assertEqual(self.rows("SELECT jtl_stock, temu_stock, needs_sync, shop FROM dbo.temu_inventory WHERE product_id = %d" % product),
                             [(jtl, temu, needs, 1)])
        due = self.rows("SELECT p.id, p.sku, p.goods_id, p.sku_id, i.jtl_stock FROM dbo.temu_inventory i JOIN dbo.temu_products p "
                        "ON p.id = i.product_id WHERE i.needs_sync = 1 AND p.sku_id IS NOT NULL ORDER BY p.id")
        self.assertIn((product, sku, 78, 770001, 9), due)
        self.execute("UPDATE dbo.temu_inventory SET needs_sync = 0, temu_stock = %d, last_synced_to_temu = GETDATE(), updated_at = GETDATE() "
                     "WHERE product_id = %d", (9, product))
        self.assertEqual(self.rows("SELECT p.sku, i.temu_stock FROM dbo.temu_products p LEFT JOIN dbo.temu_inventory i ON i.product_id = p.id "
                                   "WHERE p.jtl_article_id = 1 AND p.sku = N'%s'" % sku), [(sku, 9)])
        self.execute("DELETE FROM dbo.temu_products WHERE id = %d", (product,))
        self.assertEqual(self.rows("SELECT COUNT(*) FROM dbo.temu_inventory WHERE product_id = %d" % product), [(0,)], "its cascade")

    # --- in this order ---

    def test_01_the_migration_only_adds(self):
        self.assertEqual(self.planned, self.before)
        self.assertEqual(self.too_early[0], 1)
        self.assertIn("temu-workers --migrate", self.too_early[1])
        self.assertEqual(self.kept_rows(), self.before)
        self.assertEqual(self.unique_keys(), 0)
        self.assertEqual(self.rows("SELECT COUNT(*) FROM dbo.temu_products WHERE shop = 1"), self.rows("SELECT COUNT(*) FROM dbo.temu_products"))
        indexes = {name for name, in self.rows("SELECT i.name FROM sys.indexes i WHERE i.name LIKE N'idx[_]temu%'")}
        self.assertLessEqual({"idx_temu_products_goods_id", "idx_temu_products_jtl_article_id", "idx_temu_inventory_product_id",
                              "idx_temu_inventory_needs_sync"}, indexes)

    def test_02_the_damage_is_told_at_the_end_of_the_migration_and_any_time(self):
        found = self.found(self.report)
        self.assertEqual(found, self.found(self.adoption_report()))
        self.assertEqual({kind: found[kind] for kind in ("inventory_doubled", "inventory_missing", "product_without_sku_id", "active_unknown",
                                                         "order_without_export", "order_without_tracking")},
                         {"inventory_doubled": len(self.damage["doubled"]), "inventory_missing": len(self.damage["no_inventory"]),
                          "product_without_sku_id": len(self.damage["no_sku_id"]), "active_unknown": len(self.damage["active_null"]),
                          "order_without_export": 2, "order_without_tracking": 1})
        self.assertGreaterEqual(found["article_stale"], len(self.damage["stale_article"]))
        self.assertGreaterEqual(found["needs_sync_forgotten"], len(self.damage["not_due"]))
        self.assertLess(len(self.report), 20000)
        self.assertEqual(self.kept_rows(), self.before)

    def test_03_quick_is_refused_before_one_complete_read(self):
        run = self.sync("quick")
        self.assertEqual((run["state"], run["error"]["code"]), ("failed", "QUICK_NEEDS_FULL"), run)
        self.assertEqual(self.rows("SELECT COUNT(*) FROM dbo.temu_ledger"), [(0,)])

    def test_04_shut_a_full_run_compares_every_sku_with_temu_and_writes_nothing_old(self):
        stock = self.stack.temu_stock()
        run = self.sync("full")
        self.assertEqual(run["state"], "success", run)
        plan = {int(item["sku_id"]): item["to"] for item in self.stack.items(run["run_id"], "planned")}
        self.assertEqual(plan, {sku_id: want for sku_id, want in self.want.items() if stock[sku_id]["stock"] != want})
        self.assertEqual(plan[self.liar], self.want[self.liar], "what the old system calls known is not believed")
        self.assertEqual(self.kept_rows(), self.before)
        self.assertEqual(self.stack.temu_stock(), stock)
        self.assertEqual(self.sync("quick")["state"], "success")
        self.assertEqual(self.kept_rows(), self.before)

    def test_05_the_old_statements_run_on_the_migrated_tables(self):
        self.run_old_statements("OLD-STATEMENTS-1")
        self.assertEqual(self.kept_rows(), self.before)

    def test_06_what_is_gone_at_temu_is_told_after_the_first_complete_read(self):
        found = self.found(self.adoption_report())
        self.assertEqual(found["product_gone"], 1)

    def test_07_open_every_row_becomes_true(self):
        self.open_gate("stock")
        run = self.sync("full")
        self.assertEqual(run["state"], "success", run)
        self.assert_in_step()
        rows = self.rows("SELECT p.sku_id, i.jtl_stock, i.temu_stock, i.needs_sync FROM dbo.temu_products p "
                         "JOIN dbo.temu_inventory i ON i.product_id = p.id WHERE p.sku_id IS NOT NULL")
        wrong = [row for row in rows if row[0] in self.want and row[1:] != (self.want[row[0]], self.want[row[0]], False)]
        self.assertEqual(wrong, [], "double rows too")
        self.assertEqual({row[0] for row in rows} & set(self.want), set(self.want))
        for table in ("temu_orders", "temu_order_items", "temu_xml_export"):
            self.assertEqual(self.kept_rows()[table], self.before[table])
        found = self.found(self.adoption_report())
        self.assertEqual({kind for kind in found if kind not in ("sku_doubled", "sku_alike")},
                         {"inventory_doubled", "product_gone", "article_stale", "order_without_export", "order_without_tracking"}, found)
        self.assertEqual(found["article_stale"], 1, "of the one that is gone")

    def test_08_nothing_that_was_just_pushed_is_compared_with_an_old_value(self):
        wanted = self.change_stock(6, start=30)
        before = self.stack.temu_stock()
        self.stack.gateway_control("POST", "/fault", {"kind": "read_lag", "count": 100, "delay_ms": 600000})
        try:
            self.assertEqual(self.sync("quick")["state"], "success")
            edits = {sku_id: row["edits"] for sku_id, row in self.stack.temu_stock().items()}
            self.assertTrue(all(edits[sku_id] > before[sku_id]["edits"] for sku_id in wanted if wanted[sku_id] != before[sku_id]["stock"]))
            run = self.sync("full")
            self.assertEqual((run["state"], run["result"]["pushed"]), ("success", 0), "TEMU still shows the old values")
            self.assertEqual({sku_id: row["edits"] for sku_id, row in self.stack.temu_stock().items()}, edits)
        finally:
            self.stack.gateway_control("POST", "/clear")
        self.assert_in_step()

    def test_09_the_printed_statements_mend_it(self):
        report = self.adoption_report()
        orders = {table: self.kept_rows()[table] for table in ("temu_orders", "temu_order_items", "temu_xml_export")}
        for statement in self.statements(report):
            self.execute(statement)
        found = self.found(self.adoption_report())
        self.assertLessEqual(set(found), {"sku_doubled", "sku_alike", "order_without_export", "order_without_tracking"})
        self.assertEqual({table: self.kept_rows()[table] for table in orders}, orders)
        run = self.sync("full")
        self.assertEqual((run["state"], run["result"]["pushed"]), ("success", 0), run)

    def test_10_the_old_statements_run_after_it_too(self):
        before = self.kept_rows()
        self.run_old_statements("OLD-STATEMENTS-2")
        self.assertEqual(self.kept_rows(), before)

    def back(self):
        """Runs the script as it stands; its lists."""
        lists = []
        with open(os.path.join(ROOT, "ecosystem", "back_to_old_system.sql"), encoding="utf-8") as file:
            batches = file.read().split("\nGO\n")
        with self.database(self.stack.own) as connection:
            cursor = connection.cursor()
            for batch in batches:
                if batch.strip():
                    cursor.execute(batch)
                    if cursor.description:
                        lists.append(cursor.fetchall())
        return lists

    def test_11_the_way_back_and_here_again(self):
        sold_out = self.change_stock(3, start=50, to=0)
        self.assertEqual(self.sync("full")["state"], "success")
        self.open_gate("off")
        listings = {sku_id: row["sku_sn"] for sku_id, row in self.stack.temu_stock().items()}
        self.stack.api.stop()
        self.stack.workers.stop()
        self.stack.api = self.stack.workers = None
        self.execute("INSERT INTO dbo.temu_products (shop, sku, goods_id, sku_id) VALUES (2, N'OTHER-SHOP', 1, 990001)")
        other, doubled, zeros = self.back()
        self.assertEqual([row[1:] for row in other], [(2, "OTHER-SHOP", 990001)])
        self.assertEqual(zeros, [])
        texts = self.rows("SELECT sku, COUNT(*) FROM dbo.temu_products GROUP BY sku HAVING COUNT(*) > 1")
        self.assertEqual((texts, self.unique_keys()), ([], 1))
        self.assertEqual({row[3] for row in doubled} & {row[0] for row in self.rows("SELECT sku_id FROM dbo.temu_products")}, set())
        kept = {row[0] for row in self.rows("SELECT sku_id FROM dbo.temu_products WHERE is_active = 1")}
        self.assertEqual(kept | {row[3] for row in doubled}, set(listings), "each listing is kept or told of")
        self.assertEqual(self.rows("SELECT COUNT(*) FROM dbo.temu_inventory WHERE needs_sync = 1"), [(0,)], "TEMU is known to have it all")
        self.assertEqual(self.back()[1], [], "again: nothing more to tell of")
        self.old_system_works(sold_out)
        self.here_again()

    def old_system_works(self, sold_out):
        with self.database(self.stack.own) as connection:
            cursor = connection.cursor()
            pushed = old_system.inventory_job(cursor, self.stack.jtl, self.stack.gateway_url, self.stack.app, 1)
            self.assertTrue(pushed)
            self.run_old_statements("OLD-STATEMENTS-3")
            cursor.execute("UPDATE dbo.scheduler_logs SET [timestamp] = DATEADD(day, -1, [timestamp])")
        stock = self.stack.temu_stock()
        self.assertEqual({sku_id: stock[sku_id]["stock"] for sku_id in pushed}, pushed)
        self.assertEqual([stock[sku_id]["stock"] for sku_id in sold_out], [0] * len(sold_out), "what was sold out stays zero")

    def here_again(self):
        self.stack.migrate()
        found = self.found(self.adoption_report())
        self.assertEqual(found["sku_key"], 1)
        self.execute(self.statements(self.adoption_report())[0])
        self.stack.start_workers()
        self.stack.start_api()
        self.stack.await_ready()
        run = self.sync("quick")
        self.assertEqual((run["state"], run["error"]["code"]), ("failed", "QUICK_NEEDS_FULL"), run)
        self.open_gate("stock")
        run = self.sync("full")
        self.assertEqual(run["state"], "success", run)
        self.assert_in_step()


if __name__ == "__main__":
    support.main()
