"""Alarms reach people: a plan that a guard stopped is told by web hook and mail, once, also over kill -9; its end is told too; it can be
acknowledged and snoozed; successes beat. Addresses and passwords stay out of logs and answers."""

import base64
import email
import http.server
import json
import os
import socketserver
import threading

from support import StackCase, await_condition, main

TOKEN, PASSWORD = "bot4711:sinktoken", "mailpassword"


class Hook(http.server.ThreadingHTTPServer):
    """Keeps what is posted and asked for; answers `status`, or nothing at all while it is 0."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), HookHandler)
        self.status, self.posts, self.pings, self.tries, self.open = 200, [], 0, 0, threading.Event()
        self.open.set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """Who was killed in the middle of a call."""


class HookHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        self.server.pings += self.path == "/ping/" + TOKEN
        self.answer(200)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tries += 1
        self.server.open.wait(60)
        if self.server.status == 200 and self.path == "/" + TOKEN:
            self.server.posts.append(json.loads(body))
        self.answer(self.server.status)

    def log_message(self, *args):
        """Not on the tests' output."""


class Mail(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), MailHandler)
        self.letters, self.logins = [], []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class MailHandler(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        self.say("220 sink")
        to = []
        for line in iter(lambda: self.rfile.readline().decode().strip(), ""):
            word = line.split(" ")[0]
            if word == "EHLO":
                self.say("250-sink\r\n250 AUTH PLAIN")
            elif word == "AUTH":
                self.say("334 ")
                self.server.logins.append(base64.b64decode(self.rfile.readline()))
                self.say("235 in")
            elif word == "RCPT":
                to.append(line)
                self.say("250 ok")
            elif word == "DATA":
                self.say("354 go")
                text = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.letters.append((to, email.message_from_bytes(text)))
                self.say("250 ok")
            elif word == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")


class Alarms(StackCase):
    articles = 60
    shop_settings = {"zero_share_percent": 10, "zero_share_least": 5, "raise_share_percent": 100}

    @classmethod
    def setUpClass(cls):
        cls.hook, cls.mail = Hook(), Mail()
        address = "http://127.0.0.1:%d/" % cls.hook.server_address[1]
        cls.settings = {
            "webhooks": [{"name": "ops", "url": address + TOKEN}], "heartbeat.url": address + "ping/" + TOKEN,
            "alarms.backoff_ms": 20, "alarms.attempts": 1000, "alarms.mail_url": "smtp://127.0.0.1:%d" % cls.mail.server_address[1],
            "alarms.mail_user": "mailer", "alarms.mail_password": PASSWORD, "alarms.mail_from": "temu@example.org",
            "alarms.mail_to": "a@example.org, b@example.org"}
        super().setUpClass()

    @classmethod
    def assert_clean_logs(cls):
        super().assert_clean_logs()
        for name in os.listdir(cls.stack.path("log")):
            with open(cls.stack.path("log", name), encoding="utf-8", errors="replace") as file:
                text = file.read()
            for secret in (TOKEN, PASSWORD):
                assert secret not in text, "%s has %s" % (name, secret)

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.hook.shutdown()
            cls.mail.shutdown()

    def alarm(self, code, state="all"):
        status, _, answer = self.stack.request("GET", "/api/alarms?state=" + state)
        self.assertEqual(status, 200, answer)
        self.assertNotIn(TOKEN, json.dumps(answer))
        return next((alarm for alarm in answer["alarms"] if alarm["code"] == code), None)

    def told(self, code, state="open"):
        return [post for post in self.hook.posts if post["code"] == code and post["state"] == state]

    def guarded(self):
        self.change_stock(20, to=0)
        run = self.sync()
        self.assertEqual((run["state"], run["error"]["code"]), ("failed", "GUARD_ZEROS"), run)
        return run

    def mend(self):
        self.change_stock(20)
        self.assertEqual(self.sync()["state"], "success")

    def restart(self, end):
        end()
        self.stack.start_workers()
        self.stack.await_ready()

    def test_1_the_first_success_beat(self):
        await_condition(lambda: self.hook.pings >= 1, what="the heartbeat")
        self.assertEqual((self.hook.posts, self.mail.letters), ([], []), "nobody is told of a success")

    def test_2_told_over_a_kill_and_once_an_hour(self):
        """The receiver hangs, then refuses; the workers are killed in the call and start again; then it takes the message."""
        self.hook.open.clear()
        run = self.guarded()
        await_condition(lambda: self.hook.tries > 0, what="the first call")
        self.hook.status = 503
        self.restart(self.stack.workers.kill)
        self.hook.open.set()
        await_condition(lambda: (self.alarm("GUARD_ZEROS")["channels"][0]["error"] or "").endswith("503"), what="the refusal in the list")
        self.assertEqual(self.alarm("GUARD_ZEROS")["channels"][0]["pending"], "open")
        self.hook.status = 200
        await_condition(lambda: self.told("GUARD_ZEROS"), what="the message")
        post = self.told("GUARD_ZEROS")[0]
        self.assertEqual((post["severity"], post["shop"], post["run"], post["count"]), ("error", 1, run["run_id"], 1))
        await_condition(lambda: self.mail.letters, what="the mail")
        to, letter = self.mail.letters[0]
        self.assertEqual(len(to), 2)
        self.assertEqual(letter["Subject"], "[TEMU] error GUARD_ZEROS, shop 1")
        self.assertIn(run["run_id"], letter.get_payload(decode=True).decode())
        self.assertEqual(self.mail.logins[0], b"\0mailer\0" + PASSWORD.encode())
        await_condition(lambda: all(c["pending"] is None for c in self.alarm("GUARD_ZEROS")["channels"]), what="the channels' rows")
        self.restart(self.stack.workers.kill)
        self.assertEqual(self.sync()["error"]["code"], "GUARD_ZEROS")
        self.restart(self.stack.workers.stop)
        alarm = self.alarm("GUARD_ZEROS", "open")
        self.assertEqual(alarm["count"], 2)
        self.assertEqual([(c["pending"], c["error"]) for c in alarm["channels"]], [("open", None)] * 2, "again, but in an hour")
        self.assertEqual(len(self.told("GUARD_ZEROS")), 1)
        self.assertEqual(len(self.mail.letters), 1)
        self.assertIsNone(self.alarm("JOB_FAILED"), "the guard has its own alarm")

    def test_3_acknowledged_snoozed_and_over(self):
        alarm = self.alarm("GUARD_ZEROS", "open")
        path = "/api/alarms/%d" % alarm["id"]
        self.assertEqual(self.stack.request("POST", path + "/snooze", {"minutes": 60})[0], 200)
        self.assertIsNotNone(self.alarm("GUARD_ZEROS")["snoozed_until"])
        status, _, answer = self.stack.request("POST", path + "/ack", {"reason": "counted by hand"})
        self.assertEqual((status, answer["state"]), (200, "acknowledged"))
        self.assertTrue(self.alarm("GUARD_ZEROS")["acknowledged_by"].startswith("api "))
        self.assertEqual(self.stack.request("POST", "/api/alarms/999/ack")[0], 404)
        pings = self.hook.pings
        self.mend()
        await_condition(lambda: self.told("GUARD_ZEROS", "resolved"), what="the message that it is over")
        await_condition(lambda: len(self.mail.letters) == 2, what="the mail that it is over")
        self.assertIn("it was:", self.told("GUARD_ZEROS", "resolved")[0]["text"])
        self.assertEqual(self.mail.letters[1][1]["Subject"], "[TEMU] resolved GUARD_ZEROS, shop 1")
        await_condition(lambda: self.hook.pings > pings, what="the heartbeat")
        self.assertIsNone(self.alarm("GUARD_ZEROS", "open"))
        self.assertIsNotNone(self.alarm("GUARD_ZEROS")["resolved"])
        self.assertEqual(self.stack.request("POST", path + "/ack")[0], 404, "it is over")
        self.assert_events_whole()


if __name__ == "__main__":
    main()
