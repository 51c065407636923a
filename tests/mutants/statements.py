"""The rules of a statement: savepoints, errors, endings, settings and isolation levels."""

from __future__ import annotations

from .edits import body, swap
from .rules import rule

BACKEND = "sandbox.backends:Backend"
BASE = "sandbox.base:Sandbox"
STACK = "sandbox.segments:SegmentStack"
POSTGRESQL = "sandbox.postgresql.sandbox:PostgreSQLSandbox"
SETTINGS = "sandbox.postgresql.settings:SessionSettings"
CATALOGUE = "sandbox.postgresql.catalogue:Catalogue"
REFUSALS = "sandbox.postgresql.refusals:Refusals"
PSYCOPG2 = "sandbox.psycopg2_driver"
PSYCOPG = "sandbox.psycopg_driver"

RULES = [
    # -- what the driver believes, and what the server would say
    rule(
        "state 1",
        "After a textual COMMIT the driver believes to be in a transaction, and the server is not.",
        swap(
            f"{PSYCOPG2}.connections:VirtualConnection.run",
            "if not self._begun:",
            "if backend.state is State.IDLE:",
        ),
        psycopg2="psycopg2_driver.TestTextualControl.test_textual_commit",
    ),
    rule(
        "state 2",
        "A virtual connection that is used in a later test starts anew.",
        swap(
            f"{PSYCOPG2}.connections:VirtualConnection.backend",
            " or self._generation != sandbox.generation",
            "",
        ),
        swap(
            f"{PSYCOPG}.connections:VirtualConnection.backend",
            " or self._generation != sandbox.generation",
            "",
        ),
        body("sandbox.sqlite.connections:VirtualConnection.known_backend", "return self._backend"),
        postgresql="sandbox.TestLife.test_connection_of_an_earlier_test",
        sqlite3="sqlite.TestPhases.test_connection_of_an_earlier_test",
    ),
    rule(
        "state 3",
        "What steers a transaction is played, and not sent.",
        swap(f"{BACKEND}.execute", "if statement.control is not None:", "if False:"),
        postgresql="psycopg2_driver.TestTextualControl.test_every_spelling",
        sqlite3="sqlite.TestSavepoints.test_savepoint_begins",
    ),
    # -- user savepoints
    rule(
        "statement 4a",
        "User savepoints send nothing.",
        swap(
            f"{BACKEND}._savepoint",
            "self.savepoints.append(",
            "sandbox.wire.ask('SELECT 1'); self.savepoints.append(",
        ),
        postgresql="sandbox.TestMessages.test_savepoints",
    ),
    rule(
        "statement 4b",
        "ROLLBACK TO puts the settings back to what they were at the savepoint.",
        swap(
            f"{BACKEND}._savepoint",
            "self.session, self.local = saved.session, saved.local",
            "pass",
        ),
        postgresql="postgresql.TestSettings.test_session_and_local",
    ),
    rule(
        "statement 4c",
        "RELEASE hands the work on to the level below.",
        swap(f"{BACKEND}._savepoint", "sandbox.stack.release(self, index)", "pass"),
        postgresql="psycopg2_driver.TestTransactions.test_released_work_is_out_of_reach",
        sqlite3="sqlite.TestSavepoints.test_released_work_is_out_of_reach",
    ),
    rule(
        "statement 4d",
        "ROLLBACK TO undoes what was done since.",
        swap(f"{BACKEND}._savepoint", "sandbox.undo(self, index + 1)", "pass"),
        postgresql="psycopg2_driver.TestTransactions.test_savepoints",
        sqlite3="sqlite.TestSavepoints.test_names",
    ),
    rule(
        "statement 4e",
        "ROLLBACK TO heals a failed transaction.",
        swap(f"{BACKEND}._savepoint", "self.state = State.ACTIVE", "pass"),
        postgresql="psycopg2_driver.TestTransactions.test_savepoints",
    ),
    rule(
        "statement 4f",
        "Names may shadow each other: the innermost is meant.",
        swap(
            f"{BACKEND}._savepoint",
            "range(len(self.savepoints) - 1, -1, -1)",
            "range(len(self.savepoints))",
        ),
        postgresql="psycopg2_driver.TestTransactions.test_savepoints",
        sqlite3="sqlite.TestSavepoints.test_names",
    ),
    rule(
        "statement 4g",
        "Names belong to one virtual connection.",
        swap(
            f"{BACKEND}.__init__",
            "self.savepoints: list[UserSavepoint] = []",
            "self.savepoints = vars(sandbox).setdefault('savepoints', [])",
        ),
        postgresql="psycopg2_driver.TestTransactions.test_savepoints_of_two",
    ),
    rule(
        "statement 4h",
        "A savepoint that does not exist is the server's error 3B001.",
        swap(f"{BACKEND}._savepoint", "raise sandbox.no_savepoint(name)", "return"),
        postgresql="psycopg2_driver.TestTransactions.test_savepoints",
        sqlite3="sqlite.TestErrors.test_transaction_control",
    ),
    rule(
        "statement 4i",
        "Outside a transaction a savepoint is its error 25P01.",
        swap(f"{BACKEND}._savepoint", "raise sandbox.no_transaction(control)", "self.begin()"),
        postgresql="psycopg2_driver.TestTransactions.test_savepoint_outside",
    ),
    rule(
        "statement 4j",
        "In a failed transaction a statement is its error 25P02 …",
        swap(f"{BACKEND}.execute", "raise self.sandbox.aborted()", "pass"),
        postgresql="psycopg2_driver.TestTransactions.test_failed_transaction",
    ),
    rule(
        "statement 4k",
        "… and so is a savepoint.",
        swap(f"{BACKEND}._savepoint", "raise sandbox.aborted()", "return"),
        postgresql="psycopg2_driver.TestTransactions.test_failed_transaction",
    ),
    rule(
        "statement 4l",
        "These errors are of the driver's own classes.",
        body(
            f"{PSYCOPG2}.sandbox:Psycopg2Sandbox.error",
            'return psycopg2.ProgrammingError(message + "\\n")',
        ),
        body(
            f"{PSYCOPG}.sandbox:PsycopgSandbox.error",
            'return psycopg.ProgrammingError(message + "\\n")',
        ),
        postgresql="psycopg2_driver.TestTransactions.test_savepoint_outside",
    ),
    # -- failing statements
    rule(
        "statement 5a",
        "A failing statement fails its connection's transaction …",
        swap(f"{POSTGRESQL}._failed", "backend.state = State.FAILED", "pass"),
        postgresql="psycopg2_driver.TestTransactions.test_failed_transaction",
    ),
    rule(
        "statement 5b",
        "… and nobody else's.",
        swap(
            f"{POSTGRESQL}._failed",
            "backend.state = State.FAILED",
            "[setattr(each, 'state', State.FAILED) for each in self.backends]",
        ),
        postgresql="psycopg2_driver.TestTransactions.test_failed_transaction",
    ),
    rule(
        "statement 5c",
        "In autocommit the connection is simply idle after it.",
        swap(
            f"{BACKEND}.execute",
            "self.end(commit=not self.sandbox.errors_fail_transactions)",
            "pass",
        ),
        psycopg="psycopg_driver.TestAttributes.test_autocommit",
        psycopg2="psycopg2_driver.TestAutocommit.test_switch",
        sqlite3="sqlite.TestErrors.test_executemany_that_fails",
    ),
    # -- undoing
    rule(
        "statement 6a",
        "A rollback that one connection cannot show is told at the next statement of anybody.",
        body(f"{BASE}.raise_if_stuck", "pass"),
        postgresql="psycopg2_driver.TestTransactions.test_rollback_beneath",
        sqlite3="sqlite.TestSeveralConnections.test_rollback_beneath",
    ),
    rule(
        "statement 6b",
        "Not by the rollback itself: if nobody looks again, nobody was misled.",
        swap(
            f"{BASE}.undo",
            "if self.changed.waiting:",
            "self.raise_if_stuck()\n        if self.changed.waiting:",
        ),
        psycopg2="styles.TestRefusals.test_rollback_beneath_that_nobody_looks_at",
    ),
    rule(
        "statement 6c",
        "A conflict that the program swallowed fails its test all the same.",
        body(f"{BASE}.raise_swallowed", "pass"),
        psycopg2="styles.TestRefusals.test_conflict_that_is_swallowed",
        sqlite3="sqlite.TestSandboxed.test_swallowed_conflict",
    ),
    rule(
        "statement 6d",
        "The line that rolled back is kept for the conflict.",
        swap(f"{BASE}.undo", "segment.undone = trail()", "segment.undone = type(trail())(())"),
        psycopg2="conflicts.TestPostgreSQL.test_rollback_beneath",
        psycopg="conflicts.TestPsycopg.test_rollback_beneath",
        sqlite3="conflicts.TestSQLite.test_rollback_beneath",
    ),
    # -- committing
    rule(
        "statement 7a",
        "Others' work above or below does not matter to a commit.",
        swap(
            f"{BASE}.commit",
            "self.stack.commit(backend)",
            "[s for s in self.stack.of_others(backend) if self.conflict('')]; "
            "self.stack.commit(backend)",
        ),
        postgresql="psycopg2_driver.TestTransactions.test_crossed_commits",
    ),
    rule(
        "statement 7b",
        "COMMIT of a failed transaction undoes it.",
        swap(
            f"{BACKEND}.end",
            "commit = commit and self.state is State.ACTIVE",
            "commit = bool(commit)",
        ),
        postgresql="psycopg2_driver.TestTransactions.test_commit_of_a_failed_transaction",
    ),
    # -- deferred constraints
    rule(
        "statement 8a",
        "Deferred constraints are checked at the virtual commit.",
        body("sandbox.postgresql.catalogue:Catalogue.check", "return ''"),
        body("sandbox.sqlite.sandbox:SQLiteSandbox.before_commit", "pass"),
        postgresql="postgresql.TestDeferrable.test_checked_at_commit",
        sqlite3="sqlite.TestForeignKeys.test_commit_fails",
    ),
    rule(
        "statement 8b",
        "Only where this transaction wrote.",
        swap(
            f"{POSTGRESQL}.before_commit",
            "if not any(segment.wrote is not Wrote.NO for segment in self.stack.of(backend)):",
            "if False:",
        ),
        postgresql="postgresql.TestDeferrable.test_reader_beside_violations",
    ),
    rule(
        "statement 8c",
        "Those that are initially deferred are deferred again …",
        swap(
            "sandbox.postgresql.catalogue:Catalogue.check",
            'return "; ".join(parts)',
            "return parts[0]",
        ),
        postgresql="postgresql.TestDeferrable.test_checked_at_commit",
    ),
    rule(
        "statement 8d",
        "… and no others.",
        swap("sandbox.postgresql.catalogue:Catalogue.check", " if initially", ""),
        postgresql="postgresql.TestDeferrable.test_initially_immediate",
    ),
    rule(
        "statement 8e",
        "An error of the check is raised by the commit …",
        swap(f"{BACKEND}.end", "if error is not None:", "if False:"),
        postgresql="postgresql.TestDeferrable.test_checked_at_commit",
    ),
    rule(
        "statement 8f",
        "… and undoes the transaction.",
        swap(f"{BACKEND}.end", "commit, error = False, exc", "error = exc"),
        postgresql="postgresql.TestDeferrable.test_failed_commit_undoes_all",
    ),
    rule(
        "statement 8g",
        "A check that fails beside others' uncommitted work is refused …",
        swap(
            f"{POSTGRESQL}._check_beside",
            'keys is not None and keys.genuine(getattr(error, "diag", None))',
            "True",
        ),
        swap(
            "sandbox.sqlite.sandbox:SQLiteSandbox.before_commit",
            "if others := self.stack.of_others(backend):",
            "if False:",
        ),
        postgresql="postgresql.TestDeferrable.test_violated_beside_violations",
        sqlite3="sqlite.TestForeignKeys.test_beside_others",
    ),
    rule(
        "statement 8h",
        "… and so is one that holds by others' uncommitted work only …",
        swap(f"{POSTGRESQL}._check_beside", "in keys.held_by.items():", "in ():"),
        postgresql="postgresql.TestDeferrable.test_satisfied_beside",
    ),
    rule(
        "statement 8p",
        "… or by what others have deleted.",
        swap(f"{POSTGRESQL}._check_beside", "in met.items():", "in ():"),
        postgresql="postgresql.TestDeferrable.test_parent_deleted_beside",
    ),
    rule(
        "statement 8q",
        "What only others violate is told when they commit.",
        swap(f"{POSTGRESQL}._check_beside", "if keys.of_others and", "if False and"),
        postgresql="postgresql.TestDeferrable.test_violated_by_others",
    ),
    rule(
        "statement 8r",
        "What one violates oneself is told beside others, too.",
        body("sandbox.postgresql.foreign_keys:KeysBeside.genuine", "return False"),
        postgresql="postgresql.TestDeferrable.test_violated_by_oneself",
    ),
    rule(
        "statement 8i",
        "SET CONSTRAINTS holds for no other connection: beside it others are refused.",
        swap(
            f"{REFUSALS}.statement",
            "if other.sets_constraints and other is not backend and not only_reads:",
            "if False:",
        ),
        postgresql="postgresql.TestDeferrable.test_set_constraints_beside",
    ),
    rule(
        "statement 8t",
        "They are checked READ ONLY where the transaction is.",
        swap(
            f"{POSTGRESQL}.before_commit",
            "{_BEGIN_READ_ONLY}; {check}; {_END_READ_ONLY}",
            "{check}",
        ),
        postgresql="postgresql.TestDeferrable.test_checked_in_read_only",
    ),
    rule(
        "statement 8u",
        "They are not checked READ ONLY once a commit of another has checked them.",
        swap(f"{POSTGRESQL}.before_commit", "self._refusals.checked_before(backend)", "pass"),
        psycopg2="conflicts.TestPostgreSQL.test_constraint_checked_before",
        psycopg="conflicts.TestPsycopg.test_constraint_checked_before",
    ),
    rule(
        "statement 8s",
        "It ends with it though its savepoint was released: no savepoint of ours is before that.",
        swap(f"{STACK}._fold_own", " and not self.segments[first].apart", ""),
        postgresql="postgresql.TestDeferrable.test_set_constraints_after_a_release",
    ),
    rule(
        "statement 8j",
        "It ends with its transaction, also with one that is rolled back.",
        swap(f"{POSTGRESQL}._note", "segment.wrote, segment.apart = Wrote.YES, True", "pass"),
        postgresql="postgresql.TestDeferrable.test_set_constraints_rolled_back",
    ),
    rule(
        "statement 8k",
        "Constraints that the test itself made are checked, too.",
        body("sandbox.postgresql.catalogue:Catalogue.note", "pass"),
        postgresql="postgresql.TestDeferrable.test_new_constraint",
    ),
    rule(
        "statement 8o",
        "A change of the schema that is undone does not have it asked again in the next test.",
        swap("sandbox.postgresql.catalogue:Catalogue.rolled_back",
             "self._known = self._at_start is not None", "self._known = False"),
        psycopg2="sandbox.TestMessages.test_temporary_table_before_a_commit",
    ),
    rule(
        "statement 8l",
        "The message that checks them opens the next savepoint …",
        swap(
            f"{POSTGRESQL}.before_commit",
            "if self.holds_snapshots:",
            "if True:",
        ),
        psycopg2="sandbox.TestMessages.test_deferrable_before_others",
    ),
    rule(
        "statement 8m",
        "… but not beside others' uncommitted work, where the commit may yet be refused …",
        swap(
            f"{POSTGRESQL}.before_commit",
            "if others := self.stack.of_others(backend):",
            "if False:",
        ),
        psycopg2="postgresql.TestDeferrable.test_refused_commit_undoes_all",
    ),
    rule(
        "statement 8n",
        "… and not beside another's snapshot, for which only a commit that wrote matters.",
        swap(
            f"{POSTGRESQL}.before_commit",
            "if self.holds_snapshots:",
            "if False:",
        ),
        psycopg2="postgresql.TestTransactionModes.test_commit_of_a_reader",
    ),
    # -- settings
    rule(
        "statement 9a",
        "Before a statement the connection is brought to the settings that its user believes in.",
        body(f"{SETTINGS}.bring", "pass"),
        postgresql="postgresql.TestSettings.test_session_and_local",
    ),
    rule(
        "statement 9b",
        "set_config() sets, too.",
        swap("sandbox.statements:_settings", 'if "set_config" in plain.lower():', "if False:"),
        postgresql="postgresql.TestSettings.test_set_config",
    ),
    rule(
        "statement 9c",
        "SET LOCAL ends with its transaction.",
        swap(f"{BACKEND}._forget", "self.local = _NO_SETTINGS", "pass"),
        postgresql="postgresql.TestSettings.test_session_and_local",
    ),
    rule(
        "statement 9d",
        "SET is undone by a rollback of its transaction.",
        swap(f"{BACKEND}._forget", "self.session = self._session_at_begin", "pass"),
        postgresql="postgresql.TestSettings.test_session_and_local",
    ),
    rule(
        "statement 9e",
        "And by close(): the next connection has the first settings.",
        swap(
            f"{SETTINGS}.bring",
            "backend.session.get(name, first)",
            "backend.session.get(name, self.in_force.get(name, first))",
        ),
        postgresql="postgresql.TestSettings.test_close_ends_the_session",
    ),
    rule(
        "statement 9f",
        "What cannot be told from a text is refused.",
        swap(f"{REFUSALS}.statement", "if statement.hides_setting:", "if False:"),
        postgresql="postgresql.TestSettings.test_hidden",
    ),
    # -- isolation levels
    rule(
        "statement 10a",
        "A snapshot is refused once another connection has committed since.",
        swap(f"{REFUSALS}.statement", "backend.isolation in SNAPSHOT_LEVELS", "False"),
        postgresql="postgresql.TestTransactionModes.test_old_snapshot",
    ),
    rule(
        "statement 10b",
        "It begins with the transaction's first statement.",
        swap(
            f"{BACKEND}.begin",
            "self.commits_seen, self.alone = None, False",
            "self.commits_seen, self.alone = self.sandbox.stack.commits, False",
        ),
        postgresql="postgresql.TestTransactionModes.test_snapshot_begins_with_the_first_statement",
    ),
    rule(
        "statement 10c",
        "A commit of one that only read puts no snapshot out of date.",
        swap(f"{BASE}.commit", "self.stack.ask_top()", "pass"),
        postgresql="postgresql.TestTransactionModes.test_commit_of_a_reader",
    ),
    rule(
        "statement 10d",
        "A textual SET TRANSACTION is taken, and not sent.",
        swap(f"{BACKEND}._control", "if self.state is State.ACTIVE:", "if False:"),
        postgresql="postgresql.TestTransactionModes.test_read_only",
    ),
    rule(
        "statement 10e",
        "READ ONLY holds for its transaction.",
        swap(f"{POSTGRESQL}.run", "self._wire.queue(_BEGIN_READ_ONLY)", "pass"),
        postgresql="postgresql.TestTransactionModes.test_read_only",
    ),
    rule(
        "statement 10g",
        "Also for what writes nothing but a sequence.",
        swap(
            "sandbox.postgresql.sandbox:", '"pg_settings", "nextval", "setval"}', '"pg_settings"}'
        ),
        postgresql="postgresql.TestTransactionModes.test_read_only_sequence",
    ),
    rule(
        "statement 10i",
        "psycopg2's BEGIN may come into a transaction that a text has begun, and fail.",
        swap(
            "sandbox.psycopg2_driver.connections:VirtualConnection._begin",
            "elif wants.begin is not None:",
            "elif False:",
        ),
        psycopg2="psycopg2_driver.TestAutocommit.test_begin_of_the_driver",
    ),
    rule(
        "statement 10h",
        "What psycopg2 sets for the session is a statement.",
        body("sandbox.psycopg2_driver.characteristics:Characteristics._tell", "pass"),
        psycopg2="psycopg2_driver.TestAutocommit.test_session_of_the_driver",
    ),
    rule(
        "statement 10f",
        "A two-phase transaction is refused.",
        swap(f"{BACKEND}._control", "raise self.sandbox.conflict(messages.two_phase())", "return"),
        postgresql="psycopg2_driver.TestTextualControl.test_two_phase",
    ),
    # -- the short way of a test's only connection
    rule(
        "alone 1",
        "What leaves more to be noted than that it was sent does not go the short way.",
        swap(f"{POSTGRESQL}.run", "statement.plain\n", "True\n"),
        postgresql="postgresql.TestAlone.test_more_than_plain",
    ),
    rule(
        "alone 2",
        "Nor does what has another connection beside it …",
        swap(f"{POSTGRESQL}.run", "and self.has_one\n", "and True\n"),
        postgresql="postgresql.TestUncommitted.test_read_beside",
    ),
    rule(
        "alone 3",
        "… nor what runs in a READ ONLY transaction …",
        swap(f"{POSTGRESQL}.run", "and not backend.read_only\n", "and True\n"),
        postgresql="postgresql.TestTransactionModes.test_read_only_alone",
    ),
    rule(
        "alone 4",
        "… nor what follows a setting, which may have ended with its transaction …",
        swap(f"{POSTGRESQL}.run", "and not self._settings.learned\n", "and True\n"),
        postgresql="postgresql.TestSettings.test_alone",
    ),
    rule(
        "alone 5",
        "… nor what may name a temporary table that the class's set-up left …",
        swap(f"{POSTGRESQL}.run", "and not self._temporary.any\n", "and True\n"),
        postgresql="postgresql.TestAlone.test_temporary_table_of_the_set_up",
    ),
    rule(
        "alone 6",
        "… nor what may call a function that changes the schema …",
        body(f"{CATALOGUE}._may_call_definer", "return False"),
        postgresql="postgresql.TestAlone.test_trigger_that_changes_the_schema",
    ),
    rule(
        "alone 7",
        "… or names one in C, of which nobody knows.",
        swap(
            f"{CATALOGUE}.may_change_by",
            " or (bool(facts.natives) and self._names_native(statement))",
            "",
        ),
        postgresql="postgresql.TestAlone.test_function_in_c",
    ),
    rule(
        "alone 8",
        "One that nothing calls does not count …",
        body(f"{CATALOGUE}._may_call_definer", "return True"),
        psycopg2="postgresql.TestAlone.test_function_that_nobody_calls",
    ),
    rule(
        "alone 9",
        "… but one that a text names …",
        swap(
            f"{CATALOGUE}._may_call_definer",
            "and facts.suspects.isdisjoint(statement.words)",
            "",
        ),
        psycopg2="postgresql.TestAlone.test_function_that_is_called_somehow",
    ),
    rule(
        "alone 10",
        "… in whatever spelling …",
        swap(f"{CATALOGUE}._may_call_definer", "and statement.unambiguous", ""),
        psycopg2="postgresql.TestAlone.test_function_that_is_called_somehow",
    ),
    rule(
        "alone 11",
        "… or without a word that could be looked for …",
        swap(f"{CATALOGUE}._may_call_definer", "and not facts.hidden", ""),
        psycopg2="postgresql.TestAlone.test_function_that_is_called_somehow",
    ),
    rule(
        "alone 12",
        "… or a parameter …",
        swap(f"{CATALOGUE}._may_call_definer", "values_only\n            and", ""),
        psycopg2="postgresql.TestAlone.test_function_that_is_called_somehow",
    ),
    rule(
        "alone 13",
        "… or a trigger, a default, a view or a rule …",
        swap(f"{CATALOGUE}._may_call_definer", "and not facts.unasked", ""),
        psycopg2="postgresql.TestAlone.test_function_that_is_called_somehow",
    ),
    rule(
        "alone 14",
        "… or what was prepared before.",
        swap(f"{CATALOGUE}._may_call_definer", "and statement.plain", ""),
        psycopg2="postgresql.TestAlone.test_function_that_is_called_somehow",
    ),
]
