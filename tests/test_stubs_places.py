"""A function is replaced wherever it is held, put back everywhere, and nothing lazy is woken."""

from __future__ import annotations

import collections
import functools
import gc
import importlib.util
import re
import subprocess
import sys
import tempfile
import textwrap
import types
import unittest
from pathlib import Path
from typing import Any, get_type_hints
from unittest import mock

import psycopg2
import psycopg2.extensions
import snowflake.connector
from werkzeug.local import LocalProxy

from dbtestcase import ConnectionStubMixin, stub_connection
from dbtestcase.stubs.connections import StubConnection
from dbtestcase.stubs.patching.connecting import StubbedConnect
from dbtestcase.stubs.patching.holders import Swap

ROOT = Path(__file__).parents[1]


class PlacesTest(ConnectionStubMixin, unittest.TestCase):
    """Tests with modules of their own, which are gone afterwards."""

    def module(self, name: str, text: str = "", **names: Any) -> types.ModuleType:
        """Make a module and import it."""
        module = types.ModuleType(name)
        module.__dict__.update(names)
        sys.modules[name] = module
        self.addCleanup(sys.modules.pop, name, None)
        # not as if the future features of this module were that one's
        exec(compile(textwrap.dedent(text), name, "exec", dont_inherit=True), module.__dict__)
        return module

    def driver(self, **names: Any) -> Any:
        """Make a driver with a function that connects to nothing."""
        text = "def connect(*args, **kwargs):\n    return ('real', args, kwargs)\n"
        return self.module("driver_of_tests", text, **names)

    def assertStubbed(self, connection: Any) -> None:
        """Fail for what the real driver gives."""
        self.assertIsInstance(connection, StubConnection)


