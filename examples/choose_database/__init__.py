"""The database is a matter of configuration, and the engine a matter of nobody's.

Two questions in one. *Which database do the tests run on?* In memory while developing, on
PostgreSQL before a merge, and no test says so. *Where does the engine live?* "There will be as
many Database objects as my models", if each model makes its own.

Here the models take the session that they are given. The tests get it from ``DatabaseTestCase``,
which keeps one engine for each URL, however many classes and modules ask, and closes it.

From this folder, whose `setup.cfg` holds the choices, the same tests run

* in memory, as ``[dbtestcase]`` says::

    python -m unittest discover -t ../..

* on PostgreSQL, with the profile of the CI job::

    DBTESTCASE_PROFILE=ci python -m unittest discover -t ../..

* on whatever the environment names, which goes before all files::

    DBTESTCASE_DATABASE=sqlite python -m unittest discover -t ../..

From the top of the checkout, where no file chooses, they run on the embedded PostgreSQL. To see
which database is used and why, ask ``python -m dbtestcase info``.
"""
