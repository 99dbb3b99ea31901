"""Programs that others wrote log in to the SQL server under test and see SQL Server's results and error numbers."""

import os
import subprocess
import tempfile
import unittest

import pymssql

import support
from support import Stack


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="temu-")
        cls.stack = Stack(cls.folder.name, support.BUILD)
        cls.stack.start_sql()
        cls.execute("IF DB_ID('temu_test_clients') IS NOT NULL DROP DATABASE temu_test_clients", database="master")
        cls.execute("CREATE DATABASE temu_test_clients", database="master")
        cls.execute("CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY, name nvarchar(40) NULL, price decimal(25,13) NULL, at datetime2(3) NULL)")
        cls.execute("INSERT INTO dbo.t VALUES (1, N'Größe 日本 😀', 12.3400000000001, '2026-11-25T10:11:12.123'), (2, N'abc ', NULL, NULL)")

    @classmethod
    def tearDownClass(cls):
        cls.execute("DROP DATABASE temu_test_clients", database="master")
        cls.stack.stop()
        cls.folder.cleanup()

    @classmethod
    def connect(cls, database="temu_test_clients", autocommit=True):
        return pymssql.connect(server=cls.stack.sql_host, port=str(cls.stack.sql_port), user=cls.stack.user, password=cls.stack.password,
                               database=database, charset="UTF-8", tds_version="7.3", autocommit=autocommit, login_timeout=10)

    @classmethod
    def execute(cls, statement, parameters=(), database="temu_test_clients"):
        connection = cls.connect(database)
        try:
            cursor = connection.cursor()
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()

    def command(self, program, *arguments, text=""):
        environment = dict(os.environ, TDSVER="7.4", LANG="C.UTF-8")
        return subprocess.run([program, *arguments], input=text, env=environment, capture_output=True, text=True, check=False, timeout=60)

    def test_tsql(self):
        done = self.command("tsql", "-H", self.stack.sql_host, "-p", str(self.stack.sql_port), "-U", self.stack.user, "-P", self.stack.password,
                            "-D", "temu_test_clients", text="SELECT id, name FROM dbo.t ORDER BY id\nGO\nSELECT * FROM nowhere\nGO\nexit\n")
        self.assertIn("Größe 日本", done.stdout)
        self.assertIn("208", done.stdout + done.stderr)

    def test_bsqldb(self):
        with tempfile.TemporaryDirectory() as folder:
            conf = os.path.join(folder, "freetds.conf")
            with open(conf, "w", encoding="ascii") as file:
                file.write("[here]\nhost = %s\nport = %d\ntds version = 7.4\nclient charset = UTF-8\n" % (self.stack.sql_host, self.stack.sql_port))
            environment = dict(os.environ, FREETDSCONF=conf, LANG="C.UTF-8")
            done = subprocess.run(["bsqldb", "-S", "here", "-U", self.stack.user, "-P", self.stack.password, "-D", "temu_test_clients", "-q"],
                                  input="SELECT COUNT(*) FROM dbo.t WHERE name = N'ABC'\ngo\n", env=environment, capture_output=True, text=True,
                                  check=False, timeout=60)
        self.assertIn("1", done.stdout.split(), done.stdout + done.stderr)

    def test_pymssql_reads_what_was_written(self):
        row = self.execute("SELECT name, price, CONVERT(varchar(33), at, 126) FROM dbo.t WHERE id = %d", (1,))[0]
        self.assertEqual((row[0], str(row[1]), row[2]), ("Größe 日本 😀", "12.3400000000001", "2026-11-25T10:11:12.123"))

    def assert_refused(self, number, statement, parameters=()):
        with self.assertRaises(pymssql.Error) as caught:
            self.execute(statement, parameters)
        found = caught.exception.args[0]
        self.assertEqual(found[0] if isinstance(found, tuple) else found, number, caught.exception)

    def test_error_numbers(self):
        for number, statement in ((102, "SELECT FROM WHERE ,"), (207, "SELECT nothing FROM dbo.t"), (208, "SELECT * FROM dbo.nothing"),
                                  (2627, "INSERT INTO dbo.t (id) VALUES (1)"), (515, "INSERT INTO dbo.t (name) VALUES (N'x')"),
                                  (245, "SELECT id FROM dbo.t WHERE id = 'x'"), (8134, "SELECT 1 / 0"),
                                  (2812, "EXEC dbo.no_such_procedure"), (911, "USE no_such_database")):
            with self.subTest(statement=statement):
                self.assert_refused(number if number != 102 else 156, statement)

    def test_a_transaction_is_rolled_back_when_the_connection_drops(self):
        connection = self.connect(autocommit=False)
        connection.cursor().execute("INSERT INTO dbo.t (id) VALUES (77)")
        connection.close()
        self.assertEqual(self.execute("SELECT COUNT(*) FROM dbo.t WHERE id = 77"), [(0,)])

    def test_a_reader_waits_for_the_writer_and_times_out(self):
        writer = self.connect(autocommit=False)
        try:
            writer.cursor().execute("UPDATE dbo.t SET name = N'other' WHERE id = 2")
            self.assert_refused(1222, "SET LOCK_TIMEOUT 50; SELECT name FROM dbo.t WHERE id = 2")
        finally:
            writer.rollback()
            writer.close()

    def test_case_blanks_and_sharp_s(self):
        rows = self.execute("SELECT CASE WHEN N'Straße ' = N'STRASSE' THEN 1 ELSE 0 END, CASE WHEN N'a' = N'ä' THEN 1 ELSE 0 END")
        self.assertEqual(rows, [(1, 0)])


if __name__ == "__main__":
    support.main()