class TestImportStyles(PlacesTest):
    """Each way in which a program has the function."""

    def test_each_way(self) -> None:
        """Modules, aliases, defaults, attributes, closures, partials and containers."""
        driver = self.driver()
        real = driver.connect
        shop = self.module(
            "shop_of_tests",
            """
            import functools
            import driver_of_tests
            import driver_of_tests as other_name
            from driver_of_tests import connect
            from driver_of_tests import connect as alias

            def default(connect=connect):
                return connect()

            def keyword(*, connect=connect):
                return connect()

            class Api:
                connect = staticmethod(connect)

                def __init__(self, connect=connect):
                    self._connect = connect

                def go(self):
                    return self._connect()

                class Inner:
                    attribute = [None]

            class WithAttribute:
                pass

            class Callable:
                def __init__(self):
                    pass

            def around(function):
                @functools.wraps(function)
                def wrapper(*args):
                    return function(*args)
                return wrapper

            wrapped = around(connect)
            partial = functools.partial(connect, account="a")
            as_argument = functools.partial(around, connect)
            api = Api()
            drivers = {"snowflake": connect}
            listed = [None, connect]
            """,
        )
        ways = {
            "import m": lambda: shop.driver_of_tests.connect(),
            "import m as n": lambda: shop.other_name.connect(),
            "from m import f": lambda: shop.connect(),
            "from m import f as g": lambda: shop.alias(),
            "default argument": lambda: shop.default(),
            "keyword default": lambda: shop.keyword(),
            "default of a method": lambda: shop.Api().go(),
            "static method": lambda: shop.Api.connect(),
            "attribute of an object": lambda: shop.api.go(),
            "closure": lambda: shop.wrapped(),
            "partial": lambda: shop.partial(),
            "argument of a partial": lambda: shop.as_argument()(),
            "dictionary": lambda: shop.drivers["snowflake"](),
            "list": lambda: shop.listed[1](),
        }
        # what is written down here is a place, too
        del driver
        for name, way in ways.items():
            with self.subTest(name, when="before"):
                self.assertEqual(way()[0], "real")
        stub = stub_connection("driver_of_tests.connect").start()
        for name, way in ways.items():
            with self.subTest(name):
                self.assertStubbed(way())
        self.assertEqual(stub.connect.call_count, len(ways))
        stub.stop()
        for name, way in ways.items():
            with self.subTest(name, when="after"):
                self.assertEqual(way()[0], "real")
        self.assertEqual(shop.wrapped.__name__, "connect")
        self.assertIs(shop.wrapped.__wrapped__, sys.modules["driver_of_tests"].connect)
        self.assertEqual(real()[0], "real")

    def test_other_holders(self) -> None:
        """Slots, containers in containers, and what C has wrapped around the function."""
        self.driver()
        shop = self.module(
            "shop_of_tests",
            """
            import collections, dataclasses, functools, types
            from driver_of_tests import connect

            class Slots:
                __slots__ = ("connect",)
                def __init__(self):
                    self.connect = connect

            @dataclasses.dataclass(slots=True, frozen=True)
            class Data:
                connect: object = connect

            class Registry:
                drivers = {"snowflake": connect}
                listed = [("snowflake", connect)]

            class Base:
                pass

            class Derived(Base):
                go = connect

            class Config(dict):
                pass

            Named = collections.namedtuple("Named", "name connect")
            slots, data, named = Slots(), Data(), Named("snowflake", connect)
            tuples = (("snowflake", connect),)
            deep = {"drivers": [{"connect": connect}]}
            ordered = collections.OrderedDict(connect=connect)
            default = collections.defaultdict(list, connect=connect)
            config = Config(connect=connect)
            queue = collections.deque([connect])
            a_set, frozen = {connect}, frozenset([connect])
            proxy = types.MappingProxyType({"connect": connect})
            space = types.SimpleNamespace(connect=connect)
            api = Base()
            api.options = {"connect": connect}
            bound = types.MethodType(connect, "self")
            dispatch = functools.singledispatch(connect)

            class Own:
                get = property(connect)

            def listed(drivers=[connect], *, more={"connect": connect}):
                return drivers[0], more["connect"]
            """,
        )
        held = {
            "slot": lambda: shop.slots.connect,
            "slot of a dataclass": lambda: shop.data.connect,
            "new object of a dataclass": lambda: shop.Data().connect,
            "dictionary of a class": lambda: shop.Registry.drivers["snowflake"],
            "tuple in a list of a class": lambda: shop.Registry.listed[0][1],
            "class with a base": lambda: shop.Derived.go,
            "named tuple": lambda: shop.named.connect,
            "tuple": lambda: shop.tuples[0][1],
            "nested": lambda: shop.deep["drivers"][0]["connect"],
            "ordered": lambda: shop.ordered["connect"],
            "default": lambda: shop.default["connect"],
            "own dictionary": lambda: shop.config["connect"],
            "queue": lambda: shop.queue[0],
            "set": lambda: next(iter(shop.a_set)),
            "frozen set": lambda: next(iter(shop.frozen)),
            "proxy": lambda: shop.proxy["connect"],
            "namespace": lambda: shop.space.connect,
            "dictionary of an object": lambda: shop.api.options["connect"],
            "list as a default": lambda: shop.listed()[0],
            "dictionary as a default": lambda: shop.listed()[1],
            "method": lambda: shop.bound.__func__,
            "property": lambda: vars(shop.Own)["get"].fget,
            "dispatch": lambda: shop.dispatch.dispatch(int),
        }
        before = {name: get() for name, get in held.items()}
        with stub_connection("driver_of_tests.connect", strict=False) as stub:
            for name, get in held.items():
                with self.subTest(name):
                    self.assertIs(get(), stub.connect)
        for name, get in held.items():
            with self.subTest(name, when="after"):
                self.assertIs(get(), before[name])
        self.assertEqual(type(shop.named).__name__, "Named")

    def test_class_attribute(self) -> None:
        """A function that is a class attribute becomes a method, before and now."""
        driver = self.driver()
        shop = self.module(
            "shop_of_tests",
            """
            from driver_of_tests import connect

            class Api:
                connect = connect
            """,
        )
        with stub_connection("driver_of_tests.connect", strict=False) as stub:
            self.assertStubbed(shop.Api.connect(1))
            api = shop.Api()
            self.assertStubbed(api.connect(1))
            self.assertEqual(stub.connect.call_args.args, (api, 1))
        self.assertEqual(shop.Api().connect(1)[1][1:], (1,))
        self.assertIs(vars(shop.Api)["connect"], driver.connect)

    def test_imported_later(self) -> None:
        """Modules that are imported meanwhile have the stub, and the real one afterwards."""
        driver = self.driver()
        with stub_connection("driver_of_tests.connect") as stub:
            late = self.module(
                "late_of_tests",
                """
                from driver_of_tests import connect
                def default(connect=connect):
                    return connect()
                class Api:
                    connect = connect
                api = Api()
                api.kept = connect
                """,
            )
            self.assertStubbed(late.connect())
            self.assertStubbed(late.default())
            self.assertIs(late.api.kept, stub.connect)
        self.assertIs(late.connect, driver.connect)
        self.assertIs(late.default.__defaults__[0], driver.connect)
        self.assertIs(vars(late.Api)["connect"], driver.connect)
        self.assertIs(late.api.kept, driver.connect)

    def test_a_test_keeps_its_own(self) -> None:
        """What a test has put away on itself is left to it."""
        self.real = self.driver().connect
        with stub_connection("driver_of_tests.connect"):
            self.assertEqual(self.real()[0], "real")

    def test_a_test_has_several(self) -> None:
        """So is what a test has in a variable: a list that it goes through, for example."""
        driver = self.driver()
        listed = [driver.connect, driver.connect]
        for each in listed:
            with stub_connection("driver_of_tests.connect") as stub:
                self.assertEqual([one is stub.connect for one in listed], [False, False])
                self.assertEqual(each()[0], "real")

    def test_crossed_with_a_patch(self) -> None:
        """A ``mock.patch()`` that began within the stub and ends after it leaves the function."""
        driver = self.driver()
        real = (driver.connect,)
        patch = mock.patch("driver_of_tests.connect")
        with stub_connection("driver_of_tests.connect"):
            patch.start()
        patch.stop()
        self.assertIs(driver.connect, real[0])
        patch.start()
        with stub_connection("driver_of_tests.connect"):
            pass
        patch.stop()
        self.assertIs(driver.connect, real[0])

    def test_class(self) -> None:
        """A class that is called directly is replaced; its own methods still know it."""
        shop = self.module(
            "shop_of_tests", "from snowflake.connector import SnowflakeConnection as Connection"
        )
        real = (snowflake.connector.SnowflakeConnection,)
        with stub_connection("snowflake.connector.SnowflakeConnection") as stub:
            connection = shop.Connection(account="a", user="u")
            self.assertStubbed(connection)
            # connect() is another function, which makes one
            self.assertStubbed(snowflake.connector.connect(account="a"))
            stub.connect.assert_any_call(account="a", user="u")
            self.assertTrue(isinstance(connection, shop.Connection))
            self.assertFalse(isinstance(3, shop.Connection))
            self.assertFalse(issubclass(int, shop.Connection))

            class Own(shop.Connection):  # type: ignore[name-defined,misc]
                pass

            self.assertTrue(issubclass(Own, real[0]))
            self.assertTrue(issubclass(Own, shop.Connection))
        self.assertIs(shop.Connection, real[0])
        self.assertIs(snowflake.connector.connection.Connection, real[0])

    def test_class_that_calls_super(self) -> None:
        """The methods of a class know it by a cell, which is left alone."""
        driver = self.module(
            "driver_of_tests",
            """
            class Base:
                def __init__(self):
                    self.made = True
            class Connection(Base):
                def __init__(self):
                    super().__init__()
            """,
        )
        real = (driver.Connection,)
        with stub_connection("driver_of_tests.Connection"):
            self.assertTrue(real[0]().made)
            self.assertStubbed(driver.Connection())

    def test_static_type_of_c(self) -> None:
        """What the garbage collector does not track is found all the same."""
        shop = self.module(
            "shop_of_tests",
            """
            from psycopg2.extensions import connection
            def default(make=connection, *, also=connection):
                return make, also
            class Api:
                make = connection
            """,
        )
        real = (psycopg2.extensions.connection,)
        with stub_connection("psycopg2.extensions.connection", style="psycopg2") as stub:
            self.assertIs(shop.connection, stub.connect)
            self.assertEqual(shop.default(), (stub.connect, stub.connect))
            self.assertIs(shop.Api.make, stub.connect)
        self.assertIs(shop.connection, real[0])
        self.assertEqual(shop.default(), (real[0], real[0]))

    def test_frozen_objects(self) -> None:
        """What ``gc.freeze()`` has put out of sight is found all the same."""
        script = """
            import gc, sqlite3, sys
            import _sqlite3
            def default(connect=sqlite3.connect):
                return connect
            class Api:
                connect = sqlite3.connect
            from dbtestcase import stub_connection
            gc.collect()
            gc.freeze()
            with stub_connection("sqlite3.connect") as stub:
                print([each is stub.connect for each in (
                    sqlite3.connect, _sqlite3.connect, default(), Api.connect)])
            print([each is stub.connect.original for each in (
                sqlite3.connect, _sqlite3.connect, default(), Api.connect)])
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        self.assertEqual((done.stdout, done.stderr), (f"{[True] * 4}\n{[True] * 4}\n", ""))

    def test_cached(self) -> None:
        """A cache has another one in its place, which is empty, and is itself afterwards."""
        driver = self.driver()
        shop = self.module(
            "shop_of_tests",
            """
            import functools
            from driver_of_tests import connect

            cached = functools.cache(connect)
            limited = functools.lru_cache(maxsize=2, typed=True)(connect)

            class Api:
                cached = staticmethod(cached)

            @functools.lru_cache
            def own():
                return connect()
            """,
        )
        cached, answer = shop.cached, shop.cached(account="a")
        with stub_connection("driver_of_tests.connect"):
            self.assertStubbed(shop.cached(account="a"))
            self.assertIs(shop.cached(account="a"), shop.cached(account="a"))
            self.assertIs(shop.Api.cached, shop.cached)
            self.assertStubbed(shop.limited())
            self.assertEqual(shop.limited.cache_parameters(), {"maxsize": 2, "typed": True})
            late = self.module("late_of_tests", "import driver_of_tests, functools")
            exec("cached = functools.cache(driver_of_tests.connect)", vars(late))
            self.assertStubbed(late.cached())
        self.assertIs(shop.cached, cached)
        self.assertIs(shop.Api.cached, cached)
        self.assertIs(shop.cached(account="a"), answer)
        self.assertEqual(late.cached()[0], "real")
        self.assertEqual(driver.connect()[0], "real")

    def test_interrupted(self) -> None:
        """Where Ctrl-C comes in the middle, all is put back before it goes on."""
        driver = self.driver()
        shop = self.module("shop_of_tests", "from driver_of_tests import connect as first, connect")
        real = (driver.connect,)
        in_module = Swap.in_module
        for when in ("start", "stop"):
            stub = stub_connection("driver_of_tests.connect")
            if when == "stop":
                stub.start()
                # nothing is looked for where nothing was imported
                self.module("late_of_tests", "from driver_of_tests import connect")
            count = iter(range(2))

            def interrupted(swap: Any, holder: Any, count: Any = count) -> None:
                in_module(swap, holder)
                if next(count, None) == 0:
                    raise KeyboardInterrupt

            with self.subTest(when):
                with (
                    mock.patch.object(Swap, "in_module", interrupted),
                    self.assertRaises(KeyboardInterrupt),
                ):
                    getattr(stub, when)()
                self.assertEqual([driver.connect, shop.first, shop.connect], [real[0]] * 3)

    def test_the_function_itself(self) -> None:
        """The target may be the function instead of its path."""
        with stub_connection(psycopg2.connect) as stub:
            self.assertEqual((stub.name, stub.style.name), ("psycopg2.connect", "psycopg2"))
            self.assertStubbed(psycopg2.connect("dbname=shop"))

    def test_bound_method_of_a_module(self) -> None:
        """psycopg 3 keeps a bound method as its connect()."""
        import psycopg

        real = (psycopg.connect,)
        with stub_connection("psycopg.connect") as stub:
            stub.on("select 1").raises(psycopg.OperationalError("gone"))
            cursor: Any = psycopg.connect("dbname=shop").cursor()
            self.assertRaises(psycopg.OperationalError, cursor.execute, "select 1")
            self.assertRaises(psycopg.ProgrammingError, cursor.fetchall)
        self.assertIs(psycopg.connect, real[0])

    def test_path_in_the_program(self) -> None:
        """The path may be that of the program; the style is that of the driver all the same."""
        self.module("shop_of_tests", "from psycopg2 import connect")
        with stub_connection("shop_of_tests.connect") as stub:
            self.assertEqual(stub.style.name, "psycopg2")
            self.assertIs(psycopg2.connect, stub.connect)

    def test_real_modules(self) -> None:
        """Every module that has the driver's function has it again."""
        before = {
            name: vars(module)["connect"]
            for name, module in sys.modules.items()
            if type(module) is types.ModuleType and "connect" in vars(module)
        }
        for target in ("sqlite3.connect", "psycopg2.connect", "snowflake.connector.connect"):
            with stub_connection(target):
                pass
        after = {name: vars(sys.modules[name])["connect"] for name in before}
        self.assertEqual(before, after)


