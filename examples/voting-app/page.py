"""What both pages share: their look, and an HTTP server that answers one path."""
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STYLE = """
body { font: 18px/1.5 system-ui, sans-serif; max-width: 32em; margin: 12vh auto; padding: 0 1em; color: #223; text-align: center }
h1 { font-weight: 600 }
button { font: inherit; width: 45%; padding: 1.2em 0; border: 0; border-radius: .5em; color: #fff; cursor: pointer }
.cats { background: #0b8f8c } .dogs { background: #2f6fb5 }
.bar { display: flex; height: 4em; border-radius: .5em; overflow: hidden; background: #dde }
.bar div { color: #fff; line-height: 4em; white-space: nowrap; overflow: hidden }
small { color: #778 }
"""


def html(title, body, refresh=""):
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>{refresh}"
        f"<title>{title}</title><style>{STYLE}</style><body><h1>{title}</h1>{body}</body></html>\n"
    )


class Page(BaseHTTPRequestHandler):
    def reply(self, text, status=200, kind="text/html; charset=utf-8", headers=()):
        body = text.encode()
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve(page, port=80):
    ThreadingHTTPServer(("", port), page).serve_forever()
