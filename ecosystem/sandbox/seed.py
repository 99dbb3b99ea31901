#!/usr/bin/python3
"""Fills a SQL server and writes the gateway's data file, both from one seed number: the shop of `make run` and of the tests.

The server is reached over TDS like any other (only plain T-SQL goes over the wire), so the same set-up works on the stand-in and on
other T-SQL engines. A database that exists without the marker table is refused: it is not ours to fill.
The SQL password and the shops' credentials come from the environment (TEMU_SEED_PASSWORD, TEMU_SEED_SHOPS: a JSON list with app_key,
app_secret and access_token of each), never from the command line."""

import argparse
import json
import os
import random
import sys
import time

import pymssql

HERE = os.path.dirname(os.path.abspath(__file__))
MARKER = "temu_sandbox_marker"
WAREHOUSE = 2  # the one the sample configuration offers
SCOPES = ["bg.local.goods.sku.list.query", "bg.local.goods.stock.edit", "bg.open.accesstoken.info.get"]
SHARED = {"CASE-BUNDLE", "CASE-TWO-LISTINGS", "CASE-INACTIVE", "Case-Letters", "CASE-LARGE"}  # of the special articles, in every shop
WORDS = ["Becher", "Lampe", "Kissen", "Regal", "Schüssel", "Messer", "Tuch", "Korb", "Rahmen", "Vase", "Bürste", "Hocker"]


def mall_id(number):
    """TEMU's number of the number-th shop, from 0."""
    return 634418200000001 + number


class Catalogue:
    """What one shop has at TEMU, in memory."""

    def __init__(self, number, dice):
        self.random, self.goods = dice, []
        self.next_goods, self.next_sku = 601099500000000 + number * 10 ** 9, 17592300000000 + number * 10 ** 9

    def listing(self, skus, status=2):
        """One goods at TEMU with (sku text, stock) pairs."""
        goods = {"goods_id": self.next_goods, "name": "Artikel %d" % (self.next_goods % 1000000), "skus": []}
        self.next_goods += 7
        for sku, stock in skus:
            goods["skus"].append({"sku_id": self.next_sku, "sku_sn": sku, "stock": stock, "status": status,
                                  "price": "%d.99" % self.random.randint(3, 80), "currency": "EUR",
                                  "created": 1700000000 + self.next_sku % 1000000})
            self.next_sku += 11
        self.goods.append(goods)


class FurtherCatalogue(Catalogue):
    """A shop beside the first: about two thirds of its plain articles and some special ones, under the same SKU texts, and two SKUs that
    only it has."""

    def __init__(self, number, seed, articles):
        super().__init__(number, random.Random("%d %d" % (seed, number)))
        for row in articles:
            if "gap" not in row and (row["sku"] in SHARED if not row.get("plain") else self.random.random() < 0.66):
                self.listing([(row["sku"], self.random.randint(0, 250))])
        self.listing([("ONLY-IN-SHOP-%d" % (number + 1), 4), ("", 1)])