class TestRemembered(PlacesTest):
    """What changed since the stub before is found as it is now."""

    TEXT = """
        from driver_of_tests import connect
        def default(connect=connect, *, also=connect):
            return connect, also
        class Api:
            go = connect
    """

    def setUp(self) -> None:
        self.driver()
        self.shop: Any = self.module("shop_of_tests", self.TEXT)
        self.play()

    def held(self) -> list[Any]:
        """Give the ``id()`` of what each place has now, as a test that has more is a place, too."""
        found = []
        for name in ("driver_of_tests", "shop_of_tests", "other_of_tests"):
            if module := sys.modules.get(name):
                found += [id(value) for name, value in vars(module).items() if name == "connect"]
                if hasattr(module, "default"):
                    found += [*map(id, module.default()), id(vars(module.Api)["go"])]
        return found

    def play(self) -> None:
        """Stub the function, and hold what the modules have then and afterwards."""
        before = self.held()
        with stub_connection("driver_of_tests.connect") as stub:
            self.assertEqual(set(self.held()), {id(stub.connect)})
        self.assertEqual(len(set(before)), 1)
        self.assertEqual(self.held(), before)

    def test_import_between(self) -> None:
        """A module that was imported between two stubs is found."""
        self.module("other_of_tests", self.TEXT)
        self.play()

    def test_one_for_another(self) -> None:
        """As many places as before may be others."""
        other = self.module("other_of_tests")
        other.connect = self.shop.connect  # type: ignore[attr-defined]
        del self.shop.connect
        self.play()

    def test_gone(self) -> None:
        """A module that is gone is no place any more, and another one may be."""
        del sys.modules["shop_of_tests"], self.shop
        gc.collect()
        self.module("other_of_tests", self.TEXT)
        self.play()

    def test_copied_function(self) -> None:
        """A copy of a function has the same tuple of defaults, which holds the function once."""
        default = self.shop.default
        copy = types.FunctionType(
            default.__code__, vars(self.shop), "copy", default.__defaults__, None
        )
        copy.__kwdefaults__ = {"also": None}
        with stub_connection("driver_of_tests.connect") as stub:
            self.assertEqual(copy(), (stub.connect, None))
        self.assertIsNot(copy()[0], stub.connect)

    def test_container_between(self) -> None:
        """A registry that was filled between two stubs is found."""
        self.shop.drivers = {"snowflake": [self.shop.connect]}
        with stub_connection("driver_of_tests.connect") as stub:
            self.assertIs(self.shop.drivers["snowflake"][0], stub.connect)
        self.assertIs(self.shop.drivers["snowflake"][0], self.shop.connect)

    def test_import_meanwhile(self) -> None:
        """A module that was imported while the function was stubbed is found at the end."""
        with stub_connection("driver_of_tests.connect"):
            other = self.module("other_of_tests", self.TEXT)
        self.assertIs(other.connect, self.shop.connect)  # type: ignore[attr-defined]

    def test_stub_in_a_stub(self) -> None:
        """Each has places of its own to put back."""
        for _ in range(2):
            before = self.held()
            with stub_connection("driver_of_tests.connect") as outer:
                with stub_connection("driver_of_tests.connect") as inner:
                    self.assertEqual(set(self.held()), {id(inner.connect)})
                self.assertEqual(set(self.held()), {id(outer.connect)})
            self.assertEqual(self.held(), before)


