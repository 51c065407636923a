"""A model check of the sandbox: random histories, on real connections and in sandboxes.

``python -m tests.histories --count 20000 --seed 1`` draws histories, plays each on real
connections and in a sandbox, and compares rows, error codes and the final content. Where they
differ and the sandbox did not say so, the history is made as short as it can be, and printed.

``steps`` says what a history is, ``postgresql`` and ``sqlite`` what can be done in one,
``drawing`` which are drawn; ``actors`` are who takes part, ``stages`` and ``sqlite_stages`` where
they play; ``check`` compares, ``needed`` judges conflicts, ``run`` counts, ``shrinking`` shortens.
``threads`` plays several actors at once, and ``prototype`` gives figures to compare with.
"""
