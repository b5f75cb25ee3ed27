"""A web server on loopback that misbehaves on request: it plays a file server and a model hub for tests/fetch."""
import hashlib
import http.server
import json
import socketserver
import struct
import threading
import urllib.parse


class File:
    """One served file and what goes wrong with it. The lists are used up, one item a request."""

    def __init__(self, body, etag=None, linked_sha256=None):
        self.body = body
        self.etag = etag
        self.linked_sha256 = linked_sha256
        self.statuses = []  # answer with this status first
        self.cuts = []  # break the connection after this many bytes of the body
        self.stalls = []  # stop sending after this many bytes, until `release` is set
        self.ranges = True
        self.redirect = None  # (status, location)
        self.length = None  # a Content-Length that lies
        self.on_request = None


class Server:
    def __init__(self):
        self.files = {}
        self.requests = []  # (path, headers)
        self.release = threading.Event()
        self.stalled = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                outer.answer(self)

        class Threading(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        self.http = Threading(("127.0.0.1", 0), Handler)
        self.port = self.http.server_address[1]
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def url(self, path, host="127.0.0.1"):
        return f"http://{host}:{self.port}{path}"

    def add(self, path, body, **facts):
        self.files[path] = File(body, **facts)
        return self.files[path]

    def seen(self, path):
        """Headers of each request for this path."""
        return [headers for asked, headers in self.requests if asked == path]

    def stop(self):
        self.release.set()
        self.http.shutdown()
        self.http.server_close()

    def answer(self, handler):
        path = urllib.parse.unquote(handler.path.split("?")[0])
        self.requests.append((path, dict(handler.headers.items())))
        file = self.files.get(path)
        if file is None:
            return self.send_status(handler, 404)
        if file.on_request:
            file.on_request(file)
        if file.statuses:
            return self.send_status(handler, file.statuses.pop(0))
        if file.redirect:
            status, location = file.redirect
            linked = file.linked_sha256
            return self.send_status(handler, status, location, linked)
        self.send_file(handler, file)

    @staticmethod
    def send_status(handler, status, location=None, linked_sha256=None):
        page = b"<html>a page of no interest</html>"
        handler.send_response(status)
        if location:
            handler.send_header("Location", location)
        if linked_sha256:
            handler.send_header("X-Linked-Etag", f'"{linked_sha256}"')
        handler.send_header("Content-Length", str(len(page)))
        handler.end_headers()
        handler.wfile.write(page)

    def send_file(self, handler, file):
        first = 0
        asked = handler.headers.get("Range")
        condition = handler.headers.get("If-Range")
        if asked and file.ranges and (condition is None or condition == file.etag):
            first = int(asked.removeprefix("bytes=").rstrip("-"))
            if first >= len(file.body):
                return self.send_status(handler, 416)
        rest = file.body[first:]
        handler.send_response(206 if first else 200)
        if first:
            handler.send_header("Content-Range", f"bytes {first}-{len(file.body) - 1}/{len(file.body)}")
        if file.etag:
            handler.send_header("ETag", file.etag)
        if file.linked_sha256:
            handler.send_header("X-Linked-Etag", f'"{file.linked_sha256}"')
        handler.send_header("Content-Length", str(file.length if file.length is not None else len(rest)))
        handler.end_headers()
        if file.cuts:
            handler.wfile.write(rest[: file.cuts.pop(0)])
            handler.close_connection = True
            return
        if file.stalls:
            count = file.stalls.pop(0)
            handler.wfile.write(rest[:count])
            handler.wfile.flush()
            self.stalled.set()
            self.release.wait(60)
            handler.close_connection = True
            return
        handler.wfile.write(rest)

    def add_hub(self, repo, files, commit="c0ffee", license="apache-2.0", large=(".gguf", ".safetensors")):
        """A repository as the hub's API shows it; `files` maps paths to bytes."""
        info = {"id": repo, "sha": commit, "tags": [f"license:{license}"], "cardData": {"license": license}}
        self.add(f"/api/models/{repo}/revision/main", json.dumps(info).encode())
        tree = [{"type": "directory", "path": "folder", "size": 0, "oid": "0"}]
        for path, body in files.items():
            item = {"type": "file", "path": path, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
            if path.endswith(large):
                item["lfs"] = {"oid": hashlib.sha256(body).hexdigest(), "size": len(body)}
            tree.append(item)
            self.add(f"/{repo}/resolve/{commit}/{path}", body, etag=f'"{hashlib.md5(body).hexdigest()}"')
        self.add(f"/api/models/{repo}/tree/{commit}", json.dumps(tree).encode())


def gguf(size, seed=1):
    """Bytes that begin like a GGUF file and then look random."""
    blocks = []
    for i in range(size // 32 + 1):
        blocks.append(hashlib.sha256(struct.pack("<qq", seed, i)).digest())
    return (b"GGUF" + b"".join(blocks))[:size]


def sha256(body):
    return hashlib.sha256(body).hexdigest()