class TestNothingIsWoken(PlacesTest):
    """Looking for a function asks nothing of anything."""

    def test_objects_that_answer(self) -> None:
        """Proxies, modules with ``__getattr__`` and objects with ``==`` are not asked."""
        woken: list[str] = []

        def wake(*args: Any) -> Any:
            woken.append(str(args))
            raise AssertionError("woken")

        class Eq:
            __eq__ = __hash__ = __bool__ = __len__ = wake  # type: ignore[assignment]

            def __getattribute__(self, name: str) -> Any:
                return wake(name)

            __class__ = property(wake)  # type: ignore[assignment]
            __dict__ = property(wake)  # type: ignore[assignment]

        class LazyModule(types.ModuleType):
            def __getattribute__(self, name: str) -> Any:
                return wake(name)

        driver = self.driver()
        shop = self.module("shop_of_tests", connect=driver.connect, __getattr__=wake)
        shop.__dict__.update(
            proxy=LocalProxy(wake), eq=Eq(), listed=[Eq()], meta=type("M", (type,), {})
        )
        lazy = LazyModule("lazy_of_tests")
        types.ModuleType.__dict__["__dict__"].__get__(lazy)["connect"] = driver.connect
        for name, module in {
            "lazy_of_tests": lazy,
            "proxy_of_tests": LocalProxy(wake),
            "eq_of_tests": Eq(),
            "none_of_tests": None,
        }.items():
            sys.modules[name] = module  # type: ignore[assignment]
            self.addCleanup(sys.modules.pop, name)
        frozen = (driver.connect,)
        with stub_connection("driver_of_tests.connect") as stub:
            self.assertIs(shop.connect, stub.connect)
            held = types.ModuleType.__dict__["__dict__"].__get__(lazy)["connect"]
            self.assertTrue(held is stub.connect)
        self.assertIs(shop.connect, frozen[0])
        self.assertEqual(woken, [])

    def test_lazy_loader(self) -> None:
        """A module that ``importlib.util.LazyLoader`` has not loaded stays so."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "lazy_of_tests.py").write_text(
            "from driver_of_tests import connect\nLOADED.append(1)\n"
        )
        driver = self.driver()
        loaded: list[int] = []
        spec = importlib.util.spec_from_file_location("lazy_of_tests", folder / "lazy_of_tests.py")
        assert spec is not None
        assert spec.loader is not None
        spec.loader = importlib.util.LazyLoader(spec.loader)
        module = importlib.util.module_from_spec(spec)
        sys.modules["lazy_of_tests"] = module
        self.addCleanup(sys.modules.pop, "lazy_of_tests")
        spec.loader.exec_module(module)
        types.ModuleType.__dict__["__dict__"].__get__(module)["LOADED"] = loaded
        with stub_connection("driver_of_tests.connect"):
            self.assertEqual(loaded, [])
        self.assertEqual(loaded, [])
        with stub_connection("driver_of_tests.connect") as stub:
            self.assertIs(module.connect, stub.connect)
            self.assertEqual(loaded, [1])
        self.assertIs(module.connect, driver.connect)

    def test_annotations(self) -> None:
        """What tells of types goes on to do so, also where a class is stubbed that it names."""
        driver = self.module("driver_of_tests", "class Connection: pass")
        shop = self.module(
            "shop_of_tests",
            """
            from typing import Optional, Union
            from driver_of_tests import Connection

            either: Union[Connection, int] = 1

            def use(connection: Connection = None, *, other: Optional[Connection] = None):
                return connection

            class Api:
                connection: Connection
            """,
        )
        real = (driver.Connection,)
        with stub_connection("driver_of_tests.Connection") as stub:
            for _ in range(2):
                self.assertIs(shop.Connection, stub.connect)
                self.assertIs(get_type_hints(shop.use)["connection"], real[0])
                self.assertEqual(get_type_hints(shop.use)["other"], real[0] | None)
                self.assertIs(get_type_hints(shop.Api)["connection"], real[0])
                self.assertEqual(shop.__annotations__, {"either": real[0] | int})

    def test_own_containers(self) -> None:
        """Methods of a program's own containers are not called."""
        self.driver()
        shop = self.module(
            "shop_of_tests",
            """
            from collections import deque
            from driver_of_tests import connect

            def refuse(self, *args):
                raise AssertionError("woken")

            made = []
            for base in (list, dict, deque, tuple):
                names = ("__iter__", "__getitem__", "__setitem__", "items", "__len__", "__eq__")
                Own = type("Own", (base,), dict.fromkeys(names, refuse))
                made.append(Own({"connect": connect} if base is dict else [connect]))
            a_list, a_dict, a_queue, a_tuple = made
            del made
            """,
        )

        def held() -> list[Any]:
            return [
                *list.__iter__(shop.a_list),
                *dict.values(shop.a_dict),
                *collections.deque.__iter__(shop.a_queue),
                *tuple.__iter__(shop.a_tuple),
            ]

        with stub_connection("driver_of_tests.connect") as stub:
            self.assertEqual([each is stub.connect for each in held()], [True] * 4)
        self.assertEqual([each is shop.connect for each in held()], [True] * 4)


