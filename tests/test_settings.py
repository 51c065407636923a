from __future__ import annotations

import doctest
import tempfile
import textwrap
import unittest
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

from sqlalchemy.engine import make_url

from dbtestcase import settings
from dbtestcase.errors import SettingsError, UnsafeDatabaseError
from dbtestcase.settings import Kind, Setting, choose, has_test_word, project_name


class SettingsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()

    def write(self, text: str) -> None:
        (self.directory / "setup.cfg").write_text(textwrap.dedent(text))

    def choose(
        self,
        declared: str | Mapping[str | None, str] | None = None,
        *,
        declared_by: str | None = None,
        bind: str | None = None,
        **environ: str,
    ) -> Setting:
        return choose(
            declared,
            declared_by=declared_by,
            bind=bind,
            directory=self.directory,
            environ=environ,
        )

    def assert_refused(
        self,
        message: str,
        declared: str | Mapping[str | None, str] | None = None,
        *,
        error: type[Exception] = SettingsError,
        declared_by: str | None = None,
        bind: str | None = None,
        **environ: str,
    ) -> None:
        with self.assertRaises(error) as caught:
            self.choose(declared, declared_by=declared_by, bind=bind, **environ)
        self.assertIs(type(caught.exception), error)
        self.assertEqual(str(caught.exception), message)


