"""What TEMU should hold, computed a second time from the seed and the rules in words, apart from the product's code."""

import decimal
import unicodedata

ARTICLE_RULES = {"inactive": "zero", "father": "skip", "bundle": "stock", "unmanaged": "skip", "oversell": "stock"}


def fold(text):
    """Equality of Latin1_General_CI_AS as far as the seed needs it: case, trailing blanks, ss."""
    return unicodedata.normalize("NFC", text).rstrip(" ").casefold()


def whole(text):
    return int(decimal.Decimal(text).to_integral_value(rounding=decimal.ROUND_FLOOR))


def quantity(row, shop, warehouses):
    """Formula `reference`: physical stock of the warehouses, the smaller of duplicate rows, bundles from their components. None: no
    figure to trust."""
    total = decimal.Decimal(0)
    for warehouse in warehouses:
        here = [entry["b"] for entry in shop.stock + shop.extra if entry["k"] == row["k"] and entry["w"] == warehouse]
        if row["liste"]:
            here.append(str(bundle_quantity(row, shop, warehouse)))
        if None in here:
            return None
        if here:
            total += min(decimal.Decimal(text) for text in here)
    return total


def bundle_quantity(row, shop, warehouse):
    """As the view does it: a component without a row there is not counted, one without stock management neither."""
    counts = []
    for part in shop.parts:
        article = shop.articles[part["k"] - 1]
        if part["l"] == row["liste"] and article["lager"] == "Y" and article["oversell"] != "Y":
            counts += [decimal.Decimal(entry["b"]) / decimal.Decimal(part["n"]) for entry in shop.stock
                       if entry["k"] == part["k"] and entry["w"] == warehouse]
    if not counts:
        return 0
    return min(counts) if row["teilbar"] == "Y" else whole(str(min(counts)))


def wanted(row, shop, warehouses=(2,), percent=100):
    """The number TEMU should show, or a word why there is none. percent: the share of the stock that the TEMU shop offers."""
    if row["aktiv"] == "N" or row["del"]:
        return 0
    if row["ist"]:
        return "father"
    if row["lager"] == "N":
        return "unmanaged"
    amount = quantity(row, shop, warehouses)
    if amount is None:
        return "null"
    return min(1000000, max(0, whole(str(amount)) - row["puffer"]) * percent // 100)


def expected(shop, number=0, warehouses=(2,), percent=100):
    """{sku_id: wanted} for every SKU of the number-th TEMU shop (from 0) that the sync must have set; SKUs without an article or under a
    skip rule are absent."""
    by_sku = {fold(row["sku"]): row for row in shop.articles if "gap" not in row}
    result = {}
    for goods in (shop.more[number - 1] if number else shop).goods:
        for sku in goods["skus"]:
            row = by_sku.get(fold(sku["sku_sn"])) if sku["sku_sn"].strip() else None
            if row is None:
                continue
            value = wanted(row, shop, warehouses, percent)
            if isinstance(value, int):
                result[sku["sku_id"]] = value
    return result