class TestStubbedConnect(PlacesTest):
    """What takes the function's place looks and is asked like it."""

    def test_arguments_of_the_driver(self) -> None:
        """What the driver's function would not accept is refused as by it."""
        with stub_connection("snowflake.connector.connect"):
            self.assertRaises(TypeError, snowflake.connector.connect, "account")
        with stub_connection("psycopg2.connect"):
            self.assertRaisesRegex(TypeError, "missing dsn and no parameters", psycopg2.connect)
            with self.assertRaisesRegex(psycopg2.ProgrammingError, 'invalid.*option "databse"'):
                psycopg2.connect(databse="shop")

    def test_positional_and_named(self) -> None:
        """The same argument by place and by name is the same call."""
        with stub_connection("psycopg2.connect") as stub:
            psycopg2.connect(dsn="dbname=shop")
            stub.connect.assert_called_once_with("dbname=shop")
            connection: Any = psycopg2.connect("dbname=shop", user="u")
            self.assertEqual(connection.dsn, "dbname=shop user=u")

    def test_looks_like_it(self) -> None:
        """Name, documentation and attributes are those of the function."""
        self.driver().connect.attribute = "of the function"
        with stub_connection("driver_of_tests.connect") as stub:
            self.assertIsInstance(stub.connect, StubbedConnect)
            self.assertEqual(stub.connect.__name__, "connect")
            self.assertEqual(stub.connect.attribute, "of the function")
            self.assertRaises(AttributeError, getattr, stub.connect, "nothing")
            self.assertEqual(repr(stub.connect), "<stub of driver_of_tests.connect>")
            self.assertEqual(functools.wraps(stub.connect)(lambda: None).__name__, "connect")

    def test_annotations(self) -> None:
        """A class that is stubbed may stand in a union, as annotations have it."""
        with stub_connection("snowflake.connector.SnowflakeConnection"):
            union = snowflake.connector.SnowflakeConnection | None
            other = None | snowflake.connector.SnowflakeConnection
        self.assertRegex(str(union), re.escape("Connection | None"))
        self.assertRegex(str(other), re.escape("Connection"))


if __name__ == "__main__":
    unittest.main()