class Shop(Catalogue):
    """Articles of JTL and the SKUs of the first shop at TEMU; more: the catalogues of the shops beside it."""

    def __init__(self, seed, articles, shops=1):
        super().__init__(0, random.Random(seed))
        self.articles, self.stock, self.totals, self.parts, self.extra = [], [], [], [], []
        self.names = []
        for number in range(1, articles + 1):
            self.plain_article(number)
        self.special_articles()
        self.temu_only()
        self.more = [FurtherCatalogue(number, seed, self.articles) for number in range(1, shops)]

    def article(self, sku, **columns):
        row = {"k": len(self.articles) + 1, "sku": sku, "aktiv": "Y", "lager": "Y", "oversell": "N", "teilbar": "N", "del": 0,
               "vater": 0, "ist": 0, "liste": 0, "puffer": 0}
        row.update(columns)
        self.articles.append(row)
        self.names.append({"k": row["k"], "name": "%s %s" % (self.random.choice(WORDS), sku)})
        return row

    def put(self, row, warehouse, quantity, locked="0"):
        self.stock.append({"k": row["k"], "w": warehouse, "b": quantity, "g": locked})

    def total(self, row, stock, available, ordered="0"):
        self.totals.append({"k": row["k"], "b": stock, "v": available, "o": ordered})

    def plain_article(self, number):
        r = self.random
        row = self.article("ART-%06d" % number, plain=True, puffer=r.choice([0, 0, 0, 0, 1, 2, 5]))
        kind = r.random()
        quantity = 0 if kind < 0.12 else r.randint(1, 250)
        if kind >= 0.04:
            self.put(row, WAREHOUSE, str(quantity))
        if r.random() < 0.2:
            self.put(row, 1, str(r.randint(0, 40)))
        ordered = min(quantity, r.choice([0, 0, 0, 1, 3]))
        self.total(row, str(quantity), str(quantity - ordered), str(ordered))
        wanted = max(0, quantity - row["puffer"])
        change = r.random()
        at_temu = wanted if change < 0.75 else r.randint(0, 250)
        if self.goods and len(self.goods[-1]["skus"]) < r.randint(1, 4):
            last = self.goods.pop()
            self.next_goods -= 7
            self.listing([(s["sku_sn"], s["stock"]) for s in last["skus"]] + [(row["sku"], at_temu)])
        else:
            self.listing([(row["sku"], at_temu)])

    def case(self, sku, quantity=None, at_temu=7, listed=None, available=None, warehouse=WAREHOUSE, **columns):
        """An article with a stock row and its listing; listed: the text at TEMU when it differs."""
        row = self.article(sku, **columns)
        if quantity is not None:
            self.put(row, warehouse, quantity)
        self.total(row, quantity or "0", available if available is not None else (quantity or "0"))
        if at_temu is not None:
            self.listing([(sku if listed is None else listed, at_temu)])
        return row

    def special_articles(self):
        # stock
        self.case("CASE-ZERO-ROW", "0")
        self.case("CASE-NO-ROW")
        self.case("CASE-FRACTION-LOW", "0.9999999999999")
        self.case("CASE-FRACTION", "2.5", teilbar="Y")
        self.case("CASE-LARGE", "1000000")
        self.case("CASE-TOO-LARGE", "2500000")
        self.case("CASE-BUFFER-OVER-STOCK", "3", puffer=10)
        self.put(self.case("CASE-TWO-WAREHOUSES", "4"), 1, "6")
        self.put(self.case("CASE-FBA", "2"), 4, "90")
        self.put(self.case("CASE-TRANSIT", "2"), 5, "90")
        self.put(self.case("CASE-INACTIVE-WAREHOUSE", "2"), 3, "90")
        self.case("CASE-NEGATIVE-AVAILABLE", "5", available="-3")
        self.case("CASE-AVAILABLE-OVER-STOCK", "5", available="12")
        row = self.case("CASE-DUPLICATE-ROW", "8")
        self.extra.append({"k": row["k"], "w": WAREHOUSE, "b": "6"})
        row = self.case("CASE-NULL-STOCK")
        self.extra.append({"k": row["k"], "w": WAREHOUSE, "b": None})
        row = self.case("CASE-LOCKED")
        self.put(row, WAREHOUSE, "9", "4")
        # articles
        self.case("CASE-INACTIVE", "5", aktiv="N")
        self.case("CASE-DELETED", "5", **{"del": 1})
        self.case("CASE-DELETE-NULL", "5", **{"del": None})
        self.case("CASE-UNMANAGED", "0", lager="N")
        self.case("CASE-OVERSELL", "0", oversell="Y")
        parts = [self.case("PART-%d" % i, quantity, at_temu=None) for i, quantity in enumerate(["10", "7.5", "3"], 1)]
        service = self.article("PART-SERVICE", lager="N")
        lonely = self.article("PART-NO-ROW")
        self.total(service, "0", "0")
        self.total(lonely, "0", "0")
        for number, (sku, members) in enumerate([("CASE-BUNDLE", [(parts[0], "2"), (parts[1], "1")]),
                                                 ("CASE-BUNDLE-MISSING-ROW", [(parts[2], "1"), (lonely, "1")]),
                                                 ("CASE-BUNDLE-SERVICE", [(parts[0], "1"), (service, "1")])], 1):
            self.article(sku, liste=number)
            self.parts += [{"l": number, "k": part["k"], "n": count} for part, count in members]
            self.listing([(sku, 1)])
        father = self.article("CASE-FATHER", ist=1)
        self.put(father, WAREHOUSE, "3")
        self.total(father, "3", "3")
        for size in ("S", "M", "L"):
            self.case("CASE-FATHER-" + size, "6", vater=father["k"])
        self.listing([("CASE-FATHER", 0)])
        self.articles.append({"k": len(self.articles) + 1, "gap": True})  # deleted and created again: a new number
        self.case("CASE-RECREATED", "4")
        # texts
        self.case("Case-Letters", "5", listed="CASE-LETTERS")
        self.case("CASE-BLANK", "5", listed="CASE-BLANK ")
        self.case("CASE-STRASSE", "5", listed="CASE-STRA\u00dfE")
        self.case("CASE-ÜBERGRÖSSE", "5")
        self.case("X" * 100, "5")
        self.case("CASE-O'NEIL", "5")
        self.case("CASE-50%_OFF", "5")
        self.case("CASE-Кириллица", "5")
        self.case("CASE-\"QUOTE\\BACK", "5")
        self.case("CASE-OFF-SALE", "5", at_temu=None)
        self.listing([("CASE-OFF-SALE", 2)], status=3)
        self.case("CASE-TWO-LISTINGS", "5")
        self.listing([("CASE-TWO-LISTINGS", 1)])

    def temu_only(self):
        self.listing([("NOT-IN-JTL-1", 4), ("NOT-IN-JTL-2", 0)])
        self.listing([("", 3)])