class TestChoose(SettingsTest):
    def test_order(self) -> None:
        """The environment comes before the profile, it before [dbtestcase], it before the class."""
        self.write("""
            [dbtestcase]
            database = postgresql://section
            [dbtestcase:ci]
            database = postgresql://profile
            [dbtestcase:empty]
        """)
        declared = "postgresql://attribute"
        variable = {"DBTESTCASE_DATABASE": "postgresql://variable"}
        for environ, host, origin in [
            (
                {**variable, "DBTESTCASE_PROFILE": "ci"},
                "variable",
                "environment variable DBTESTCASE_DATABASE",
            ),
            ({"DBTESTCASE_PROFILE": "ci"}, "profile", 'profile "ci" in setup.cfg'),
            ({"DBTESTCASE_PROFILE": "empty"}, "section", "[dbtestcase] in setup.cfg"),
            ({}, "section", "[dbtestcase] in setup.cfg"),
        ]:
            with self.subTest(origin=origin):
                setting = self.choose(declared, declared_by="SignupTest", **environ)
                self.assertEqual((setting.url.host, setting.origin), (host, origin))
        self.write("")
        setting = self.choose(declared, declared_by="SignupTest")
        self.assertEqual(
            (setting.url.host, setting.origin), ("attribute", "database of SignupTest")
        )

    def test_empty_variables(self) -> None:
        """A variable that is set to nothing counts as not set."""
        setting = self.choose("sqlite", DBTESTCASE_DATABASE="", DBTESTCASE_PROFILE="")
        self.assertEqual(setting.origin, "database")

    def test_process_environment(self) -> None:
        """Without other arguments the process's own environment and directory count."""
        with mock.patch.dict("os.environ", DBTESTCASE_DATABASE="sqlite"):
            self.assertIs(choose().kind, Kind.MEMORY)

    def test_kinds(self) -> None:
        """Each way to write a database means one kind, and the URL names its driver."""
        for value, kind, url in [
            ("postgresql", Kind.EMBEDDED, "postgresql+psycopg2://"),
            ("postgresql+psycopg2", Kind.EMBEDDED, "postgresql+psycopg2://"),
            ("postgresql+psycopg", Kind.EMBEDDED, "postgresql+psycopg://"),
            ("sqlite", Kind.MEMORY, "sqlite+pysqlite://"),
            ("sqlite://", Kind.MEMORY, "sqlite+pysqlite://"),
            ("sqlite:///:memory:", Kind.MEMORY, "sqlite+pysqlite://"),
            ("sqlite:///file:x?mode=memory&uri=true", Kind.MEMORY, "sqlite+pysqlite://"),
            ("postgresql://u@h:1", Kind.SERVER, "postgresql+psycopg2://u@h:1"),
            ("postgresql://u@h/", Kind.SERVER, "postgresql+psycopg2://u@h"),
            ("postgresql://", Kind.SERVER, "postgresql+psycopg2://"),
            ("postgresql+psycopg://h?x=1", Kind.SERVER, "postgresql+psycopg://h?x=1"),
            ("postgresql://h/my_test", Kind.DATABASE, "postgresql+psycopg2://h/my_test"),
            ("sqlite:////tmp/test.db", Kind.FILE, "sqlite+pysqlite:////tmp/test.db"),
            (
                "sqlite:///data/shop-test.db",
                Kind.FILE,
                f"sqlite+pysqlite:///{self.directory}/data/shop-test.db",
            ),
            (
                "sqlite:///file:test.db?mode=ro&uri=true",
                Kind.FILE,
                f"sqlite+pysqlite:///file:{self.directory}/test.db?mode=ro&uri=true",
            ),
        ]:
            with self.subTest(value=value):
                setting = self.choose(value)
                self.assertEqual((setting.kind, setting.url), (kind, make_url(url)))

    def test_default(self) -> None:
        """With nothing set it is the embedded server, where that is installed."""
        with mock.patch.object(settings, "find_spec", return_value=object()):
            setting = self.choose()
        self.assertEqual(setting.kind, Kind.EMBEDDED)
        self.assertEqual(setting.origin, "default: the embedded extra is installed")

    def test_nothing_chosen(self) -> None:
        """With nothing set and nothing installed the error lists the three ways on."""
        with mock.patch.object(settings, "find_spec", return_value=None):
            self.assert_refused(
                "no database is chosen for the tests. There are three ways on:\n"
                '  pip install "dbtestcase[embedded]"           a private PostgreSQL that the '
                "tests start themselves\n"
                "  DBTESTCASE_DATABASE=sqlite                   SQLite in memory\n"
                "  DBTESTCASE_DATABASE=postgresql://user@host   databases of the tests' own on "
                "that server\n"
                'Instead of the environment variable, "database" in the section [dbtestcase] of '
                'setup.cfg or the class attribute "database" may say so.'
            )

    def test_at_sign_in_a_password(self) -> None:
        """A password that is not encoded is refused, and no part of it is shown."""
        self.assert_refused(
            "cannot read the URL of environment variable DBTESTCASE_DATABASE: it has more than "
            "one @, so a part of the password would be taken for the host. Write the @ in the "
            "password as %40.",
            DBTESTCASE_DATABASE="postgresql://u:p@ss@h/x_test",
        )

    def test_unknown_scheme(self) -> None:
        """A scheme that is not known is refused, with the nearest that is."""
        self.assert_refused(
            'unknown database "postgres://u:***@h" (environment variable DBTESTCASE_DATABASE): it '
            'must be "postgresql" (the embedded server), "sqlite" (in '
            'memory), or a URL that begins with one of them. Did you mean "postgresql"?',
            DBTESTCASE_DATABASE="postgres://u:secret@h",
        )
        self.assert_refused(
            'unknown database "oracle" (database of SignupTest): it must be "postgresql" '
            '(the embedded server), "sqlite" (in memory), or a URL that '
            "begins with one of them.",
            "oracle",
            declared_by="SignupTest",
        )

    def test_unknown_driver(self) -> None:
        """A driver that no sandbox knows is refused, with those that there are."""
        rest = (
            "is none of those that tests run on: postgresql+psycopg2 (or postgresql), "
            "postgresql+psycopg (psycopg 3) and sqlite+pysqlite (or sqlite). No async driver is "
            "among them. Write one of these."
        )
        for value, message in [
            (
                "postgresql+asyncpg://u:secret@h/test",
                f'the driver "asyncpg" in "postgresql+asyncpg://u:***@h/test" (database of '
                f"SignupTest) {rest}",
            ),
            (
                "sqlite+aiosqlite://",
                f'the driver "aiosqlite" in "sqlite+aiosqlite://" (database of SignupTest) {rest}',
            ),
            (
                "postgresql+psycopg3",
                'the driver "psycopg3" in "postgresql+psycopg3" (database of SignupTest) '
                f'{rest} Did you mean "postgresql+psycopg"?',
            ),
        ]:
            with self.subTest(value=value):
                self.assert_refused(message, value, declared_by="SignupTest")

    def test_unknown_variable(self) -> None:
        """A misspelt variable would silently choose nothing, so it is refused."""
        read = (
            "only DBTESTCASE_DATABASE, DBTESTCASE_DATABASE_BIND, DBTESTCASE_PROFILE and "
            "DBTESTCASE_CACHE_DIR are read. Rename or remove it."
        )
        for name, guess in [
            ("DBTESTCASE_DATBASE", ' Did you mean "DBTESTCASE_DATABASE"?'),
            ("DBTESTCASE_DATABASES", ' Did you mean "DBTESTCASE_DATABASE"?'),
            ("DBTESTCASE_PROFIL", ' Did you mean "DBTESTCASE_PROFILE"?'),
            ("DBTESTCASE_CACHEDIR", ' Did you mean "DBTESTCASE_CACHE_DIR"?'),
            ("DBTESTCASE_X", ""),
        ]:
            with self.subTest(name=name):
                self.assert_refused(
                    f"unknown environment variable {name}: {read}{guess}",
                    "sqlite",
                    **{name: "sqlite", "DBTESTCASE_DATABASE": "sqlite"},
                )

    def test_known_variables(self) -> None:
        """Variables of binds, those that setup.cfg names, empty and foreign ones are no errors."""
        self.write("""
            [dbtestcase]
            database = sqlite
            [dbtestcase:ci]
            database = postgresql://u:${DBTESTCASE_PASSWORD}@h
        """)
        setting = self.choose(
            DBTESTCASE_DATABASE_AUDIT="sqlite",
            DBTESTCASE_CACHE_DIR="/tmp",
            DBTESTCASE_PASSWORD="secret",
            DBTESTCASE_DATBASE=" ",
            MY_DBTESTCASE_DATBASE="sqlite",
        )
        self.assertEqual(setting.origin, "[dbtestcase] in setup.cfg")

    def test_unreadable_url(self) -> None:
        """A URL that cannot be read is refused without showing its password."""
        self.assert_refused(
            'cannot read the URL "postgresql://u:***@h:port/test" (database of SignupTest). Write '
            "it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE or sqlite:///FILE, with special "
            "characters in a password percent-encoded.",
            "postgresql://u:sec/r@t@h:port/test",
            declared_by="SignupTest",
        )

    def test_unknown_profile(self) -> None:
        """A profile that is not there is refused, with those that are."""
        setup_cfg = self.directory / "setup.cfg"
        self.assert_refused(
            f'DBTESTCASE_PROFILE names the profile "cii", but there is no {setup_cfg}. Add the '
            "section [dbtestcase:cii] there.",
            "sqlite",
            DBTESTCASE_PROFILE="cii",
        )
        self.write("[dbtestcase]")
        self.assert_refused(
            f'DBTESTCASE_PROFILE names the profile "cii", but {setup_cfg} has no profiles. Add the '
            "section [dbtestcase:cii] there.",
            "sqlite",
            DBTESTCASE_PROFILE="cii",
        )
        self.write("""
            [dbtestcase:nightly]
            [dbtestcase:ci]
        """)
        self.assert_refused(
            f'DBTESTCASE_PROFILE names the profile "cii", but {setup_cfg} has only "ci", '
            '"nightly". Did you mean "ci"?',
            "sqlite",
            DBTESTCASE_PROFILE="cii",
        )

    def test_unknown_option(self) -> None:
        """A misspelt option is refused: it would silently choose nothing."""
        self.write("""
            [dbtestcase]
            databse = sqlite
        """)
        self.assert_refused(
            'unknown option "databse" in [dbtestcase] in setup.cfg: only "database" and '
            '"database_BIND" are read there. Rename or remove it.'
        )

    def test_broken_setup_cfg(self) -> None:
        """A setup.cfg that cannot be read is refused with its line."""
        self.write("database = sqlite")
        path = self.directory / "setup.cfg"
        self.assert_refused(
            f"cannot read {path}: File contains no section headers. file: {str(path)!r}, line: 1 "
            "'database = sqlite'. Correct that line."
        )

    def test_variables_in_setup_cfg(self) -> None:
        """A variable in a value is replaced; other percent signs and dollars stay."""
        self.write("""
            [dbtestcase]
            database = postgresql://u:${PW}%24$@h
            [unrelated]
            format = %(asctime)s
        """)
        self.assertEqual(self.choose(PW="a").url.password, "a$$")
        self.assert_refused(
            '"database" of [dbtestcase] in setup.cfg needs the environment variable PW, which is '
            "not set. Set it, or write its value in place of ${PW}."
        )

    def test_bind(self) -> None:
        """A bind has its own setting, from the first place that names one."""
        self.write("""
            [dbtestcase]
            database_audit = postgresql://section
        """)
        declared = {None: "sqlite", "audit": "postgresql://attribute"}
        setting = self.choose(declared, bind="audit", DBTESTCASE_DATABASE_AUDIT="sqlite")
        self.assertEqual(setting.origin, "environment variable DBTESTCASE_DATABASE_AUDIT")
        setting = self.choose(declared, bind="audit", DBTESTCASE_DATABASE="sqlite")
        self.assertEqual(setting.origin, "[dbtestcase] in setup.cfg")
        self.write("")
        setting = self.choose(declared, declared_by="SignupTest", bind="audit")
        self.assertEqual(setting.origin, "database['audit'] of SignupTest")
        self.assertEqual(self.choose(declared).kind, Kind.MEMORY)

    def test_bind_without_its_own(self) -> None:
        """A bind without a setting follows the default one's, which is for any number of them."""
        setting = self.choose("postgresql://h", declared_by="SignupTest", bind="audit")
        self.assertEqual((setting.url.host, setting.origin), ("h", "database of SignupTest"))
        self.write("""
            [dbtestcase:ci]
            database = sqlite
        """)
        setting = self.choose(bind="audit", DBTESTCASE_PROFILE="ci")
        self.assertEqual(setting.origin, 'profile "ci" in setup.cfg')

    def test_bind_without_its_own_database(self) -> None:
        """A bind cannot follow a setting that names exactly one database."""
        self.assert_refused(
            'bind "au-dit" has no database of its own: postgresql+psycopg2://u:***@h/test is '
            "exactly one database, for the default bind (database of SignupTest). Name another "
            "one for this bind, as DBTESTCASE_DATABASE_AU_DIT in the environment, as "
            '"database_au-dit" in setup.cfg, or as database = {None: ..., "au-dit": ...} on the '
            "class.",
            "postgresql://u:secret@h/test",
            declared_by="SignupTest",
            bind="au-dit",
        )

    def test_unsafe_database(self) -> None:
        """A database whose name lacks the word is refused, and its password is not shown."""
        self.assert_refused(
            'refusing to run tests in database "shop" on db.example (environment variable '
            'DBTESTCASE_DATABASE): its name does not contain the word "test". Name a test database '
            "in that setting.",
            error=UnsafeDatabaseError,
            DBTESTCASE_DATABASE="postgresql://u:secret@db.example/shop",
        )

    def test_unsafe_file(self) -> None:
        """Of a file the name counts, not the directories above."""
        self.assert_refused(
            f'refusing to run tests in database file "{self.directory}/test/shop.db" (database of '
            'SignupTest): its name does not contain the word "test". Name a test database in that '
            "setting.",
            "sqlite:///test/shop.db",
            declared_by="SignupTest",
            error=UnsafeDatabaseError,
        )

    def test_database_in_query(self) -> None:
        """A database that hides in the query would get round the check of its name."""
        for key in ("dbname", "dsn", "service"):
            with self.subTest(key=key):
                self.assert_refused(
                    f"the URL postgresql+psycopg2://u:***@h/test?{key}=shop (database) has "
                    f'"{key}" in its query, which may lead to any database. Name the database in '
                    "the URL's path.",
                    f"postgresql://u:secret@h/test?{key}=shop",
                )

    def test_password_is_hidden(self) -> None:
        """A setting that is printed shows no password."""
        setting = self.choose("postgresql://u:secret@h/test")
        self.assertEqual(str(setting), "postgresql+psycopg2://u:***@h/test")
        self.assertNotIn("secret", repr(setting))


