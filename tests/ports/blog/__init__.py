"""A small blog, as such programs are written: Flask, Flask-SQLAlchemy and PostgreSQL."""

from flask import Flask, g

from . import api, cli, mail, pages
from .models import db


def create_app(config):
    app = Flask(__name__)
    app.config.from_mapping(
        LOCALES=["en", "de"],
        MAIL_TRANSPORT=None,
        PASSWORD_METHOD="scrypt",
        SIDEBAR={},
        SUBSCRIBERS=[],
        UPLOAD_EXTENSIONS=[".png", ".txt"],
    )
    app.config.from_object(config)
    db.init_app(app)
    # teardown functions run last registered first, so the session is still there in ours
    app.teardown_appcontext(commit_if_asked)
    mail.init_app(app)
    app.register_blueprint(pages.pages)
    app.register_blueprint(api.api, url_prefix="/api")
    app.cli.add_command(cli.users)
    app.cli.add_command(cli.sql)
    return app


def commit_if_asked(error):
    """Commit what a view left with ``g.commit = True``, unless it failed."""
    if g.pop("commit", False) and error is None:
        db.session.commit()
