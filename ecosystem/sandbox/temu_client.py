"""The least TEMU client: signs, asks, reads the SKU list. For seeding from a gateway of somebody else and for looking at its truth;
written apart from the daemon's client, so that both can be held against each other."""

import hashlib
import json
import time
import urllib.request


def sign(parameters, secret):
    """temu_api.md 2.1: keys in byte order, raw strings, everything else as compact JSON."""
    text = "".join(key + (value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False))
                   for key, value in sorted(parameters.items()))
    return hashlib.md5((secret + text + secret).encode()).hexdigest().upper()


def call(url, app, method, **parameters):
    """The result of one call. Waits and asks again while TEMU says that it is too much."""
    wait = 0.5
    while True:
        body = dict(parameters, type=method, app_key=app["app_key"], access_token=app["access_token"], timestamp=int(time.time()),
                    data_type="JSON", version="V1")
        body["sign"] = sign(body, app["app_secret"])
        request = urllib.request.Request(url, json.dumps(body, ensure_ascii=False).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=40) as reply:
            answer = json.load(reply)
        if answer.get("success"):
            return answer["result"]
        if answer.get("errorCode") != 4000004 or wait > 30:
            raise RuntimeError("%s: %s %s" % (method, answer.get("errorCode"), answer.get("errorMsg")))
        time.sleep(wait)
        wait *= 2


def list_skus(url, app):
    """Every SKU of both lists: {sku_id: row as TEMU gives it, with "status" 2 or 3}."""
    found = {}
    for status in (3, 2):
        page, seen, total = 1, 0, 1
        while seen < total:
            result = call(url, app, "bg.local.goods.sku.list.query", pageNo=page, pageSize=100, skuSearchType=status,
                          skuStatusFilterType=status)
            total, rows = int(result["total"]), result.get("skuList") or []
            if not rows:
                break
            for row in rows:
                found[int(row["skuId"])] = dict(row, status=status)
            seen += len(rows)
            page += 1
    return found
