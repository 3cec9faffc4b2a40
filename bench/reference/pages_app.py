"""The frozen reference of `pages`: bare Flask, SQLAlchemy ORM and Jinja, the same rows, the same bytes.

It signs nobody in, checks nothing and translates nothing: what is left is the least that such a page costs.
PAD_BYTES of filler make its page as long as ours.
"""

import os

from flask import Flask, render_template_string, request
from sqlalchemy import BigInteger, Text, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Applications</title></head><body><h1>Applications</h1>
<table><thead><tr><th>Number</th><th>Title</th><th>State</th><th>Applicant</th></tr></thead><tbody>
{% for row in rows %}<tr><th scope="row"><a href="/applications/{{ row.number }}">{{ row.number }}</a></th><td>{{ row.title }}</td><td>{{ row.state }}</td><td>{{ row.applicant }}</td></tr>
{% endfor %}</tbody></table><a href="?after={{ rows[-1].number if rows else 0 }}">Next</a><!--{{ pad }}--></body></html>"""


class Base(DeclarativeBase):
    """Base of the reference's one table."""


class Row(Base):
    """One application, flat."""

    __tablename__ = "bench_reference"
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    applicant: Mapped[str] = mapped_column(Text)


app = Flask(__name__)
engine = create_engine(os.environ["BENCH_DATABASE_URL"])
PAD = "x" * int(os.environ.get("PAD_BYTES", "0"))


@app.get("/")
def page() -> str:
    """List 25 rows by key."""
    after = request.args.get("after", 2**62, type=int)
    with Session(engine) as db:
        rows = db.scalars(select(Row).where(Row.number < after).order_by(Row.number.desc()).limit(25)).all()
        return render_template_string(PAGE, rows=rows, pad=PAD)