class TestHasTestWord(unittest.TestCase):
    def test_words(self) -> None:
        """The word stands alone, between anything but letters and digits, in any case."""
        for name in ("test", "SHOP_TEST", "my-test-db", "Test.1", "shop test"):
            self.assertTrue(has_test_word(name), name)
        for name in ("contest", "latest", "tests", "test1", "shop", "", "attestätest", "testé"):
            self.assertFalse(has_test_word(name), name)


class TestProjectName(SettingsTest):
    def test_metadata(self) -> None:
        """The name in setup.cfg counts, reduced to letters and digits."""
        self.write("""
            [metadata]
            name = My-Shop "2"
        """)
        self.assertEqual(project_name(self.directory), "my_shop_2")

    def test_long_name(self) -> None:
        """It is short enough for the name of a database."""
        self.write(f"""
            [metadata]
            name = {"x" * 19}-y
        """)
        self.assertEqual(project_name(self.directory), "x" * 19)

    def test_directory(self) -> None:
        """Without a name in setup.cfg it is the directory's."""
        directory = self.directory / "Some Shop"
        directory.mkdir()
        self.assertEqual(project_name(directory), "some_shop")

    def test_nothing_usable(self) -> None:
        """There is always a name."""
        self.assertEqual(project_name("/"), "project")


def load_tests(
    loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None
) -> unittest.TestSuite:
    """Run the examples in the docstrings, too."""
    tests.addTests(doctest.DocTestSuite(settings))
    return tests
