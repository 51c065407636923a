"""What the library costs, measured beside what else there is.

::

    python -m examples.performance              all below, with the limits that must hold
    python -m examples.performance --quick      fewer rounds
    python -m examples.performance.cold_start   what the first test waits for
    python -m examples.performance.sequences    what putting sequences back costs
    python -m examples.performance.migrations   what 200 migrations cost a suite

.. code-block:: text

    workload            the app and the tables that all contenders use
    contenders          the same three tests, isolated in one way or another
    django_contender    the same with Django's TestCase
    batches             runs tests through unittest, times each, on one CPU or on all
    comparison          which batches are run, and in what order
    long_runs           many commits in a test, many tests in a process
    limits              the table, what must hold of it, and the verdict
"""
