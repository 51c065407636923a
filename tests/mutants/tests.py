"""The rules of a test's life: between tests, escape, lost connections, sequences, order of rows."""

from __future__ import annotations

from .edits import body, swap
from .rules import rule

BASE = "sandbox.base:Sandbox"
LIFETIME = "sandbox.postgresql.lifetime:PostgreSQLLifetime"
SQLITE = "sandbox.sqlite.lifetime:SQLiteLifetime"
POSTGRESQL = "sandbox.postgresql.sandbox:PostgreSQLSandbox"
VISITORS = "sandbox.postgresql.visitors:Visitors"
CURSORS = "sandbox.psycopg2_driver.cursors"
SEQUENCES = "sandbox.postgresql.sequences:Sequences"
FIXTURE = "fixture:DatabaseFixture"

RULES = [
    rule(
        "test 1",
        "A test that does not touch the database sends nothing.",
        swap(f"{BASE}.end_test", "if not self.touched and not self._names:", "if False:"),
        swap(f"{BASE}._rewind", "if self.touched and self.alive:", "if self.alive:"),
        postgresql="sandbox.TestLife.test_untouched",
    ),
    rule(
        "test 2",
        "What a test did is undone at its end.",
        swap(f"{BASE}.end_test", "self._rewind()", "pass"),
        postgresql="sandbox.TestLife.test_tests_are_undone",
        sqlite3="sqlite.TestPhases.test_class_data",
    ),
    rule(
        "test 3",
        "While a test is closed nothing is ended.",
        body(f"{BASE}.closing", "pass"),
        postgresql="sandbox.TestLife.test_closing",
        sqlite3="sqlite.TestPhases.test_closing",
    ),
    rule(
        "test 4a",
        "Where the set-up wrote nothing each test has a transaction, and a now(), of its own.",
        swap(f"{LIFETIME}._freeze_setup", "self.shared = xid is not None", "self.shared = True"),
        swap(
            f"{SQLITE}._freeze_setup",
            "self.shared = any(s.wrote is not Wrote.NO for s in self.stack)",
            "self.shared = True",
        ),
        postgresql="sandbox.TestLife.test_own_transactions",
        sqlite3="sqlite.TestPhases.test_no_class_data",
    ),
    rule(
        "test 4b",
        "Where it wrote, what it committed is the base of every test.",
        swap(f"{LIFETIME}._freeze_setup", "self.shared = xid is not None", "self.shared = False"),
        swap(
            f"{SQLITE}._freeze_setup",
            "self.shared = any(s.wrote is not Wrote.NO for s in self.stack)",
            "self.shared = False",
        ),
        postgresql="sandbox.TestLife.test_tests_are_undone",
        sqlite3="sqlite.TestPhases.test_class_data",
    ),
    rule(
        "test 4c",
        "What it left uncommitted is undone, with a warning.",
        swap(f"{BASE}.freeze", "self._undo_leftovers()", "pass"),
        postgresql="sandbox.TestLife.test_left_uncommitted",
        sqlite3="sqlite.TestPhases.test_leftovers_of_the_set_up",
    ),
    rule(
        "test 17",
        "What is written between two tests is undone before the next.",
        swap(f"{BASE}.begin_test", "self._rewind()", "pass"),
        postgresql="sandbox.TestLife.test_between_tests",
        sqlite3="sqlite.TestPhases.test_between_tests",
    ),
    # -- the end of a test that waits for the first statement of the next
    rule(
        "end 1",
        "It waits only where nobody else can be connected.",
        body(f"{VISITORS}.can_have_come", "return False"),
        psycopg2="lifetime.TestMessages.test_somebody_is_connected",
    ),
    rule(
        "end 2",
        "And where nobody is asked who connects, it does not wait either.",
        swap(f"{VISITORS}.can_have_come", "now - self._asked >= PATIENCE", "False"),
        psycopg2="lifetime.TestMessages.test_database_of_somebody_else",
    ),
    rule(
        "end 3",
        "Nor where the test may have locked more than rows.",
        swap(
            f"{POSTGRESQL}._claim",
            "self.touched, self._only_plain = True, False",
            "self.touched = True",
        ),
        psycopg2="lifetime.TestLocks.test_other_than_rows",
    ),
    rule(
        "end 4",
        "A statement that shows the text of its message is sent alone …",
        body("sandbox.postgresql.catalogue:Catalogue.may_tell_message", "return self.facts.tells"),
        psycopg2="lifetime.TestText.test_named_by_the_statement",
    ),
    rule(
        "end 5",
        "… and so is every one where the schema may show it.",
        swap(
            "sandbox.postgresql.catalogue:Catalogue.may_tell_message",
            "facts.tells\n            or not self._known",
            "not self._known",
        ),
        psycopg2="lifetime.TestText.test_read_by_the_schema",
    ),
    rule(
        "end 6",
        "Where the two fail as one message, they are sent one by one.",
        swap(f"{LIFETIME}._send_with_end", "if not self.alive:\n                raise", "raise"),
        psycopg2="lifetime.TestErrors.test_equal",
    ),
    rule(
        "end 7",
        "What undoes a failed one depends on whether a transaction is open.",
        swap(f"{LIFETIME}._apart", "if self._real_state() is State.IDLE:", "if False:"),
        psycopg2="lifetime.TestErrors.test_only_the_begin",
    ),
    rule(
        "end 8",
        "What was not sent goes on waiting.",
        swap(f"{LIFETIME}._send_with_end", "if not self.was_sent:", "if False:"),
        psycopg2="lifetime.TestErrors.test_not_sent",
    ),
    rule(
        "end 8b",
        "What was sent is not undone by sending the end again.",
        swap(f"{LIFETIME}._send_with_end", "if not self.was_sent:", "if True:"),
        psycopg2="lifetime.TestErrors.test_signal",
    ),
    rule(
        "end 8c",
        "What may succeed the second time is not sent again.",
        swap(f"{LIFETIME}._send_with_end", "in _PASSING and", "== '' and"),
        psycopg2="lifetime.TestErrors.test_cancelled",
    ),
    rule(
        "end 9",
        "Putting sequences back is no work of the next test.",
        swap(f"{LIFETIME}._end_outer", '[*restore, "ROLLBACK"]', '["ROLLBACK", *restore]'),
        psycopg2="lifetime.TestNextTest.test_nothing_written",
    ),
    rule(
        "end 10",
        "What turns out to have been committed fails the test, whatever the program caught.",
        swap(f"{LIFETIME}._tell_why_lost", "if escape is not None:", "if False:"),
        psycopg2="lifetime.TestErrors.test_escape",
    ),
    rule(
        "end 11",
        "A cursor class of the program's is given its own statement only.",
        swap(f"{CURSORS}:guarded", "factory.execute is Cursor.execute", "True"),
        psycopg2="lifetime.TestText.test_cursor_classes",
    ),
    rule(
        "end 12",
        "A cursor tells the program's statement only.",
        body(f"{CURSORS}:GuardedCursor.query", "return super().query"),
        psycopg2="lifetime.TestText.test_cursor",
    ),
    rule(
        "end 13",
        "What is sent twice gives its notices once.",
        swap(
            f"{CURSORS}:GuardedCursor._send",
            "kept, real.notices = real.notices, []",
            "kept, real.notices = [], real.notices",
        ),
        psycopg2="lifetime.TestText.test_notices",
    ),
    rule(
        "end 14",
        "When somebody may have come it waits no longer.",
        swap(f"{LIFETIME}.visited", "self._send_end()", "pass"),
        psycopg2="lifetime.TestMessages.test_slow_test_without_a_statement",
    ),
    # -- escape
    rule(
        "escape 1",
        "At a test's end the outer transaction must still be the one that was begun.",
        swap(
            f"{LIFETIME}._rewind_test",
            "if begun and state is State.IDLE:",
            "if False:",
        ),
        swap(
            f"{SQLITE}._rewind_test",
            "if not self._wire.begin_waits and not self._wire.in_transaction:",
            "if False:",
        ),
        postgresql="sandbox.TestEscape.test_noticed",
        sqlite3="sqlite.TestPhases.test_escape",
    ),
    rule(
        "escape 2",
        "If another was begun meanwhile, our savepoint is not there.",
        swap(
            f"{LIFETIME}._send_ours",
            "self._escape = self._escaped()\n            raise self._escape from error",
            "return []",
        ),
        postgresql="sandbox.TestEscape.test_noticed_by_the_savepoint",
    ),
    rule(
        "escape 3",
        "Then the leased database is built anew.",
        swap(f"{FIXTURE}._end_test", "held.spoil()", "pass"),
        each="fixture.TestDatabaseFixture.test_commit_past_the_sandbox",
    ),
    rule(
        "escape 4",
        "What others really committed meanwhile is found at the class's end, and they are named.",
        swap(
            "databases.leftovers:",
            "IF tables <> '{{}}' OR defined IS NOT NULL THEN",
            "IF false THEN",
        ),
        each="cases.TestConnections.test_escape_past_the_sandbox",
    ),
    # -- lost connections
    rule(
        "lost 1",
        "A test whose connection died gets no new one where something would be missing.",
        body("sandbox.postgresql.connecting:ConnectingSandbox._refuse_after_loss", "pass"),
        each="fixture.TestDatabaseFixture.test_use_after_the_connection_was_lost",
    ),
    rule(
        "lost 2",
        "The next test gets a new one, and fresh class data.",
        body("mixins.sandbox:SandboxMixin._dbt_revive", "pass"),
        each="cases.TestConnections.test_dead_connection",
    ),
    rule(
        "lost 3",
        "Closing a virtual connection is silent where the real one is dead.",
        swap(
            "sandbox.psycopg2_driver.connections:VirtualConnection.close",
            "if not is_closed(self.real):",
            "if True:",
        ),
        psycopg2="sandbox.TestLostConnection.test_close",
    ),
    # -- sequences
    rule(
        "sequence 1",
        "Sequences are put back after each test.",
        body(f"{SEQUENCES}.restore", 'return ""'),
        psycopg2="sequences.TestSequences.test_put_back",
    ),
    rule(
        "sequence 2",
        "Also where nothing was written: a failed INSERT and nextval() move them too.",
        swap(
            f"{BASE}._rewind",
            "if self.touched and self.alive:",
            "if self.touched and self.alive and self.wrote():",
        ),
        psycopg2="sequences.TestSequences.test_put_back",
    ),
    rule(
        "sequence 3",
        "To where the class's set-up left them.",
        swap(
            f"{LIFETIME}._freeze_setup", "self._remember_sequences(for_good=self.shared)", "pass"
        ),
        psycopg2="sequences.TestSequences.test_put_back",
    ),
    rule(
        "sequence 4",
        "At the class's end to where they were before it.",
        swap(f"{LIFETIME}._disconnect.last_words", "send(self._first_sequences)", "pass"),
        psycopg2="sequences.TestSequences.test_put_back",
    ),
    rule(
        "sequence 5",
        "Those that the role may not SELECT and UPDATE are named in a warning.",
        body(f"{SEQUENCES}._warn", "pass"),
        psycopg2="sequences.TestWithoutPrivilege.test_warns",
    ),
    rule(
        "sequence 6",
        "In a database that is not ours alone they are left alone.",
        swap(
            f"{FIXTURE}._source",
            "reset_sequences=held.ours and self._reset_sequences",
            "reset_sequences=self._reset_sequences",
        ),
        each="fixture.TestDatabaseFixture.test_sequences_of_a_named_database",
    ),
    rule(
        "sequence 7",
        "A database that a killed run held is built anew, its sequences among it.",
        swap("databases.postgresql:OwnDatabase._try", ' and mark.state == "ready"', ""),
        each="databases.TestLease.test_killed_process",
    ),
    # -- the order of rows
    rule(
        "order",
        "Dead rows are cleared away at the class's end, for they change the order of others.",
        swap(f"{FIXTURE}._close", "sandbox.close(held.truncate_dead_rows)", "sandbox.close()"),
        each="fixture.TestDatabaseFixture.test_dead_rows",
    ),
]
