"""Takes a rule out of each Python process that begins with this directory on its path."""

import os
import sys
from pathlib import Path

if name := os.environ.get("WITHOUT_RULE_OF_DBTESTCASE"):
    root = str(Path(__file__).parents[3])
    sys.path.insert(0, root)
    try:
        from tests.mutants.edits import install
        from tests.mutants.table import RULES
    finally:
        sys.path.remove(root)
    install(edit for rule in RULES if rule.name == name for edit in rule.edits)
