"""What the user is told of migrations: the fact, its cause, the remedy."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

__all__ = [
    "already_there",
    "committed_by_itself",
    "downgrade_missing",
    "env_raised",
    "gone_meanwhile",
    "half_applied",
    "migrated_elsewhere",
    "needs_app",
    "needs_autocommit",
    "never_ran",
    "no_revisions",
    "not_all_undone",
    "not_undone",
    "revision_failed",
    "several_databases",
    "stands_at",
    "stranger",
    "two_heads",
    "unknown_in_database",
    "unknown_target",
    "wants_autocommit",
]


def stands_at(heads: Collection[str]) -> str:
    """Name the revisions at which a database stands."""
    return " and ".join(f'"{head}"' for head in sorted(heads)) or "base"


def migrated_elsewhere(env: str, heads: Collection[str], wanted: Collection[str]) -> str:
    """Tell that the database is not where the run should have brought it."""
    return (
        f"env.py has migrated something else: the database of the tests stands at "
        f"{stands_at(heads)}, and not at {stands_at(wanted)}. Either {env} does not commit, or it "
        f"has migrated another database of the tests. Let it run the migrations in: with "
        f"context.begin_transaction(), and use the connection that it is given: "
        f'config.attributes.get("connection")'
    )


def stranger(env: str, place: str) -> str:
    """Tell that env.py would migrate what is no database of the tests."""
    return (
        f"refusing to migrate something else: {env} has given Alembic a connection to {place}, "
        f"which is not the database that is to be migrated. It was open before env.py ran, or a "
        f"thread of the program has opened it. Nothing was run there. Let env.py connect while it "
        f'runs, or use the connection that it is given: config.attributes.get("connection")'
    )


def committed_by_itself(revision: str, heads: Collection[str]) -> str:
    """Tell that a migration has ended Alembic's transaction."""
    return (
        f"{revision} has ended the transaction that Alembic had begun, so what it did after that, "
        f"and that it was run, was not committed: the database stands at {stands_at(heads)} and is "
        "half applied. Let the migration not call commit() or rollback() of op.get_bind(); what "
        "must be committed at once goes into: with op.get_context().autocommit_block()"
    )


def never_ran(env: str, *, offline: bool) -> str:
    """Tell that env.py has come to its end without running any migration."""
    cause = (
        "It has called context.configure() with a URL, as for offline mode, instead of a connection"
        if offline
        else "It has ended without calling context.run_migrations()"
    )
    return (
        f"{env} has not run the migrations, so the database is as it was. {cause}. Let it end as "
        f"the env.py of alembic init does: with context.begin_transaction(): "
        f"context.run_migrations()"
    )


def several_databases(env: str, first: str, second: str) -> str:
    """Tell that env.py migrates more than one database in one run."""
    return (
        f"{env} migrates several databases in one run, {first} and {second}, and the tests can "
        f"migrate one at a time. Give each database a directory of its own, and the class a "
        f"mapping: schema = {{None: AlembicSchema(...), BIND: AlembicSchema(...)}}"
    )


def env_raised(env: str, what: str) -> str:
    """Tell of an error that no migration has raised."""
    told = f"{env} raised {what}\nNo migration has failed; correct env.py or what it imports."
    if "async" in what:
        told += (
            " An env.py for async engines uses config.attributes.get("
            '"connection") where that is given.'
        )
    return told


def needs_app(env: str) -> str:
    """Tell that env.py reads ``current_app`` and there is none."""
    return (
        f"{env} reads flask.current_app, and there is no app yet: it runs in the app's context, "
        f"once create_app() has returned. Give the test class a create_app() that does not use the "
        f"database by itself; outside of test classes write: with app.app_context()"
    )


def revision_failed(revision: str, function: str, reason: str, state: str) -> str:
    """Tell that a revision has failed, and what became of the database."""
    return f"{revision} failed in {function}(): {reason}. {state} Correct it and run it again."


def wants_autocommit(revision: str, function: str, reason: str) -> str:
    """Tell that a migration does in a transaction what the server refuses there."""
    return (
        f"{revision} failed in {function}(): {reason}. Alembic runs it in a transaction. Put what "
        f"wants none, or must be committed before it is used, into: "
        f"with op.get_context().autocommit_block()"
    )


