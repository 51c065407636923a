"""The rules by which an engine gets into the sandbox."""

from __future__ import annotations

from .edits import body, swap
from .rules import rule

DOOR = "engines.door:Door"
REDIRECTION = "engines.redirecting:Redirection"
PSYCOPG2 = "sandbox.psycopg2_driver"
PSYCOPG = "sandbox.psycopg_driver"
CONNECTING = "sandbox.postgresql.connecting:ConnectingSandbox"

RULES = [
    # -- the door
    rule(
        "engines 1a",
        "While a class runs, whatever way leads to a connection passes the door.",
        body(f"{DOOR}._patch", "pass"),
        each="engines.TestDoor.test_every_way_in",
    ),
    rule(
        "engines 1b",
        "It is a patch that lasts no longer than the class.",
        body(f"{DOOR}._patch.restore", "pass"),
        each="engines.TestDoor.test_own_database_afterwards",
    ),
    rule(
        "engines 1c",
        "An engine of create_engine() or of the app means its bind, whatever its URL says.",
        swap(f"{DOOR}._admit", "key = self._known(engine)", "key: Any = UNKNOWN"),
        each="engines.TestDoor.test_known_before_url",
    ),
    rule(
        "engines 1d",
        "Engines are known by their dialect, which their option engines share.",
        swap(
            "fixture:DatabaseFixture._key_of", "known.dialect is engine.dialect", "known is engine"
        ),
        each="fixture.TestDatabaseFixture.test_option_engine_of_the_app",
    ),
    rule(
        "engines 1e",
        "Another engine means the leased database to which its URL leads.",
        body(f"{DOOR}._key_of", "return UNKNOWN"),
        each="engines.TestDoor.test_by_url",
    ),
    rule(
        "engines 1f",
        "Where it leads is what the dialect would give to the driver, connect_args included.",
        swap("engines.redirecting:place_of_engine", ", arguments_of(engine))", ")"),
        each="engines.TestDoor.test_connect_args_decide",
    ),
    rule(
        "engines 1g",
        "An engine to any other database is refused by name, before contact.",
        swap(f"{DOOR}._admit", "raise refusal", "return False"),
        each="engines.TestDoor.test_stranger",
    ),
    rule(
        "engines 1h",
        "A refusal that the program swallowed fails its test all the same.",
        body(f"{DOOR}.raise_swallowed", "pass"),
        each="mixins.TestEngineMixin.test_refusal_that_is_swallowed",
    ),
    rule(
        "engines 1i",
        "A database that the class lets through stays outside.",
        swap(f"{DOOR}._admit", "if place.names & self._let_through:", "if False:"),
        each="engines.TestDoor.test_let_through",
    ),
    rule(
        "engines 1j",
        "A private SQLite database in memory passes.",
        swap(f"{DOOR}._admit", "if key is UNKNOWN and place.private:", "if False:"),
        each="engines.TestDoor.test_private_memory",
    ),
    rule(
        "engines 1k",
        "An engine is redirected to a database of its own dialect only.",
        body(f"{DOOR}._check_dialect", "pass"),
        each="engines.TestDoor.test_another_dialect",
    ),
    rule(
        "engines 1l",
        "A second driver for one database in one class is refused, and both are named.",
        swap(
            "fixture:DatabaseFixture._source",
            "elif sandbox.url.drivername != driver:",
            "elif False:",
        ),
        each="fixture.TestDatabaseFixture.test_two_drivers_for_one_database",
    ),
    rule(
        "engines 1m",
        "Two binds may lead to one database, and share its connection.",
        body("fixture:DatabaseFixture._sandbox_of", "return None"),
        each="fixture.TestDatabaseFixture.test_two_binds_of_one_database",
    ),
    rule(
        "engines 1n",
        "An AsyncEngine is refused by name.",
        body("engines.redirecting:refuse_async", "pass"),
        each="engines.TestDoor.test_async_engine",
    ),
    rule(
        "engines 1o",
        "Threads at the first contact redirect an engine once.",
        swap(f"{DOOR}._admitted", "with self._lock:", "with contextlib.nullcontext():"),
        each="engines.TestDoor.test_first_contact_of_four_threads",
    ),
    rule(
        "engines 1p",
        "The library's own engines go round the door.",
        swap(f"{DOOR}._admitted", " or engine.get_execution_options().get(PRIVATE)", ""),
        each="engines.TestDoor.test_private_engines",
    ),
    rule(
        "engines 1q",
        "An engine that somebody else redirected is left to it.",
        swap(
            f"{DOOR}._patch",
            "and not isinstance(private.given_creator_of(engine.pool), Redirection)",
            "",
        ),
        swap(f"{DOOR}._admitted", "redirection_of(engine.pool) is not None or ", ""),
        each="engines.TestDoor.test_redirected_by_somebody_else",
    ),
    # -- redirecting
    rule(
        "engines 2a",
        "The copy of the pool keeps its class and options.",
        swap(
            f"{REDIRECTION}.begin",
            "new = old.recreate()",
            "import sqlalchemy; new = sqlalchemy.QueuePool(self._creator)",
        ),
        each="engines.TestRedirect.test_options_of_the_pool",
    ),
    rule(
        "engines 2b",
        "A creator= of the program is not called.",
        swap(f"{REDIRECTION}.__call__", "if not self._standard:", "if False:"),
        each="engines.TestRedirect.test_creator_of_the_user",
    ),
    rule(
        "engines 2c",
        "The limit of connections is lifted: a test and its request do not wait for each other.",
        swap(f"{REDIRECTION}.begin", "private.set_overflow(new, private.NO_LIMIT)", "pass"),
        each="engines.TestRedirect.test_pool_of_one",
    ),
    rule(
        "engines 2d",
        "Idle connections that the engine had to its own database are closed.",
        swap(f"{REDIRECTION}.begin", "if not self._keep:", "if False:"),
        each="engines.TestRedirect.test_own_connections_are_closed",
    ),
    rule(
        "engines 2e",
        "Afterwards the engine has a pool of its own again.",
        swap(f"{REDIRECTION}.undo", "engine.pool = own", "pass"),
        each="engines.TestRedirect.test_every_pool",
    ),
    rule(
        "engines 2f",
        "With its old creator …",
        swap(f"{REDIRECTION}.undo", "private.set_creator(own, self._creator)", "pass"),
        each="engines.TestRedirect.test_creator_of_the_user",
    ),
    rule(
        "engines 2g",
        "… and its old limit.",
        swap(f"{REDIRECTION}.undo", "private.set_overflow(own, self._overflow)", "pass"),
        each="engines.TestRedirect.test_options_of_the_pool",
    ),
    rule(
        "engines 2h",
        "That a private name of SQLAlchemy moved is noticed.",
        body("engines.private:creator_of", "return getattr(pool, '_creator_that_moved', None)"),
        each="engines.TestPrivateNames.test_creator",
    ),
    # -- the listener that answers
    rule(
        "engines 3a",
        "The database of the engine's own URL is never contacted.",
        swap(
            f"{REDIRECTION}.__call__", "with answering(answer):", "with contextlib.nullcontext():"
        ),
        each="engines.TestRedirectPostgreSQL.test_own_server_is_not_contacted",
    ),
    rule(
        "engines 3b",
        "We answer before the program's own do_connect listeners, which are not called.",
        body("engines.private:keep_first", "pass"),
        each="engines.TestRedirect.test_do_connect_listeners",
    ),
    rule(
        "engines 3c",
        "connect_args stay …",
        swap(
            f"{PSYCOPG2}.sandbox:Psycopg2Sandbox._open",
            "**{**options, **self._where}",
            "**self._where",
        ),
        swap(
            f"{PSYCOPG}.sandbox:PsycopgSandbox._open",
            "**{**options, **self._where}",
            "**self._where",
        ),
        postgresql="sandbox.TestEngines.test_other_connect_args",
    ),
    rule(
        "engines 3d",
        "… but host, port, database, user and password are ours, and may differ.",
        swap(f"{PSYCOPG2}.sandbox:Psycopg2Sandbox.connect", " if k not in OURS", ""),
        swap(f"{PSYCOPG}.sandbox:PsycopgSandbox.connect", " if k not in OURS", ""),
        postgresql="sandbox.TestEngines.test_other_url",
    ),
    rule(
        "engines 3e",
        "An engine whose connect_args differ from those of the connection is refused.",
        body(f"{CONNECTING}._refuse_others", "pass"),
        swap(
            "sandbox.sqlite.sandbox:SQLiteSandbox.connect",
            "elif cparams is not None and _visible(options) != _visible(self._options):",
            "elif False:",
        ),
        postgresql="sandbox.TestEngines.test_other_connect_args",
        sqlite3="sqlite.TestListeners.test_connect_args",
    ),
    rule(
        "engines 3f",
        "engine.pool.connect() of an engine that nobody knows is refused.",
        body(f"{DOOR}._refuse_pool", "pass"),
        each="engines.TestDoor.test_pool_of_a_stranger",
    ),
    # -- the real connection
    rule(
        "engines 4a",
        "connect listeners get a connection that the driver's C functions take.",
        swap(
            f"{PSYCOPG2}.sandbox:Psycopg2Sandbox.connect",
            "self.listening = connection\n            return self.real",
            "self.listening = connection\n            return connection",
        ),
        psycopg2="sandbox.TestEngines.test_json_of_each_engine",
    ),
    rule(
        "engines 4b",
        "What a listener commits, and undoes, is its virtual connection's.",
        swap(
            f"{PSYCOPG2}.real:RealConnection",
            '*("cursor", "commit", "rollback", "reset", ',
            '*("cursor", "reset", ',
        ),
        psycopg2="sandbox.TestEngines.test_listeners",
    ),
    rule(
        "engines 4c",
        "A listener that keeps the real connection can do nothing with it later.",
        swap(f"{PSYCOPG2}.real:RealConnection.listening", "if connection is None:", "if False:"),
        psycopg2="sandbox.TestPsycopg2.test_listener_after_its_end",
    ),
    rule(
        "engines 4d",
        "What listeners SET is their connection's session setting, in every test.",
        swap(
            f"{PSYCOPG2}.connections:VirtualConnection.listened",
            "self._settings = self._backend.session",
            "pass",
        ),
        body(f"{PSYCOPG}.connections:VirtualConnection.listened", "pass"),
        postgresql="sandbox.TestEngines.test_listeners",
    ),
    rule(
        "engines 4e",
        "What a listener did before it raised is undone, and the next contact starts anew.",
        body(f"{CONNECTING}._leave_listener", "self.listening = None"),
        body(f"{PSYCOPG2}.real:RealConnection.close", "pass"),
        psycopg2="sandbox.TestEngines.test_listener_that_raises",
    ),
    rule(
        "engines 4f",
        "A listener that catches an error and rolls back undoes its own segment only.",
        swap(
            f"{PSYCOPG2}.connections:VirtualConnection.rollback",
            "self._end(commit=False)",
            "extensions.connection.rollback(self.real); self._end(commit=False)",
        ),
        psycopg2="sandbox.TestEngines.test_listener_that_rolls_back",
    ),
    rule(
        "engines 4g",
        "set_client_encoding(), which rolls back in the driver, is ours.",
        body(
            f"{PSYCOPG2}.connections:VirtualConnection.set_client_encoding",
            "extensions.connection.set_client_encoding(self.real, encoding)",
        ),
        psycopg2="sandbox.TestPsycopg2.test_client_encoding",
    ),
    rule(
        "engines 4h",
        "The driver's autocommit stays off, for named cursors need it.",
        swap(
            f"{PSYCOPG2}.sandbox:Psycopg2Sandbox._open",
            "self.real.sandbox = self",
            "self.real.sandbox = self; Connection.autocommit.__set__(self.real, True)",
        ),
        psycopg2="psycopg2_driver.TestCursors.test_named",
    ),
    # -- the virtual one
    rule(
        "engines 5a",
        "The program sees the virtual connection once the listeners are done.",
        body("engines.redirecting:_put_virtual", "pass"),
        each="engines.TestRedirect.test_listeners_get_the_real_connection",
    ),
    rule(
        "engines 5b",
        "Our listener is the last, also where one is added to a redirected engine.",
        body("engines.private:keep_last", "pass"),
        each="engines.TestRedirect.test_late_listeners",
    ),
    rule(
        "engines 5c",
        "An autocommit that earlier listeners switched on goes with the virtual connection.",
        swap(
            f"{PSYCOPG2}.connections:VirtualConnection.listened",
            "self.types = self.sandbox.registered_types()",
            "self.types = self.sandbox.registered_types(); self._wants.autocommit = False",
        ),
        body(
            f"{PSYCOPG}.connections:VirtualConnection.listened",
            "self._settings = dict(self._backend.session) if self._backend else {}\n"
            "self._autocommit = False",
        ),
        postgresql="sandbox.TestEngines.test_isolation_levels",
    ),
    rule(
        "engines 5d",
        "What psycopg itself has to say, BEGIN, SAVEPOINT and COMMIT, is played.",
        body(f"{PSYCOPG}.connections:VirtualConnection._exec_command", "return None\nyield"),
        psycopg="psycopg_driver.TestTransaction.test_nested",
    ),
    rule(
        "engines 5e",
        "What one connection cannot give to several is refused: pipelines, notifications.",
        body(f"{PSYCOPG}.connections:VirtualConnection.pipeline", "return super().pipeline()"),
        body(f"{PSYCOPG}.connections:VirtualConnection.notifies", "return super().notifies()"),
        psycopg="psycopg_driver.TestOwnThings.test_refused",
    ),
    rule(
        "engines 5f",
        "psycopg is told of the virtual connection's transaction, not of the real one's.",
        body(f"{PSYCOPG}.private:asks_for_beliefs", "return False"),
        psycopg="psycopg_driver.TestAttributes.test_state",
    ),
    # -- cursors
    rule(
        "engines 6a",
        "Cursors are of the class that was asked for.",
        swap(f"{PSYCOPG2}.real:CursorMaker.cursor", "guarded(factory,", "guarded(Cursor,"),
        body(
            f"{PSYCOPG}.cursors:_guarded",
            "return type('Cursor', (GuardedCursor, psycopg.Cursor), {'__slots__': ()})",
        ),
        psycopg="psycopg_driver.TestCursors.test_factories",
        psycopg2="psycopg2_driver.TestCursors.test_factories",
    ),
    rule(
        "engines 6b",
        "execute() asks the sandbox first.",
        body(f"{PSYCOPG2}.cursors:GuardedCursor.execute", "return super().execute(query, vars)"),
        body(
            f"{PSYCOPG}.cursors:GuardedCursor.execute",
            "return super().execute(query, params, prepare=prepare, binary=binary)",
        ),
        postgresql="psycopg2_driver.TestTransactions.test_commit_and_rollback",
    ),
    rule(
        "engines 6c",
        "executemany() does.",
        body(
            f"{PSYCOPG2}.cursors:GuardedCursor.executemany",
            "return super().executemany(query, vars_list)",
        ),
        body(
            f"{PSYCOPG}.cursors:GuardedCursor.executemany",
            "return super().executemany(query, params_seq, returning=returning)",
        ),
        psycopg="psycopg_driver.TestCursors.test_executemany",
        psycopg2="psycopg2_driver.TestAutocommit.test_executemany",
    ),
    rule(
        "engines 6d",
        "callproc() does.",
        body(
            f"{PSYCOPG2}.cursors:GuardedCursor.callproc", "return super().callproc(procname, *args)"
        ),
        psycopg2="psycopg2_driver.TestCursors.test_callproc",
    ),
    rule(
        "engines 6e",
        "COPY does.",
        body(
            f"{PSYCOPG2}.cursors:GuardedCursor.copy_expert",
            "return super().copy_expert(sql, *args, **kwargs)",
        ),
        body(
            f"{PSYCOPG2}.cursors:GuardedCursor.copy_from",
            "return super().copy_from(file, table, *args, **kwargs)",
        ),
        body(
            f"{PSYCOPG}.cursors:GuardedCursor.copy",
            "return super().copy(statement, params, writer=writer)",
        ),
        psycopg="psycopg_driver.TestCopy.test_in",
        psycopg2="psycopg2_driver.TestCursors.test_batches_and_copy",
    ),
    rule(
        "engines 6f",
        "Fetching from a named cursor does.",
        body(f"{PSYCOPG2}.cursors:GuardedNamedCursor._fetch", "return call()"),
        psycopg2="psycopg2_driver.TestCursors.test_named",
    ),
    rule(
        "engines 6g",
        "What psycopg2.sql and register_… ask of a cursor's connection is answered.",
        swap(
            f"{PSYCOPG2}.cursors:GuardedCursor._text",
            "self.connection = self.virtual.real",
            "pass",
        ),
        psycopg2="psycopg2_driver.TestTextualControl.test_forms_of_a_query",
    ),
    rule(
        "engines 6h",
        "Rows that are streamed are fetched at once, for others use the connection as well.",
        body(
            f"{PSYCOPG}.cursors:GuardedCursor.stream",
            "return super().stream(query, params, binary=binary, size=size)",
        ),
        psycopg="psycopg_driver.TestCursors.test_stream_beside",
    ),
    rule(
        "engines 6i",
        "What the driver prepares for one connection has a name that no other uses.",
        body(f"{PSYCOPG}.prepared:Prepared._prepared_idx", "return vars(self).get('index', 0)"),
        body(f"{PSYCOPG}.prepared:Prepared._prepared_idx.setter", "vars(self)['index'] = number"),
        psycopg="psycopg_driver.TestPreparedStatements.test_of_each_connection",
    ),
    # -- letting go
    rule(
        "engines 7a",
        "An engine that was first contacted in a test is let go at the test's end.",
        swap(
            "mixins.sandbox:SandboxMixin._dbt_leave_test",
            "undo.append(functools.partial(fixture.let_go, mark))",
            "pass",
        ),
        each="mixins.TestSandboxMixin.test_engine_first_seen_in_a_test",
    ),
    rule(
        "engines 7b",
        "One that the class knows is not.",
        swap(f"{DOOR}.let_go", "undos = self.undos[mark:]", "undos = self.undos[:]"),
        each="engines.TestDoor.test_let_go",
    ),
]