class MirroredShop(Shop):
    """Articles for the SKUs that a gateway of somebody else has: rows of {sku_id, goods_id, sku_sn, stock, status}."""

    def __init__(self, seed, skus):
        super().__init__(seed, 0)
        self.articles, self.stock, self.totals, self.parts, self.extra, self.names, self.goods = [], [], [], [], [], [], []
        goods, texts = {}, set()
        for sku in skus:
            goods.setdefault(sku["goods_id"], {"goods_id": sku["goods_id"], "skus": []})["skus"].append(sku)
            text = sku["sku_sn"]
            key = text.rstrip(" ").casefold()
            if not text.strip() or len(text) > 100 or key in texts:
                continue
            texts.add(key)
            row = self.article(text, plain=True, puffer=self.random.choice([0, 0, 0, 2]))
            kind = self.random.random()
            quantity = 0 if kind < 0.04 else self.random.randint(1, 200) if kind < 0.3 else sku["stock"] + row["puffer"]
            self.put(row, WAREHOUSE, str(quantity))
            self.total(row, str(quantity), str(quantity))
        self.goods = list(goods.values())


# --- the SQL side ---

def run_batches(cursor, path):
    """T-SQL in batches that end with a GO line."""
    with open(path, encoding="utf-8") as file:
        for batch in file.read().split("\nGO\n"):
            if batch.strip():
                cursor.execute(batch)


def claim_database(cursor, name, collation, fresh):
    """Creates the database, or says whether it is ours already. fresh: ours is dropped first. Returns True when it is new."""
    cursor.execute("SELECT DB_ID(%s)", (name,))
    if cursor.fetchone()[0] is None:
        cursor.execute("CREATE DATABASE [%s] COLLATE %s" % (name.replace("]", "]]"), collation))
        return True
    cursor.execute("SELECT OBJECT_ID(%s)", ("%s.dbo.%s" % (name, MARKER),))
    if cursor.fetchone()[0] is None:
        sys.exit("seed: database %s exists and has no table dbo.%s: it is not a sandbox, so nothing is done to it. "
                 "Name another database, or drop it yourself." % (name, MARKER))
    if fresh:
        cursor.execute("DROP DATABASE [%s]" % name.replace("]", "]]"))
        return claim_database(cursor, name, collation, False)
    return False


def insert(cursor, statement, rows):
    for start in range(0, len(rows), 1000):
        cursor.execute(statement, (json.dumps(rows[start:start + 1000]),))


def fill_jtl(cursor, shop):
    cursor.execute("""INSERT INTO dbo.tWarenLager (cName, cKuerzel, nFulfillment, nLagerplatzVerwaltung, kQuellLager, kZielLager, nAktiv)
        VALUES (N'Standardlager', N'STD', 0, 0, 0, 0, 1), (N'Versand', N'VER', 0, 0, 0, 0, 1), (N'Alt', N'ALT', 0, 0, 0, 0, 0),
               (N'Amazon', N'FBA', 2, 0, 0, 0, 1), (N'Umlagerung', N'UML', 0, 0, 1, 2, 1)""")
    cursor.execute("INSERT INTO dbo.tversion (cVersion) VALUES (N'1.10.11.0')")
    cursor.execute("SET IDENTITY_INSERT dbo.tArtikel ON")
    insert(cursor, """INSERT INTO dbo.tArtikel (kArtikel, cArtNr, cAktiv, cLagerAktiv, cLagerKleinerNull, cTeilbar, nDelete, kVaterArtikel,
                                                nIstVater, kStueckliste, nPuffer)
        SELECT k, sku, aktiv, lager, oversell, teilbar, del, vater, ist, liste, puffer
        FROM OPENJSON(%s) WITH (k int, sku nvarchar(100), aktiv char(1), lager char(1), oversell char(1), teilbar char(1), del tinyint,
                                vater int, ist tinyint, liste int, puffer int)""",
           [row for row in shop.articles if "gap" not in row])
    cursor.execute("SET IDENTITY_INSERT dbo.tArtikel OFF")
    insert(cursor, """INSERT INTO dbo.tArtikelBeschreibung (kArtikel, kSprache, kPlattform, kShop, cName)
        SELECT k, 1, 1, 0, name FROM OPENJSON(%s) WITH (k int, name nvarchar(255))""", shop.names)
    insert(cursor, """INSERT INTO dbo.tlagerbestandProLagerLagerartikel (kArtikel, kWarenlager, fBestand, fVerfuegbarGesperrt)
        SELECT k, w, b, g FROM OPENJSON(%s) WITH (k int, w int, b decimal(25,13), g decimal(25,13))""", shop.stock)
    insert(cursor, """INSERT INTO dbo.tlagerbestand (kArtikel, fLagerbestand, fVerfuegbar, fInAuftraegen)
        SELECT k, b, v, o FROM OPENJSON(%s) WITH (k int, b decimal(25,13), v decimal(25,13), o decimal(25,13))""", shop.totals)
    insert(cursor, """INSERT INTO dbo.tStueckliste (kStueckliste, kArtikel, fAnzahl)
        SELECT l, k, n FROM OPENJSON(%s) WITH (l int, k int, n decimal(25,13))""", shop.parts)
    insert(cursor, """INSERT INTO dbo.tSandboxBestand (kArtikel, kWarenlager, fBestand)
        SELECT k, w, b FROM OPENJSON(%s) WITH (k int, w int, b decimal(28,14))""", shop.extra)


