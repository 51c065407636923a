"""The rules of the stack of segments, each tested without a driver first."""

from __future__ import annotations

from .edits import body, swap
from .rules import rule

STACK = "sandbox.segments:SegmentStack"
SEGMENT = "sandbox.segments:Segment"
CATALOGUE = "sandbox.postgresql.catalogue:Catalogue"

RULES = [
    rule(
        "stack 1",
        "What the stack sends waits, and goes out in one message with what comes next.",
        body(
            "sandbox.postgresql.wire:PostgreSQLWire.queue", "self.pending.append(sql)\nself.flush()"
        ),
        postgresql="sandbox.TestMessages.test_one_insert",
    ),
    rule(
        "stack 2a",
        "A statement goes to the top only where that is its owner's at its present level.",
        body(f"{STACK}._is_of", "return segment.owner is owner and not segment.dead"),
        stack="segments.TestSegmentStack.test_levels",
        postgresql="psycopg2_driver.TestTransactions.test_savepoints",
        sqlite3="sqlite.TestSavepoints.test_names",
    ),
    rule(
        "stack 2b",
        "A top that is nobody's and wrote nothing is taken over.",
        body(f"{STACK}._is_free", "return False"),
        stack="segments.TestSegmentStack.test_first_statement",
        postgresql="sandbox.TestMessages.test_readers",
        sqlite3="sqlite.TestPhases.test_few_savepoints",
    ),
    rule(
        "stack 2c",
        "A top that is nobody's and wrote something is not: that is committed.",
        body(f"{STACK}._is_free", "return segment.owner is None and not segment.pinned"),
        stack="segments.TestSegmentStack.test_committed_is_not_taken_over",
        postgresql="sandbox.TestLife.test_failure_after_a_commit",
        sqlite3="sqlite.TestTransactionControl.test_others_do_not_begin",
    ),
    rule(
        "stack 2d",
        "Neighbours of one owner and level become one before something is put on them.",
        body(f"{STACK}._fold_own", "pass"),
        stack="segments.TestSegmentStack.test_levels",
    ),
    rule(
        "stack 2e",
        "Neighbours that are nobody's become one, so that the stack does not grow.",
        body(f"{STACK}._fold_nobodys", "pass"),
        stack="segments.TestSegmentStack.test_many_commits",
    ),
    rule(
        "stack 2f",
        "The top is asked whether it wrote before anything is put on it.",
        swap(
            f"{STACK}._put_on_top",
            "matters = top.wrote is Wrote.UNASKED and any(s.owner for s in self.segments)",
            "matters = False",
        ),
        stack="segments.TestSegmentStack.test_above_an_unasked",
        postgresql="psycopg2_driver.TestTransactions.test_unproven_reader_between",
        sqlite3="sqlite.TestSeveralConnections.test_violation_beside_an_idle_lock",
    ),
    rule(
        "stack 2g",
        "A top that wrote nothing has no owner any more when something is put on it.",
        swap(
            f"{STACK}._put_on_top",
            "top = self.top\n        if top.wrote is Wrote.NO and not top.pinned:",
            "top = self.top\n        if False:",
        ),
        stack="segments.TestSegmentStack.test_reader_is_let_go",
        postgresql="postgresql.TestCatalogue.test_readers_share_a_savepoint",
    ),
    rule(
        "stack 2h",
        "A top that holds a cursor or a lock keeps its owner and its savepoint.",
        swap(
            f"{STACK}._put_on_top",
            "top = self.top\n        if top.wrote is Wrote.NO and not top.pinned:",
            "top = self.top\n        if top.wrote is Wrote.NO:",
        ),
        swap(
            f"{STACK}._put_on_top",
            "if self.ask_top() is Wrote.NO and not top.pinned:",
            "if self.ask_top() is Wrote.NO:",
        ),
        swap(
            f"{STACK}._put_on_top",
            "else Wrote.NO\n            if top.wrote is Wrote.NO and not top.pinned:",
            "else Wrote.NO\n            if top.wrote is Wrote.NO:",
        ),
        body(f"{STACK}._is_free", "return segment.owner is None and segment.wrote is Wrote.NO"),
        stack="segments.TestSegmentStack.test_pinned_reader_keeps_its_savepoint",
    ),
    rule(
        "stack 2i",
        "A dead segment that is not on top is never given new work.",
        body(f"{STACK}._is_of", "return segment.owner is owner and segment.level == owner.level"),
        stack="segments.TestSegmentStack.test_dead_takes_no_work",
    ),
    rule(
        "stack 2j",
        "A statement may write unless it is proven that it does not.",
        swap(f"{STACK}.claim", "if top.wrote is Wrote.NO and not only_reads:", "if False:"),
        stack="segments.TestSegmentStack.test_hidden_writer",
        postgresql="psycopg2_driver.TestTransactions.test_select_that_writes",
        sqlite3="sqlite.TestSeveralConnections.test_rollback_above",
    ),
    rule(
        "stack 2k",
        "Transactions that are proven to only read share a savepoint, and send nothing of ours.",
        swap(f"{STACK}.claim", " and not only_reads", ""),
        stack="segments.TestSegmentStack.test_proven_readers",
        postgresql="postgresql.TestCatalogue.test_readers_share_a_savepoint",
    ),
    rule(
        "stack 2l",
        "A text alone is no proof: it may name a function or view that writes …",
        swap(
            f"{CATALOGUE}.only_reads", " and self.facts.suspects.isdisjoint(statement.words)", ""
        ),
        postgresql="postgresql.TestCatalogue.test_hidden_writers",
    ),
    rule(
        "stack 2m",
        "… or have an operator, a cast or a domain call one …",
        swap(f"{CATALOGUE}.only_reads", "not self.facts.hidden and ", ""),
        postgresql="postgresql.TestCatalogue.test_hidden_writers",
    ),
    rule(
        "stack 2n",
        "… or be given one as a parameter …",
        swap(
            "sandbox.psycopg2_driver.cursors:GuardedCursor.execute",
            "and are_values(vars)",
            "",
        ),
        psycopg2="postgresql.TestCatalogue.test_parameter_that_is_no_value",
    ),
    rule(
        "stack 2o",
        "… that the test itself has made.",
        body(f"{CATALOGUE}.note", "pass"),
        postgresql="postgresql.TestCatalogue.test_made_in_the_test",
    ),
    rule(
        "stack 3a",
        "Whether the top wrote is asked of the database: what wrote is found out.",
        body("sandbox.postgresql.wire:PostgreSQLWire.wrote", "return False"),
        body("sandbox.sqlite.wire:SQLiteWire.wrote", "return False"),
        postgresql="psycopg2_driver.TestTransactions.test_rollback_beneath",
        sqlite3="sqlite.TestSeveralConnections.test_rollback_beneath",
    ),
    rule(
        "stack 3b",
        "And what only read: it is in nobody's way.",
        body("sandbox.postgresql.wire:PostgreSQLWire.wrote", "return True"),
        body("sandbox.sqlite.wire:SQLiteWire.wrote", "return True"),
        postgresql="psycopg2_driver.TestTransactions.test_unproven_reader_between",
        sqlite3="sqlite.TestPhases.test_wrote",
    ),
    rule(
        "stack 3c",
        "The transaction ids that the server gave to the savepoints below do not count.",
        body(
            "sandbox.postgresql.wire:PostgreSQLWire.wrote",
            "return bool(self.ask(_COUNT_XIDS)[0][0])",
        ),
        postgresql="psycopg2_driver.TestTransactions.test_reader_above_a_writer",
    ),
    rule(
        "stack 3d",
        "A top that was found clean is unasked as soon as its owner goes on.",
        swap(
            f"{STACK}.claim",
            "if top.wrote is Wrote.NO and not only_reads:",
            "if top.wrote is Wrote.NO and getattr(self, 'asked', None) is not top:",
        ),
        swap(
            f"{STACK}.ask_top",
            "top.wrote = Wrote.YES if wrote else Wrote.NO",
            "top.wrote, self.asked = Wrote.YES if wrote else Wrote.NO, top",
        ),
        stack="segments.TestSegmentStack.test_asked_again",
    ),
    rule(
        "stack 3e",
        "Whoever asks at another time, as at a request's start, leaves it unasked.",
        swap("sandbox.base:Sandbox.leaving_unasked", "if before is Wrote.UNASKED:", "if False:"),
        postgresql="sandbox.TestLife.test_asked_from_outside",
    ),
    rule(
        "stack 5",
        "A failing statement undoes the top, and nothing below it.",
        body(f"{STACK}.fail_top", "self._roll_back_to(0)"),
        stack="segments.TestSegmentStack.test_failing_statement",
        postgresql="psycopg2_driver.TestTransactions.test_failed_transaction_is_rolled_back",
    ),
    rule(
        "stack 6a",
        "What is undone and wrote nothing is nobody's: it is no hindrance, and sends nothing.",
        swap(f"{STACK}.undo", "if segment.wrote is Wrote.NO:", "if False:"),
        stack="segments.TestSegmentStack.test_rollback_of_a_reader",
    ),
    rule(
        "stack 6b",
        "What is undone and wrote is dead.",
        swap(f"{STACK}.undo", "segment.dead = True", "segment.owner = None"),
        stack="segments.TestSegmentStack.test_rollback_in_order",
        postgresql="psycopg2_driver.TestTransactions.test_commit_and_rollback",
        sqlite3="sqlite.TestTransactionControl.test_dml_begins",
    ),
    rule(
        "stack 6c",
        "Only what lies at that level or above is undone.",
        swap(f"{STACK}.undo", " and segment.level >= level", ""),
        stack="segments.TestSegmentStack.test_levels",
        postgresql="psycopg2_driver.TestTransactions.test_savepoints",
        sqlite3="sqlite.TestSavepoints.test_names",
    ),
    rule(
        "stack 6d",
        "A dead segment is rolled back at once where nothing worth keeping lies on it.",
        body(f"{STACK}.trim", "pass"),
        stack="segments.TestSegmentStack.test_rollback_in_order",
        postgresql="psycopg2_driver.TestTransactions.test_commit_and_rollback",
        sqlite3="sqlite.TestTransactionControl.test_dml_begins",
    ),
    rule(
        "stack 6e",
        "Readers that lie on a dead segment are no hindrance.",
        body(f"{SEGMENT}.holds_nothing", "return self.dead"),
        stack="segments.TestSegmentStack.test_rollback_beneath_a_reader",
        postgresql="psycopg2_driver.TestTransactions.test_rollback_beneath_a_reader",
        sqlite3="sqlite.TestSeveralConnections.test_rollback_beneath_a_reader",
    ),
    rule(
        "stack 6f",
        "Nor are others that are dead.",
        body(f"{SEGMENT}.holds_nothing", "return self.wrote is Wrote.NO and not self.pinned"),
        stack="segments.TestSegmentStack.test_rollback_beneath_the_undone",
        postgresql="psycopg2_driver.TestTransactions.test_crossed_both_rolled_back",
    ),
    rule(
        "stack 6g",
        "What a cursor or a lock pins is a hindrance.",
        body(f"{SEGMENT}.holds_nothing", "return self.dead or self.wrote is Wrote.NO"),
        stack="segments.TestSegmentStack.test_rollback_beneath_what_is_pinned",
    ),
    rule(
        "stack 6h",
        "A dead segment is never rolled back from under others' work.",
        body(f"{SEGMENT}.holds_nothing", "return True"),
        stack="segments.TestSegmentStack.test_drawn_example",
        postgresql="psycopg2_driver.TestTransactions.test_rollback_beneath",
        sqlite3="sqlite.TestSeveralConnections.test_rollback_beneath",
    ),
    rule(
        "stack 6i",
        "A ROLLBACK TO tells which settings the server put back with it.",
        swap(f"{STACK}._roll_back_to", "self._rolled_back(segment.settings)", "pass"),
        stack="segments.TestSegmentStack.test_settings",
        postgresql="postgresql.TestSettings.test_put_back_by_a_rollback",
    ),
    rule(
        "stack 7a",
        "What is committed is nobody's, and nothing undoes it any more.",
        swap(f"{STACK}.commit", "segment.owner, segment.level = None, 0", "pass"),
        stack="segments.TestSegmentStack.test_after_a_commit",
        postgresql="psycopg2_driver.TestTransactions.test_commit_and_rollback",
        sqlite3="sqlite.TestTransactionControl.test_others_do_not_begin",
    ),
    rule(
        "stack 7b",
        "RELEASE hands what was done above a level to that level.",
        body(f"{STACK}.release", "pass"),
        stack="segments.TestSegmentStack.test_levels",
        postgresql="psycopg2_driver.TestTransactions.test_released_work_is_out_of_reach",
        sqlite3="sqlite.TestSavepoints.test_released_work_is_out_of_reach",
    ),
    rule(
        "stack 7c",
        "A commit counts only where something was, or may have been, written.",
        swap(f"{STACK}.commit", "if wrote:", "if True:"),
        stack="segments.TestSegmentStack.test_commits_of_readers",
        postgresql="postgresql.TestTransactionModes.test_serializable",
    ),
    rule(
        "stack 8",
        "Where a class has no data, a first statement that fails begins the transaction anew.",
        swap(f"{STACK}._roll_back_to", '"ROLLBACK; BEGIN"', '"ROLLBACK TO "'),
        stack="segments.TestSegmentStack.test_base_is_the_transaction",
        postgresql="psycopg2_driver.TestTransactions.test_failed_transaction",
    ),
]
