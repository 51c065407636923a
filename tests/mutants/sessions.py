"""The rules of what a session has to itself, of threads and processes, of work beside others'."""

from __future__ import annotations

from .edits import body, swap
from .rules import rule

BASE = "sandbox.base:Sandbox"
LIFETIME = "sandbox.postgresql.lifetime:PostgreSQLLifetime"
POSTGRESQL = "sandbox.postgresql.sandbox:PostgreSQLSandbox"
NEIGHBOURS = "sandbox.postgresql.neighbours:Neighbours"
ADVISORY = "sandbox.postgresql.advisory:AdvisoryLocks"
TEMPORARY = "sandbox.postgresql.temporary:TemporaryTables"
CURSORS = "sandbox.postgresql.cursors:ServerCursors"
REFUSALS = "sandbox.postgresql.refusals:Refusals"
PSYCOPG2 = "sandbox.psycopg2_driver"

RULES = [
    # -- beside others' uncommitted work
    rule(
        "session 11a",
        "A statement that meets another's uncommitted work warns.",
        body(f"{POSTGRESQL}._note_neighbours", "pass"),
        postgresql="postgresql.TestUncommitted.test_read_beside",
    ),
    rule(
        "session 11b",
        "Once for each pair of connections.",
        body(f"{POSTGRESQL}._first_time", "return True"),
        body("sandbox.sqlite.locks:Locks._first_time", "return True"),
        postgresql="postgresql.TestUncommitted.test_read_beside",
        sqlite3="sqlite.TestSeveralConnections.test_write_beside_a_write",
    ),
    rule(
        "session 11c",
        "What a statement reads, by an index too, and what it writes is told by the counters.",
        body(f"{NEIGHBOURS}._read", "return {}"),
        postgresql="postgresql.TestUncommitted.test_read_beside",
    ),
    rule(
        "session 11d",
        "An index that is read counts for its table.",
        swap("sandbox.postgresql.neighbours:", "WHERE i.indrelid = c.oid", "WHERE false"),
        postgresql="postgresql.TestUncommitted.test_read_by_an_index",
    ),
    rule(
        "session 11e",
        "What was committed earlier in the test is not charged to whoever is open now.",
        body(f"{NEIGHBOURS}._writers", "return list(self._stack)"),
        postgresql="postgresql.TestUncommitted.test_no_false_warnings",
    ),
    rule(
        "session 11f",
        "Of deleted rows nothing is left that says whose deed it was: may.",
        swap(f"{NEIGHBOURS}.after", ', "may have deleted from"', ""),
        postgresql="postgresql.TestUncommitted.test_deleted",
    ),
    rule(
        "session 11q",
        "Who sent nothing that deletes rows is not charged with deletions …",
        body("sandbox.postgresql.catalogue:Catalogue.may_delete", "return True"),
        postgresql="postgresql.TestUncommitted.test_deleted_by_others",
    ),
    rule(
        "session 11r",
        "… unless something in the database deletes rows unasked.",
        body("sandbox.postgresql.catalogue:Catalogue.may_delete", "return statement.may_delete"),
        postgresql="postgresql.TestUncommitted.test_deleted_by_a_function",
    ),
    rule(
        "session 11s",
        "Nor is who makes a temporary table.",
        swap("sandbox.statements:_may_delete", "if temporary and", "if False and"),
        postgresql="postgresql.TestUncommitted.test_temporary_table_deletes_nothing",
    ),
    rule(
        "session 11t",
        "Who has only moved a sequence, or asked for a number, has written nothing.",
        swap("sandbox.postgresql.catalogue:", '    "setval",\n', ""),
        postgresql="postgresql.TestUncommitted.test_nothing_written",
    ),
    rule(
        "session 11g",
        "Uncommitted DDL is met by every statement.",
        body("sandbox.segments:Traces.hides_work", "return False"),
        postgresql="postgresql.TestUncommitted.test_beside_ddl",
    ),
    rule(
        "session 11h",
        "An error that may come of it is refused.",
        swap(
            f"{REFUSALS}.failure", "if not others and not locks.of_others(backend):", "if True:"
        ),
        postgresql="postgresql.TestUncommitted.test_violation_beside",
    ),
    rule(
        "session 11i",
        "Not so a unique violation by a row that is nobody's uncommitted one …",
        body(f"{NEIGHBOURS}._dirty_key", "return True"),
        postgresql="postgresql.TestUncommitted.test_genuine_violations",
    ),
    rule(
        "session 11j",
        "… but one by another's row is.",
        body(f"{NEIGHBOURS}._dirty_key", "return False"),
        postgresql="postgresql.TestUncommitted.test_violation_beside",
    ),
    rule(
        "session 11k",
        "Nor a foreign key violation where nobody has touched the parent …",
        body(f"{NEIGHBOURS}._dirty_parent", "return True"),
        postgresql="postgresql.TestUncommitted.test_genuine_foreign_key",
    ),
    rule(
        "session 11l",
        "… but where another has, it is.",
        body(f"{NEIGHBOURS}._dirty_parent", "return False"),
        postgresql="postgresql.TestUncommitted.test_foreign_key_beside",
    ),
    rule(
        "session 11m",
        "NOWAIT and SKIP LOCKED beside uncommitted work are refused.",
        swap(
            "sandbox.statements:_single",
            "impatient=_IMPATIENT.search(plain) is not None",
            "impatient=False",
        ),
        postgresql="postgresql.TestUncommitted.test_impatient",
    ),
    rule(
        "session 11u",
        "So they are beside locks of rows that leave no trace.",
        body("sandbox.backends:Backend.holds_locks", "return False"),
        postgresql="postgresql.TestUncommitted.test_impatient_beside_a_lock",
    ),
    rule(
        "session 11za",
        "What needs a table that another has locked is refused …",
        swap("sandbox.postgresql.locks:TableLocks.needed", "if exclude(", "if False and exclude("),
        postgresql="postgresql.TestTableLocks.test_locked",
    ),
    rule(
        "session 11v",
        "… unless the two modes agree …",
        body("sandbox.postgresql.locks:exclude", "return True"),
        postgresql="postgresql.TestTableLocks.test_modes",
    ),
    rule(
        "session 11w",
        "… and for a LOCK TABLE that does not wait it is the server's error.",
        swap(
            f"{REFUSALS}.lock_tables",
            "if nowait:\n                    backend.fail()",
            "if False:\n                    backend.fail()",
        ),
        postgresql="postgresql.TestTableLocks.test_nowait",
    ),
    rule(
        "session 11x",
        "A lock that others' uncommitted rows would keep out is refused.",
        swap(f"{REFUSALS}._holders", "written & wanted.tables", "written & set()"),
        postgresql="postgresql.TestTableLocks.test_written",
    ),
    rule(
        "session 11y",
        "A lock of a table ends with its savepoint …",
        swap("sandbox.backends:Backend._savepoint", "if lock.level <= index", "if True"),
        postgresql="postgresql.TestTableLocks.test_ends",
    ),
    rule(
        "session 11z",
        "… and with its transaction.",
        swap("sandbox.backends:Backend._forget", "self.table_locks = []", "pass"),
        postgresql="postgresql.TestTableLocks.test_ends",
    ),
    rule(
        "session 11p",
        "Who changes or locks rows where another has locked some is warned.",
        swap(f"{NEIGHBOURS}.rows_locked", "if words and", "if False and"),
        postgresql="postgresql.TestTableLocks.test_rows",
    ),
    rule(
        "session 11n",
        "A warning names the lines in which both transactions began.",
        body("sandbox.backends:Author.__str__", "return self.name"),
        postgresql="postgresql.TestUncommitted.test_read_beside",
    ),
    rule(
        "session 11o",
        "A request that is made beside the test's own uncommitted work warns.",
        body("fixture:DatabaseFixture.warn_of_uncommitted", "pass"),
        each="conflicts.TestFixture.test_request_beside",
    ),
    # -- advisory locks
    rule(
        "session 12a",
        "An advisory lock for which real connections would wait is refused.",
        swap(f"{POSTGRESQL}._note_advisory", "if other is not None:", "if False:"),
        postgresql="postgresql.TestAdvisoryLocks.test_held",
    ),
    rule(
        "session 12b",
        "One of a transaction is let go at the virtual commit.",
        swap("sandbox.backends:Backend._forget", "self.transaction_locks = frozenset()", "pass"),
        postgresql="postgresql.TestAdvisoryLocks.test_let_go",
    ),
    rule(
        "session 12c",
        "One of a session is let go with the session.",
        body(f"{ADVISORY}.end_session", "pass"),
        postgresql="postgresql.TestAdvisoryLocks.test_let_go",
    ),
    rule(
        "session 12d",
        "A segment in which one was taken stays pinned: a rollback below would let it go.",
        swap(
            f"{POSTGRESQL}._note_advisory",
            "segment.pinned |= bool(backend.transaction_locks)",
            "pass",
        ),
        postgresql="postgresql.TestAdvisoryLocks.test_taken_above_what_is_rolled_back",
    ),
    rule(
        "session 12e",
        "None outlives its test.",
        body(f"{LIFETIME}._release_advisory", 'return ""'),
        postgresql="postgresql.TestAdvisoryLocks.test_test_end",
    ),
    # -- server-side cursors
    rule(
        "session 13a",
        "A cursor pins the segment in which it was declared.",
        swap(f"{POSTGRESQL}._note", 'segment.pinned |= statement.cursor.verb == "DECLARE"', "pass"),
        postgresql="psycopg2_driver.TestTransactions.test_cursor_beside_others",
    ),
    rule(
        "session 13b",
        "It is closed with its transaction.",
        body(f"{CURSORS}.end", "pass"),
        psycopg="psycopg_driver.TestServerCursors.test_named",
        psycopg2="psycopg2_driver.TestCursors.test_named",
    ),
    rule(
        "session 13c",
        "One WITH HOLD is not.",
        swap(f"{CURSORS}.end", "if keep_held and cursor.hold:", "if False:"),
        psycopg="psycopg_driver.TestServerCursors.test_with_hold",
        psycopg2="psycopg2_driver.TestCursors.test_with_hold",
    ),
    rule(
        "session 13d",
        "The same name in two connections is refused.",
        body(f"{CURSORS}.stranger", "return None"),
        psycopg="psycopg_driver.TestServerCursors.test_cursor_of_another",
        psycopg2="psycopg2_driver.TestCursors.test_cursor_of_another",
    ),
    # -- temporary tables
    rule(
        "session 14a",
        "A temporary table belongs to one connection: another that names it is refused.",
        body(f"{TEMPORARY}.strangers", "return None"),
        swap(
            "sandbox.sqlite.sandbox:SQLiteSandbox._refuse",
            "if owner is not backend and name in statement.words:",
            "if False:",
        ),
        postgresql="postgresql.TestTemporaryTables.test_of_another",
        sqlite3="sqlite.TestRefusals.test_temporary_tables",
    ),
    rule(
        "session 14b",
        "ON COMMIT DROP happens at the virtual commit …",
        swap(f"{TEMPORARY}.at_commit", 'what == "drop"', "False"),
        postgresql="postgresql.TestTemporaryTables.test_on_commit",
    ),
    rule(
        "session 14c",
        "… and so does ON COMMIT DELETE ROWS.",
        swap(f"{TEMPORARY}.at_commit", 'what == "delete"', "False"),
        postgresql="postgresql.TestTemporaryTables.test_on_commit",
    ),
    rule(
        "session 14d",
        "It is gone with its session.",
        body(f"{TEMPORARY}.at_close", "return []"),
        postgresql="postgresql.TestTemporaryTables.test_on_commit",
    ),
    rule(
        "session 14e",
        "And with a rollback of the transaction that made it.",
        swap(f"{TEMPORARY}.strangers", "if self._is_there(name):", "if True:"),
        postgresql="postgresql.TestTemporaryTables.test_dropped",
    ),
    # -- what cannot run in a transaction
    rule(
        "session 15a",
        "What cannot run in a transaction is refused: VACUUM, CREATE INDEX CONCURRENTLY (25001) …",
        swap(
            "sandbox.postgresql.refusals:",
            '_CANNOT_BE_PLAYED_ALONE = {"25001", "2D000"}',
            '_CANNOT_BE_PLAYED_ALONE = {"2D000"}',
        ),
        postgresql="postgresql.TestOutsideTransactions.test_alone",
    ),
    rule(
        "session 15b",
        "… a procedure that commits (2D000) …",
        swap(
            "sandbox.postgresql.refusals:",
            '_CANNOT_BE_PLAYED_ALONE = {"25001", "2D000"}',
            '_CANNOT_BE_PLAYED_ALONE = {"25001"}',
        ),
        postgresql="postgresql.TestOutsideTransactions.test_alone",
    ),
    rule(
        "session 15c",
        "… the use of an enum's new value (55P04) …",
        swap(
            "sandbox.postgresql.refusals:",
            '_CANNOT_BE_PLAYED = {"55P04", "55006"}',
            '_CANNOT_BE_PLAYED = {"55006"}',
        ),
        postgresql="postgresql.TestOutsideTransactions.test_new_enum_value",
    ),
    rule(
        "session 15d",
        "… and DDL on a table that its own deferred work keeps in use (55006).",
        swap(
            "sandbox.postgresql.refusals:",
            '_CANNOT_BE_PLAYED = {"55P04", "55006"}',
            '_CANNOT_BE_PLAYED = {"55P04"}',
        ),
        postgresql="postgresql.TestOutsideTransactions.test_in_use",
    ),
    rule(
        "session 15e",
        "In a transaction of the program's own they are the server's errors.",
        swap(
            f"{REFUSALS}.failure",
            "state in _CANNOT_BE_PLAYED_ALONE and backend.alone",
            "state in _CANNOT_BE_PLAYED_ALONE",
        ),
        postgresql="postgresql.TestOutsideTransactions.test_in_a_transaction",
    ),
    # -- threads
    rule(
        "session 16a",
        "One lock is held for a statement and its messages.",
        swap(f"{BASE}.entered", "return self.lock", "return nullcontext(True)"),
        postgresql="sandbox.TestThreads.test_one_at_a_time",
    ),
    rule(
        "session 16b",
        "A write beside another thread's uncommitted write waits for its end.",
        body("sandbox.threads:Threads.wait", "pass"),
        body("sandbox.sqlite.locks:Locks.wait", "pass"),
        postgresql="sandbox.TestThreads.test_waits_for_a_writer",
        sqlite3="sqlite.TestSeveralConnections.test_threads_wait",
    ),
    rule(
        "session 16f",
        "So does what locks, beside another thread's locked rows …",
        swap(f"{BASE}.wait_for_threads", " or statement.locks", ""),
        postgresql="sandbox.TestThreads.test_waits_for_locks",
    ),
    rule(
        "session 16g",
        "… or names a table that it has locked.",
        body("sandbox.threads:Threads.wait_for", "pass"),
        postgresql="sandbox.TestThreads.test_waits_for_a_locked_table",
    ),
    rule(
        "session 16c",
        "One that only reads is in nobody's way.",
        swap("sandbox.threads:Threads.wait.free", "with sandbox.leaving_unasked():", "if True:"),
        postgresql="sandbox.TestThreads.test_does_not_wait_for_what_has_read",
    ),
    rule(
        "session 16d",
        "After 5 seconds the write goes on.",
        swap(
            "sandbox.threads:Threads.until",
            "sandbox.changed.wait_for(free, PATIENCE)",
            "sandbox.changed.wait_for(free, PATIENCE * 600)",
        ),
        postgresql="sandbox.TestThreads.test_goes_on_after_a_while",
    ),
    rule(
        "session 16e",
        "A thread that waits when its test ends does not write into the next.",
        swap("sandbox.threads:Threads.until", "if backend not in sandbox.backends:", "if False:"),
        postgresql="sandbox.TestThreads.test_outlives_its_test",
    ),
    # -- forks
    rule(
        "session 18a",
        "Any use in a child process is refused.",
        body(f"{BASE}.refuse_in_child", "pass"),
        postgresql="sandbox.TestFork.test_child",
        sqlite3="sqlite.TestOutside.test_fork",
    ),
    rule(
        "session 18b",
        "A child never ends its parent's connection.",
        body(f"{PSYCOPG2}.real:_detach_sockets", "pass"),
        swap(f"{PSYCOPG2}.sandbox:Psycopg2Sandbox.alive", " and not self.in_child", ""),
        swap(
            "sandbox.psycopg_driver.sandbox:PsycopgSandbox.alive",
            " and not self.in_child",
            "",
        ),
        body("sandbox.sqlite.lifetime:_keep_in_child", "pass"),
        swap("sandbox.sqlite.lifetime:SQLiteLifetime.alive", " and not self.in_child", ""),
        postgresql="sandbox.TestFork.test_child",
        sqlite3="sqlite.TestOutside.test_fork",
    ),
]