def fill_server(args, shop):
    password = os.environ.get("TEMU_SEED_PASSWORD")
    if password is None:
        sys.exit("seed: TEMU_SEED_PASSWORD is not set")
    host, _, port = args.server.partition(":")
    connection = pymssql.connect(server=host, port=port or "1433", user=args.user, password=password, charset="UTF-8",
                                 tds_version="7.3", autocommit=True, login_timeout=20)
    cursor = connection.cursor()
    fresh_jtl = claim_database(cursor, args.jtl, args.jtl_collation, args.fresh)
    fresh_own = claim_database(cursor, args.own, args.own_collation, args.fresh)
    if fresh_own:
        cursor.execute("USE [%s]" % args.own.replace("]", "]]"))
        cursor.execute("CREATE TABLE dbo.%s (seed bigint NOT NULL, articles int NOT NULL)" % MARKER)
    if fresh_jtl:
        cursor.execute("USE [%s]" % args.jtl.replace("]", "]]"))
        run_batches(cursor, os.path.join(HERE, "jtl", "schema.sql"))
        fill_jtl(cursor, shop)
        cursor.execute("INSERT INTO dbo.%s (seed, articles) VALUES (%%d, %%d)" % MARKER, (args.seed, args.articles))
    else:
        cursor.execute("SELECT seed, articles FROM [%s].dbo.%s" % (args.jtl.replace("]", "]]"), MARKER))
        row = cursor.fetchone()
        if row is None or tuple(row) != (args.seed, args.articles):
            sys.exit("seed: database %s holds another sandbox (seed, articles: %s): drop it first" % (args.jtl, row))
    connection.close()


# --- the gateway side ---

def write_gateway(args, shop):
    expires = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 200 * 86400))
    data = {"shops": [dict(account, mall_id=mall_id(number), region="eu", scopes=SCOPES, expires=expires, goods=catalogue.goods)
                      for number, (account, catalogue) in enumerate(zip(args.accounts, [shop, *shop.more]))]}
    beside = args.gateway_data + ".new"
    with open(beside, "w", encoding="utf-8") as file:
        json.dump(data, file, ensure_ascii=False)
    os.replace(beside, args.gateway_data)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--server", help="host:port; without it no server is filled")
    parser.add_argument("--user", default="sa")
    parser.add_argument("--jtl", default="eazybusiness", help="JTL's database")
    parser.add_argument("--own", default="toci", help="the own database")
    parser.add_argument("--jtl-collation", default="Latin1_General_CI_AS")
    parser.add_argument("--own-collation", default="Latin1_General_CI_AS")
    parser.add_argument("--articles", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fresh", action="store_true", help="drop the databases first, if they are sandboxes")
    parser.add_argument("--gateway-data", help="file to write for sandbox-gateway")
    parser.add_argument("--catalogue", help="JSON file of SKUs that another gateway has: articles are made for those")
    args = parser.parse_args()
    if not 1 <= args.articles <= 100000:
        parser.error("--articles: 1 to 100000")
    args.accounts = json.loads(os.environ.get("TEMU_SEED_SHOPS") or "[]")
    if args.gateway_data and not args.accounts:
        parser.error("--gateway-data needs the shops' credentials in TEMU_SEED_SHOPS")
    if args.catalogue:
        with open(args.catalogue, encoding="utf-8") as file:
            shop = MirroredShop(args.seed, json.load(file))
    else:
        shop = Shop(args.seed, args.articles, len(args.accounts))
    if args.server:
        fill_server(args, shop)
    if args.gateway_data:
        write_gateway(args, shop)


if __name__ == "__main__":
    main()
