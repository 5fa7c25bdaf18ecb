"""A small web service: a page at /, its health at /healthz."""

from flask import Flask, request
from markupsafe import escape

app = Flask(__name__)


@app.get("/healthz")
def health():
    return {"status": "ok"}


@app.get("/")
def page():
    name = escape(request.args.get("name", "world"))
    return f"<!doctype html><title>Golden path</title><h1>Hello, {name}</h1><p>from Python, locked by Poetry</p>"