def already_there(revision: str, reason: str, *, heads: Collection[str], made: bool) -> str:
    """Tell that a revision makes what is there already.

    :param made: whether the library made the database, so that it was empty at first.
    """
    if made:
        return (
            f"{revision} failed in upgrade(): {reason}, although the database was empty at first. "
            f"It makes it twice, as create_table() makes the types of its columns by itself; or an "
            f"earlier revision has made it, or the program, when it was imported: create_all(). "
            f"Make it in one place only."
        )
    return (
        f"{revision} was half applied before: {reason}, although the database stands at "
        f"{stands_at(heads)}, before it. An earlier run of it failed after a part was committed, "
        f"or create_all() has made it. Drop what is there and run it again; where all of the "
        f"revision is there, use: alembic stamp"
    )


def half_applied(revision: str, function: str, reason: str, left: str, heads: str) -> str:
    """Tell that a revision has failed, and that a part of it stays."""
    return (
        f"{revision} is half applied now: {function}() failed after a part of it was committed "
        f"({left}), and the database stands at {heads}. The error was: {reason}. Commits come from "
        f"autocommit_block(), a COMMIT in the migration, or SQLite, where DDL is in no "
        f"transaction. Put each such step in a revision of its own."
    )


def downgrade_missing(revision: str) -> str:
    """Tell that a revision says of itself that it cannot be undone."""
    return (
        f"{revision} has no downgrade: its downgrade() raised NotImplementedError, so nothing "
        f"before it can be reached again. Write what undoes upgrade(), or do without going down "
        f"past it"
    )


def _left_and_lost(left: str, lost: str) -> str:
    parts = (left and f"it leaves {left}", lost and f"it does not bring back {lost}")
    return " and ".join(part for part in parts if part)


def not_all_undone(where: str, then: str, left: str, lost: str) -> str:
    """Tell that a downgrade over several revisions has not brought back what was."""
    return (
        f'the downgrade to "{then}" with {where} does not undo the upgrade: '
        f"{_left_and_lost(left, lost)}. A downgrade() of one of the revisions is incomplete; "
        f"test_each_revision of MigrationTestCase tells which."
    )


def gone_meanwhile(gone: str, error: BaseException) -> str:
    """Tell that a downgrade failed for want of what the upgrade had made."""
    return (
        f"the downgrade failed, because something that the migrations had made is gone: {gone}. "
        f"A test has dropped it, and that was really committed. {error}"
    )


def not_undone(revision: str, left: str, lost: str) -> str:
    """Tell that a downgrade has run and has not brought back what was."""
    told = (
        f"{revision} has a downgrade() that does not undo its upgrade(): "
        f"{_left_and_lost(left, lost)}. Write in downgrade() the opposite of each step of "
        f"upgrade(), in reverse order."
    )
    if 'type "' in left:  # as autogenerate writes it
        told += (
            " drop_table() and drop_column() leave the types of their columns; drop an Enum by: "
            'sa.Enum(name="...").drop(op.get_bind())'
        )
    return told


def needs_autocommit(revision: str, reason: str) -> str:
    """Tell that a migration wants no transaction where there is always one."""
    return (
        f"{revision} cannot be run here, because it needs autocommit, and everything here is in "
        f"one transaction that is never committed: {reason} Let AlembicSchema, MigrationMixin or "
        f"MigrationTestCase run it in a database that the library makes itself: the embedded "
        f"server's, or one at a server URL without a database name, such as "
        f"DBTESTCASE_DATABASE=postgresql://USER@HOST."
    )


def no_revisions(where: str, versions: str) -> str:
    """Tell that there is nothing to test."""
    return (
        f"{where} have no revision: no file in {versions} has one. Make one by: alembic revision "
        f"--autogenerate, or flask db migrate; or correct version_locations in the ini."
    )


def two_heads(where: str, heads: Sequence[str]) -> str:
    """Tell that the history has several ends."""
    return (
        f"{where} have {len(heads)} heads: {' and '.join(heads)}. Two branches of development "
        f"have each added a revision. Join them by: alembic merge heads, or flask db merge heads; "
        f"or let one come after the other by its down_revision."
    )


def unknown_in_database(revisions: Iterable[str], where: str, place: str) -> str:
    """Tell that a database stands at a revision that no file knows."""
    return (
        f"{place} stands at revision {stands_at(list(revisions))}, and no file of {where} knows "
        f"it. It was migrated from another branch, or the file was removed. Get the file back, or "
        f"let the tests have a database that they make themselves."
    )


def unknown_target(target: str, where: str, reason: str) -> str:
    """Tell that what is to be reached is no revision that can be reached."""
    return (
        f'cannot migrate to "{target}" with {where}: {reason}. Name a revision id, "heads" or '
        f'"base".'
    )
