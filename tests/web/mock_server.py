"""A stand-in for `hearth serve`: the routes that the page and the ComfyUI frontend use, with the same shapes, and
drawings and answers that cost nothing and stop where a test says. Runs in a thread; its own methods may be called from
the test's. What the real server does is tested elsewhere: this one tests what runs in the browser."""
import asyncio
import collections
import json
import pathlib
import re
import threading
import time
import urllib.parse
import uuid

from aiohttp import WSMsgType, web

import mock_nodes
from mock_jobs import Jobs
from png import make_png

ROOT = pathlib.Path(__file__).resolve().parents[2]
GIB = 1 << 30
PAGE = {"/hearth": ("index.html", "text/html"), "/hearth/app.js": ("app.js", "text/javascript"),
        "/hearth/style.css": ("style.css", "text/css")}
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
          "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
PRESETS = [
    {"name": "balanced", "steps": 20, "cfg": 7.0, "sampler": "euler_ancestral", "scheduler": "karras", "batch": 1,
     "width": None, "height": None, "negative": "", "note": "one picture in 20 steps"},
    {"name": "batch", "steps": 20, "cfg": 7.0, "sampler": "euler_ancestral", "scheduler": "karras", "batch": 8,
     "width": None, "height": None, "negative": "", "note": "eight pictures at once"},
    {"name": "quality", "steps": 30, "cfg": 9.0, "sampler": "euler_ancestral", "scheduler": "karras", "batch": 1,
     "width": None, "height": None, "negative": "", "note": "30 steps"},
]
ANSWER = "Because the air scatters blue light more than red light, the sky is blue."


