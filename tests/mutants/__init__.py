"""What the sandbox is held to, rule by rule, and the proof that each rule is tested.

``python -m tests.mutants`` takes the rules out one by one, runs the few tests that must notice,
and names the first that fails for each. A rule that can be taken out unnoticed is an error, and
so is a test that fails with all rules in place.

.. code-block:: text

    edits       taking a rule out: another source for a definition, while a process imports it
    rules       what a rule is: its words, how it is taken out, and the tests that notice, by driver
    engines     the rules by which an engine gets into the sandbox
    stack       those of the stack of segments, which know no driver
    statements  those of a statement: savepoints, errors, endings, settings, isolation
    sessions    those of what belongs to a session, of threads, processes and work beside others
    tests       those of a test's life: between tests, escape, sequences, the order of rows
    sqlite      those that only SQLite has
    running     one process for each rule and driver
"""
