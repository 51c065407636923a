"""``python -m dbtestcase``: look at the databases of the tests, and tidy up.

.. code-block:: console

    $ python -m dbtestcase info     # which database would be used, and why
    $ python -m dbtestcase clean    # drop this project's test databases that nobody holds
    $ python -m dbtestcase serve    # run the embedded server until Ctrl-C, and print its URL

``setup.cfg`` is looked for in the working directory. What a class says in its attribute
``database`` is not known here.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

from . import databases, settings
from .errors import DatabaseTestError
from .settings import Kind


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    :param arguments: without the program's name; by default those of the command line.
    :returns: the exit status: 0, or 2 after an error, which was printed to standard error.
    """
    parser = argparse.ArgumentParser(
        prog="python -m dbtestcase", description="Look at the databases of the tests, and tidy up."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser("info", help="tell which database would be used, and why")
    command.add_argument("--bind", help="of this bind key, instead of the default one")
    command.set_defaults(run=info)
    command = commands.add_parser(
        "clean", help="drop this project's test databases that nobody holds"
    )
    command.add_argument("--all", action="store_true", help="drop its templates, too")
    command.set_defaults(run=clean)
    command = commands.add_parser("serve", help="run the embedded server until Ctrl-C")
    command.set_defaults(run=serve)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except DatabaseTestError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return 0


def info(options: argparse.Namespace) -> None:
    """Tell which database would be used, and why, and who uses which of ours."""
    setting = settings.choose(bind=options.bind)
    project = settings.project_name()
    print(f"database:   {setting} ({setting.kind.value})")
    print(f"chosen by:  {setting.origin}")
    print(f"project:    {project}", flush=True)
    print(f"server:     {databases.server_version(setting)}")
    listed = [each for each in databases.databases_on(setting) if each[1].project == project]
    for name, mark, holder in listed:
        if mark.state == "in use":
            state = f"in use{holder}" if holder else f"left behind by {mark.holder}"
        else:
            state = mark.state
        print(f"            {name}: {state}")


def clean(options: argparse.Namespace) -> None:
    """Drop this project's databases that nobody holds, and all that was left half-built."""
    setting = settings.choose()
    dropped = databases.clean(setting, templates_too=options.all)
    for name in dropped:
        print(f"dropped {name}")
    if not dropped and setting.kind not in (Kind.EMBEDDED, Kind.SERVER):
        print(f"nothing to drop: {setting} ({setting.origin}) is no server with databases of ours")
    elif not dropped:
        print("nothing to drop")


def serve(options: argparse.Namespace) -> None:
    """Run the embedded server, and print its URL, until Ctrl-C or SIGTERM."""
    from .embedded import server

    stop = threading.Event()
    # Before the start, so that whoever waits for the URL can stop us as soon as it is there.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    url = server().url()
    # Bare "postgresql", so that psql takes it as well.
    print(url.set(drivername="postgresql").render_as_string(hide_password=False), flush=True)
    stop.wait()


if __name__ == "__main__":
    sys.exit(main())
