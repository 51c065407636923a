"""A module-level app with Flask-SQLAlchemy."""

import os
from contextlib import nullcontext

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from . import domain

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["SHOP_DATABASE_URL"]
db = SQLAlchemy(app)


class User(domain.UserColumns, db.Model):
    pass


class Post(domain.PostColumns, db.Model):
    pass


class Invitation(domain.InvitationColumns, db.Model):
    pass


domain.add_views(app, lambda: nullcontext(db.session), User)
