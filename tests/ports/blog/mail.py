"""Mail, sent in threads, because no reader wants to wait for an SMTP server."""

import threading

from flask import current_app

from .models import SentMail, db


def init_app(app):
    app.extensions["mail_threads"] = []


def send_later(recipient, subject, text, **values):
    """Send a mail, if a transport is configured, and note in the database that it was sent.

    :param values: are filled into the text.
    """
    app = current_app._get_current_object()
    if app.config["MAIL_TRANSPORT"] is None:
        return
    thread = threading.Thread(target=_send, args=(app, recipient, subject, text, values))
    app.extensions["mail_threads"].append(thread)
    thread.start()


def _send(app, recipient, subject, text, values):
    transport = app.config["MAIL_TRANSPORT"]
    transport.connect()
    with app.app_context():
        transport.send(recipient, subject, text.format(**values))
        db.session.add(SentMail(recipient=recipient, subject=subject))
        db.session.commit()


def welcome(user):
    text = "Dear {name}, please confirm /confirm/{id}, and be a {role}."
    send_later(user.email, "Welcome", text, name=user.name, id=user.id, role=user.role.name)


def drain(app):
    """Wait until all mails are sent."""
    threads = app.extensions["mail_threads"]
    while threads:
        threads.pop().join()
