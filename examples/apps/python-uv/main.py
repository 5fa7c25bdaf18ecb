"""A small web service: a page at /, its health at /healthz."""

from html import escape

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

app = FastAPI()


@app.get("/healthz")
def health():
    return {"status": "ok"}


@app.get("/", response_class=HTMLResponse)
def page(name: str = "world"):
    return f"<!doctype html><title>Golden path</title><h1>Hello, {escape(name)}</h1><p>from Python, locked by uv</p>"
