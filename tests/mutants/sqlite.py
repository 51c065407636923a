"""The rules that only SQLite has, in a file and in memory."""

from __future__ import annotations

from .edits import body, swap
from .rules import rule

SANDBOX = "sandbox.sqlite.sandbox:SQLiteSandbox"
LIFETIME = "sandbox.sqlite.lifetime:SQLiteLifetime"
CONNECTION = "sandbox.sqlite.connections:VirtualConnection"
WIRE = "sandbox.sqlite.wire:SQLiteWire"
PRAGMAS = "sandbox.sqlite.pragmas:Pragmas"
CALLBACKS = "sandbox.sqlite.callbacks:Callbacks"
LOCKS = "sandbox.sqlite.locks:Locks"
BACKEND = "sandbox.sqlite.locks:SQLiteBackend"
TABLES = "sandbox.sqlite.tables:Tables"

RULES = [
    rule(
        "sqlite 1",
        "A virtual connection begins where the driver would.",
        body(f"{CONNECTION}._begins", "return False"),
        sqlite3="sqlite.TestTransactionControl.test_dml_begins",
    ),
    rule(
        "sqlite 2a",
        "connect listeners run before BEGIN: inside, PRAGMA foreign_keys is ignored.",
        swap(f"{WIRE}.queue", "self.begin_waits = True", "self.ask(part)"),
        sqlite3="sqlite.TestListeners.test_pragmas_take_effect",
    ),
    rule(
        "sqlite 2b",
        "A PRAGMA that is in force is not sent again.",
        swap(f"{PRAGMAS}.set", "if value in (now, known):", "if False:"),
        sqlite3="sqlite.TestListeners.test_pragmas_take_effect",
    ),
    rule(
        "sqlite 2c",
        "An engine that asks for another PRAGMA is refused …",
        swap(
            f"{PRAGMAS}.set",
            'raise self._different(name, f"asks for PRAGMA {name} = {value}", in_force)',
            "return ask()",
        ),
        sqlite3="sqlite.TestListeners.test_different_pragmas",
    ),
    rule(
        "sqlite 2d",
        "… and so is one that lacks a PRAGMA which changes answers.",
        body(f"{PRAGMAS}.compare", "pass"),
        sqlite3="sqlite.TestListeners.test_missing_pragma",
    ),
    rule(
        "sqlite 3",
        "executescript() really commits: it is split, and its parts are run.",
        body(
            "sandbox.sqlite.cursors:GuardedCursor.executescript",
            "return super().executescript(sql_script)",
        ),
        sqlite3="sqlite.TestTransactionControl.test_executescript",
    ),
    rule(
        "sqlite 4a",
        "A function is registered once: SQLite refuses it beside an open cursor.",
        swap(f"{CALLBACKS}.register", "if key in self._registered:", "if False:"),
        sqlite3="sqlite.TestListeners.test_functions",
    ),
    rule(
        "sqlite 4b",
        "Two different ones of one name are refused.",
        body("sandbox.sqlite.callbacks:_same", "return True"),
        sqlite3="sqlite.TestListeners.test_different_functions",
    ),
    rule(
        "sqlite 5a",
        "That a segment wrote is told by the number of changed rows …",
        swap(f"{WIRE}.mark", "return self.total_changes, ", "return 0, "),
        sqlite3="sqlite.TestPhases.test_wrote",
    ),
    rule(
        "sqlite 5b",
        "… by the version of the schema …",
        swap(f"{WIRE}.mark", "self.schema_version()", "0"),
        sqlite3="sqlite.TestSavepoints.test_silent_writes",
    ),
    rule(
        "sqlite 5c",
        "… and, where no counter tells, by SQLite's authorizer.",
        swap(f"{TABLES}.seen", "elif action in _SILENT:", "elif False:"),
        sqlite3="sqlite.TestRefusals.test_temporary_tables",
    ),
    rule(
        "sqlite 5d",
        "What drops the temporary tables of a closed connection is not undone.",
        swap(f"{SANDBOX}.ended", "self.stack.claim(backend).wrote = Wrote.YES", "pass"),
        sqlite3="sqlite.TestSeveralConnections.test_temporary_table_after_a_failure",
    ),
    rule(
        "sqlite 6",
        "An error fails its statement, and not the transaction.",
        swap(SANDBOX, "errors_fail_transactions = False", "errors_fail_transactions = True"),
        sqlite3="sqlite.TestErrors.test_executemany_that_fails",
    ),
    rule(
        "sqlite 7a",
        "A second writer, who would find the database locked, is warned.",
        body(f"{LOCKS}.warn_locked", "pass"),
        sqlite3="sqlite.TestSeveralConnections.test_write_beside_a_write",
    ),
    rule(
        "sqlite 7b",
        "So is who reads a table that another wrote to, as the authorizer told.",
        swap(f"{LOCKS}.meets", "isinstance(owner, Backend) and met and", "False and"),
        sqlite3="sqlite.TestSeveralConnections.test_read_beside_a_write",
    ),
    rule(
        "sqlite 7c",
        "What a prepared statement touches is known by its text, for SQLite tells it once.",
        swap(f"{TABLES}.learn", "known = self._of.get(text)", "known = None"),
        sqlite3="sqlite.TestSeveralConnections.test_read_of_a_prepared_statement",
    ),
    rule(
        "sqlite 7d",
        "And who commits beside a transaction that has read.",
        body(f"{LOCKS}.warn_readers", "pass"),
        sqlite3="sqlite.TestSeveralConnections.test_commit_beside_a_reader",
    ),
    rule(
        "sqlite 7f",
        "Rows that are not fetched when a transaction begins lock until its end.",
        body(f"{SANDBOX}.fetches", "return False"),
        sqlite3="sqlite.TestSeveralConnections.test_commit_beside_rows_of_before",
    ),
    rule(
        "sqlite 7g",
        "BEGIN IMMEDIATE that fails inside a transaction has taken the lock.",
        body(f"{BACKEND}.begin_again", "super().begin_again(statement)"),
        sqlite3="sqlite.TestSeveralConnections.test_begin_immediate_twice",
    ),
    rule(
        "sqlite 7h",
        "Who fetches on after another has written is warned.",
        body(f"{CONNECTION}.before_fetching", "pass"),
        sqlite3="sqlite.TestSeveralConnections.test_fetch_beside_a_write",
    ),
    rule(
        "sqlite 7i",
        "Rows that end with a rollback because another has changed the schema are refused.",
        body(f"{CONNECTION}.ended_rows", "return None"),
        sqlite3="sqlite.TestConnection.test_rows_beside_a_changed_schema",
    ),
    rule(
        "sqlite 7e",
        "A violation beside another's uncommitted work is refused.",
        swap(f"{SANDBOX}.run", "for other in others:", "for other in others[:0]:"),
        sqlite3="sqlite.TestSeveralConnections.test_violation_beside_a_write",
    ),
    rule(
        "sqlite 8a",
        "VACUUM, ATTACH and DETACH are refused by name.",
        swap(f"{SANDBOX}._refuse", "if statement.verb in _CANNOT_BE_PLAYED:", "if False:"),
        sqlite3="sqlite.TestRefusals.test_vacuum_and_attach",
    ),
    rule(
        "sqlite 8b",
        "Where SQLite itself ended the transaction with others' work, that is said.",
        body(f"{SANDBOX}._ended_by_sqlite", "self._begin_outer()\nbackend.end(commit=False)"),
        sqlite3="sqlite.TestErrors.test_rollback_of_a_table_beside_committed_work",
    ),
    rule(
        "sqlite 9",
        "PRAGMA defer_foreign_keys holds for one transaction of one connection.",
        body("sandbox.sqlite.foreign_keys:ForeignKeys.defer", "pass"),
        sqlite3="sqlite.TestForeignKeys.test_defer_foreign_keys",
    ),
    rule(
        "sqlite 10",
        "Where nothing was written the outer transaction begins anew: others get at the file.",
        body(f"{SANDBOX}.step_outside", "return False"),
        sqlite3="sqlite.TestListeners.test_pragma_of_the_program",
    ),
    rule(
        "sqlite 11a",
        "What is in memory is there again afterwards.",
        body(f"{LIFETIME}.taking", "yield"),
        sqlite3="sqlite.TestSandboxed.test_shared_memory",
    ),
    rule(
        "sqlite 11b",
        "A private database in memory is copied.",
        swap(f"{LIFETIME}.opened", "if self._snapshot is not None:", "if False:"),
        sqlite3="sqlite.TestSandboxed.test_static_pool",
    ),
]