class MockServer:
    def __init__(self, checkpoints=("tiny-sdxl.safetensors",), language_models=("smollm2",), frontend=None, api_key="",
                 can_draw=True):
        self.can_draw = can_draw
        self.checkpoints, self.language_models = list(checkpoints), list(language_models)
        self.frontend, self.api_key = frontend, api_key
        self.files = {}      # (type, subfolder, name) -> bytes
        self.userdata = {}   # path -> bytes
        self.settings = {}
        self.sockets = {}    # client id -> (socket, takes described previews)
        self.requests = []   # (method, path with query, status)
        self.bodies = collections.defaultdict(list)  # path -> JSON bodies of POST
        self.answers_cut = 0                         # streams whose reader went away
        self.words_before_pause = None               # an answer stops here until it is None again
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    # What a test calls.

    def __enter__(self):
        self._thread.start()
        assert self._started.wait(20), "the stand-in server did not start"
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)

    def pause_at(self, step):
        """Every drawing stops after this step until it is changed; None lets them run."""
        self._call(self.jobs.set_pause, step)

    def drop_sockets(self):
        async def close_all():
            for socket, _ in list(self.sockets.values()):
                await socket.close()

        asyncio.run_coroutine_threadsafe(close_all(), self._loop).result(20)

    def _call(self, function, *arguments):
        async def run():
            return function(*arguments)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(20)

    # The server.

    def _serve(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _start(self):
        self.jobs = Jobs(self.nodes, self._save, self._send, self._send_preview)
        self._worker = asyncio.create_task(self.jobs.run_forever())
        app = web.Application(middlewares=[self._guard], client_max_size=100 << 20)
        app.on_response_prepare.append(self._record)
        self._add_routes(app.router)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = "http://127.0.0.1:%d" % site._server.sockets[0].getsockname()[1]

    async def _end(self):
        self._worker.cancel()
        await asyncio.gather(self._worker, return_exceptions=True)
        await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request, handler):
        if self.api_key and not self._has_key(request) and request.path not in ("/", *PAGE):
            return web.json_response({"error": {"message": "this server wants an API key"}}, status=401)
        if not self.can_draw and not request.path.startswith(("/v1/", "/hearth", "/metrics", "/favicon")) and (
                request.path != "/"):
            return web.Response(status=404)
        return await handler(request)

    async def _record(self, request, response):
        """When the head of an answer goes out, so that open sockets and streams are in the list too."""
        self.requests.append((request.method, request.raw_path, response.status))

    def _has_key(self, request):
        cookie = urllib.parse.unquote(request.cookies.get("hearth_key", ""))
        return self.api_key in (request.headers.get("Authorization", "").removeprefix("Bearer "), cookie)

    def _add_routes(self, router):
        both = [
            ("GET", "/ws", self._socket), ("GET", "/prompt", self._exec_info), ("POST", "/prompt", self._prompt),
            ("GET", "/queue", self._queue), ("POST", "/queue", self._edit_queue),
            ("POST", "/interrupt", self._interrupt), ("POST", "/free", self._free),
            ("GET", "/history", self._history), ("GET", "/history/{id}", self._history_of),
            ("POST", "/history", self._edit_history), ("GET", "/view", self._view),
            ("POST", "/upload/image", self._upload), ("GET", "/object_info", self._object_info),
            ("GET", "/object_info/{name}", self._object_info), ("GET", "/system_stats", self._system_stats),
            ("GET", "/features", self._features), ("GET", "/users", self._users),
            ("GET", "/settings", self._settings), ("POST", "/settings", self._set_settings),
            ("GET", "/settings/{id}", self._settings), ("POST", "/settings/{id}", self._set_settings),
            ("GET", "/userdata", self._list_userdata), ("GET", "/userdata/{path}", self._get_userdata),
            ("POST", "/userdata/{path}", self._put_userdata), ("DELETE", "/userdata/{path}", self._drop_userdata),
            ("GET", "/experiment/models", self._model_folders), ("GET", "/experiment/models/{name}", self._fixed([])),
            ("GET", "/embeddings", self._fixed([])), ("GET", "/extensions", self._fixed([])),
            ("GET", "/i18n", self._fixed({})), ("GET", "/global_subgraphs", self._fixed({})),
            ("GET", "/node_replacements", self._fixed({})), ("GET", "/workflow_templates", self._fixed({})),
        ]
        for method, path, handler in both:
            router.add_route(method, path, handler)
            router.add_route(method, "/api" + path, handler)
        for method, path, handler in [
                ("GET", "/api/jobs", self._jobs), ("GET", "/api/jobs/{id}", self._job),
                ("POST", "/api/jobs/{id}/cancel", self._cancel_job), ("POST", "/api/jobs/cancel", self._cancel_jobs),
                ("GET", "/internal/folder_paths", self._fixed({})), ("GET", "/internal/files/{kind}", self._list_files),
                ("GET", "/internal/logs", self._fixed("")), ("GET", "/internal/logs/raw",
                                                             self._fixed({"entries": [], "size": {}})),
                ("PATCH", "/internal/logs/subscribe", self._fixed({})), ("GET", "/hearth/presets", self._presets),
                ("GET", "/v1/models", self._models), ("POST", "/v1/chat/completions", self._chat),
                ("GET", "/metrics", self._metrics), ("GET", "/", self._start_page),
                ("GET", "/user.css", self._user_css), ("GET", "/favicon.ico", self._icon),
                ("GET", "/templates/index.json", self._fixed([])),
                ("GET", "/templates/index_logo.json", self._fixed({}))]:
            router.add_route(method, path, handler)
        for path in PAGE:
            router.add_get(path, self._page)
        if self.frontend:
            router.add_static("/", self.frontend)

    @staticmethod
    def _fixed(body):
        async def answer(_):
            return web.json_response(body)

        return answer

    # The page, the frontend.

    async def _page(self, request):
        name, kind = PAGE[request.path]
        return web.Response(body=(ROOT / "web" / name).read_bytes(), content_type=kind, charset="utf-8",
                            headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"})

    async def _start_page(self, request):
        if self.frontend:
            return web.FileResponse(pathlib.Path(self.frontend) / "index.html", headers={"Cache-Control": "no-store"})
        return await self._page(request.clone(rel_url="/hearth"))

    async def _icon(self, _):
        return web.Response(text='<svg xmlns="http://www.w3.org/2000/svg"/>', content_type="image/svg+xml")

    # WebSocket.

    async def _socket(self, request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        sid = request.query.get("clientId") or uuid.uuid4().hex
        self.sockets[sid] = (socket, False)
        status = {"status": {"exec_info": {"queue_remaining": self.jobs.remaining()}}, "sid": sid}
        await socket.send_json({"type": "status", "data": status})
        running = self.jobs.running
        if running and running.extra.get("client_id") == sid and running.last_node:
            await socket.send_json({"type": "executing", "data": {"node": running.last_node}})
        is_first = True
        async for message in socket:
            if message.type == WSMsgType.TEXT and is_first:
                data = json.loads(message.data)
                if data.get("type") == "feature_flags":
                    self.sockets[sid] = (socket, data["data"].get("supports_preview_metadata") is True)
                    await socket.send_json({"type": "feature_flags", "data": self._flags()})
            is_first = False
        if self.sockets.get(sid, (None,))[0] is socket:
            del self.sockets[sid]
        return socket

    def _send(self, client_id, message):
        for sid, (socket, _) in self.sockets.items():
            if client_id in (None, sid) and not socket.closed:
                asyncio.ensure_future(socket.send_json(message))

    def _send_preview(self, client_id, plain, described):
        socket, is_described = self.sockets.get(client_id, (None, False))
        if socket and not socket.closed:
            asyncio.ensure_future(socket.send_bytes(described if is_described else plain))

    # Jobs.

    def nodes(self):
        return mock_nodes.object_info(self.checkpoints, [name for kind, _, name in self.files if kind == "input"])

    def _save(self, job, node):
        graph = job.graph
        kind = "output" if graph[node]["class_type"] == "SaveImage" else "temp"
        prefix = graph[node]["inputs"].get("filename_prefix", "preview")
        texts = {"prompt": json.dumps(graph)}
        texts |= {key: json.dumps(value) for key, value in job.extra.get("extra_pnginfo", {}).items()}
        wide, high = (mock_nodes.upstream(graph, node, name, 64) for name in ("width", "height"))
        seed, images = mock_nodes.upstream(graph, node, "seed", 0), []
        for i in range(mock_nodes.upstream(graph, node, "batch_size", 1)):
            counter = 1 + sum(name.startswith(prefix + "_") for _, _, name in self.files)
            name = f"{prefix}_{counter:05d}_.png"
            self.files[kind, "", name] = make_png(wide, high, seed + i, texts)
            images.append({"filename": name, "subfolder": "", "type": kind})
        return images

    async def _json(self, request):
        body = await request.read()
        parsed = json.loads(body) if body else {}
        self.bodies[request.path].append(parsed)
        return parsed

    async def _prompt(self, request):
        body = await self._json(request)
        refusal = mock_nodes.check_graph(body["prompt"], self.nodes())
        if refusal:
            return web.json_response(refusal, status=400)
        prompt_id = body.get("prompt_id") or str(uuid.uuid4())
        number = self.jobs.add(prompt_id, body, body["prompt"])
        return web.json_response({"prompt_id": prompt_id, "number": number, "node_errors": {}})

    async def _exec_info(self, _):
        return web.json_response({"exec_info": {"queue_remaining": self.jobs.remaining()}})

    async def _queue(self, _):
        running = [self.jobs.running.item()] if self.jobs.running else []
        return web.json_response({"queue_running": running, "queue_pending": [job.item() for job in self.jobs.pending]})

    async def _edit_queue(self, request):
        body = await self._json(request)
        self.jobs.remove(lambda job: body.get("clear") or job.id in body.get("delete", []))
        return web.Response()

    async def _interrupt(self, request):
        body = await self._json(request)
        if self.jobs.running and body.get("prompt_id") in (None, self.jobs.running.id):
            self.jobs.cancel(self.jobs.running.id)
        return web.Response()

    async def _free(self, request):
        await self._json(request)
        return web.Response()

    async def _history(self, request):
        entries = list(self.jobs.history.items())
        most = int(request.query.get("max_items", len(entries)))
        return web.json_response({key: job.entry() for key, job in entries[-most:]} if most else {})

    async def _history_of(self, request):
        job = self.jobs.history.get(request.match_info["id"])
        return web.json_response({job.id: job.entry()} if job else {})

    async def _edit_history(self, request):
        body = await self._json(request)
        for key in list(self.jobs.history):
            if body.get("clear") or key in body.get("delete", []):
                del self.jobs.history[key]
        return web.Response()

    async def _jobs(self, request):
        wanted = [status for status in request.query.get("status", "").split(",") if status]
        found = [job.summary() for job in self.jobs.all() if not wanted or job.status in wanted]
        found.sort(key=lambda job: job["create_time"], reverse=request.query.get("sort_order", "desc") == "desc")
        offset, limit = int(request.query.get("offset", 0)), int(request.query.get("limit", 200))
        page = {"offset": offset, "limit": limit, "total": len(found), "has_more": len(found) > offset + limit}
        return web.json_response({"jobs": found[offset:offset + limit], "pagination": page})

    async def _job(self, request):
        for job in self.jobs.all():
            if job.id == request.match_info["id"]:
                return web.json_response(job.detail())
        return web.json_response({"error": "Job not found"}, status=404)

    async def _cancel_job(self, request):
        return web.json_response({"cancelled": self.jobs.cancel(request.match_info["id"])})

    async def _cancel_jobs(self, request):
        body = await self._json(request)
        return web.json_response({"cancelled": any([self.jobs.cancel(each) for each in body["job_ids"]])})

    # Files.

    async def _view(self, request):
        query = request.query
        data = self.files.get((query.get("type", "output"), query.get("subfolder", ""), query.get("filename")))
        if data is None:
            return web.Response(status=404)
        name = query["filename"]
        return web.Response(body=data, content_type="image/png",
                            headers={"Content-Disposition": f'filename="{name}"', "X-Content-Type-Options": "nosniff"})

    async def _upload(self, request):
        form = await request.post()
        name, kind, folder = form["image"].filename, form.get("type", "input"), form.get("subfolder", "")
        self.files[kind, folder, name] = form["image"].file.read()
        return web.json_response({"name": name, "subfolder": folder, "type": kind})

    async def _list_files(self, request):
        return web.json_response([name for kind, _, name in self.files if kind == request.match_info["kind"]])

    async def _list_userdata(self, request):
        folder = request.query["dir"].strip("/") + "/"
        now = int(time.time() * 1000)
        found = [{"path": path.removeprefix(folder), "size": len(data), "modified": now, "created": now}
                 for path, data in self.userdata.items() if path.startswith(folder)]
        return web.json_response(found)

    async def _user_css(self, _):
        return web.Response(body=self.userdata.get("user.css", b""), content_type="text/css")

    async def _get_userdata(self, request):
        path = request.match_info["path"]
        if path == "user.css":
            return await self._user_css(request)
        if path not in self.userdata:
            return web.Response(status=404)
        return web.Response(body=self.userdata[path])

    async def _put_userdata(self, request):
        path, now = request.match_info["path"], int(time.time() * 1000)
        if request.query.get("overwrite") == "false" and path in self.userdata:
            return web.Response(status=409)
        self.userdata[path] = await request.read()
        return web.json_response({"path": path, "size": len(self.userdata[path]), "modified": now, "created": now})

    async def _drop_userdata(self, request):
        return web.Response(status=204 if self.userdata.pop(request.match_info["path"], None) is not None else 404)

    # Discovery.

    async def _object_info(self, request):
        nodes, name = self.nodes(), request.match_info.get("name")
        return web.json_response({key: value for key, value in nodes.items() if name in (None, key)})

    async def _system_stats(self, _):
        device = {"name": "cpu", "type": "cpu", "index": None, "vram_total": 16 * GIB, "vram_free": 9 * GIB,
                  "torch_vram_total": 12 * GIB, "torch_vram_free": 9 * GIB, "device_type": "cpu",
                  "memory_kind": "host", "budget": {"limit": 12 * GIB, "leased": 3 * GIB}}
        system = {"os": "linux", "ram_total": 16 * GIB, "ram_free": 10 * GIB, "comfyui_version": "0.3.75",
                  "python_version": "none", "pytorch_version": "none", "embedded_python": False, "argv": ["hearth"],
                  "deploy_environment": "hearth", "comfy_package_versions": []}
        return web.json_response({"system": system, "devices": [device]})

    @staticmethod
    def _flags():
        return {"supports_preview_metadata": True, "max_upload_size": 100 << 20, "node_replacements": False,
                "assets": False}

    async def _features(self, _):
        return web.json_response(self._flags())

    async def _users(self, _):
        return web.json_response({"storage": "server", "migrated": True})

    async def _settings(self, request):
        name = request.match_info.get("id")
        return web.json_response(self.settings if name is None else self.settings.get(name))

    async def _set_settings(self, request):
        name, body = request.match_info.get("id"), await self._json(request)
        self.settings |= body if name is None else {name: body}
        return web.Response()

    async def _model_folders(self, _):
        return web.json_response([{"name": "checkpoints", "folders": ["/srv/hearth/models/checkpoints"]}])

    async def _presets(self, _):
        return web.json_response(PRESETS)

    async def _metrics(self, _):
        text = (f"hearth_memory_leased_bytes {3 * GIB}\nhearth_memory_budget_bytes {12 * GIB}\n"
                f'hearth_lease_bytes{{pool="host",holder="smollm2"}} {3 * GIB}\n')
        return web.Response(text=text)

    # Language models.

    async def _models(self, _):
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "hearth", "context_length": 8192,
                 "meta": {"aliases": [], "architecture": "llama", "is_loaded": False, "resident_bytes": 0}}
                for name in self.language_models]
        return web.json_response({"object": "list", "data": data})

    async def _chat(self, request):
        body = await self._json(request)
        if body["model"] not in self.language_models:
            error = {"message": f"model '{body['model']}' does not exist", "type": "invalid_request_error",
                     "param": "model", "code": "model_not_found"}
            return web.json_response({"error": error}, status=404)
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        pieces = re.findall(r"\S+\s*", ANSWER)
        try:
            for at, piece in enumerate(pieces):
                await self._pace(request, at)
                await stream.write(self._chunk({"content": piece}))
            await stream.write(self._chunk({}, "stop") + self._usage(len(pieces)) + b"data: [DONE]\n\n")
        except ConnectionResetError:
            self.answers_cut += 1
        return stream

    async def _pace(self, request, words):
        while self.words_before_pause is not None and words >= self.words_before_pause:
            await asyncio.sleep(0.005)
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError

    @staticmethod
    def _chunk(delta, reason=None):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return b"data: " + json.dumps({"object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n"

    @staticmethod
    def _usage(tokens):
        usage = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": 9 + tokens}
        return b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"
