"""Commands for administrators: ``flask users promote ada``."""

import click
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from . import services
from .models import Role, User, db

users = AppGroup("users")
sql = AppGroup("sql")


@users.command()
@click.argument("name")
@click.argument("role")
def promote(name, role):
    """Give a user another role."""
    user = db.session.scalar(db.select(User).filter_by(name=name))
    found = db.session.scalar(db.select(Role).filter_by(name=role))
    if user is None or found is None:
        raise click.ClickException(f"no user {name} or no role {role}")
    user.role = found
    db.session.commit()
    click.echo(f"{name} is a {role} now")


@users.command("add")
@click.argument("name")
@click.argument("email")
def add_user(name, email):
    """Add a user, who is confirmed already."""
    db.session.add(User(name=name, email=email, confirmed=True))
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise click.ClickException(f"{name} is taken") from None
    count = db.session.scalar(db.select(db.func.count()).select_from(User))
    click.echo(f"{count} users")


@users.command()
def purge():
    """Delete the users who never confirmed."""
    click.echo(f"{services.purge_unconfirmed(current_app._get_current_object())} deleted")


@sql.command()
@click.argument("statement")
def run(statement):
    """Run one statement, past all models."""
    with db.engine.begin() as connection:
        click.echo(connection.execute(text(statement)).rowcount)
