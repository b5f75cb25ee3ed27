"""The stand-in server's queue: jobs wait, run one at a time, send ComfyUI's events and become history. The sampler
pauses where a test asks for it (`pause_at`), so that nothing in a test depends on speed. Event loop only."""
import asyncio
import heapq
import json
import struct
import time

import mock_nodes
from png import make_png

FAILING_WORD = "[[fail]]"  # a prompt with it fails while sampling


class Interrupted(Exception):
    pass


def now_ms():
    return int(time.time() * 1000)


def preview_frames(image, node_id, prompt_id):
    """The same preview as binary frame type 1 and type 4."""
    plain = struct.pack(">II", 1, 2) + image
    about = json.dumps({"node_id": node_id, "prompt_id": prompt_id, "display_node_id": node_id, "parent_node_id": None,
                        "real_node_id": node_id, "image_type": "image/png"}).encode()
    return plain, struct.pack(">II", 4, len(about)) + about + image


class Job:
    def __init__(self, number, prompt_id, graph, extra, outputs):
        self.number, self.id, self.graph, self.extra, self.outputs_wanted = number, prompt_id, graph, extra, outputs
        self.outputs, self.messages, self.executed = {}, [], []
        self.status, self.began, self.ended, self.error = "pending", None, None, None
        self.last_node = None

    def __lt__(self, other):
        return (self.number, self.id) < (other.number, other.id)

    def item(self):
        return [self.number, self.id, self.graph, self.extra, self.outputs_wanted]

    def entry(self):
        done = self.status == "completed"
        meta = {node: {"node_id": node, "display_node": node, "parent_node": None, "real_node_id": node}
                for node in self.outputs}
        return {"prompt": self.item(), "outputs": self.outputs, "meta": meta,
                "status": {"status_str": "success" if done else "error", "completed": done, "messages": self.messages}}

    def summary(self):
        """As /api/jobs lists it: what has no value is left out."""
        items = [(node, kind, item) for node, ui in self.outputs.items() for kind, found in ui.items()
                 for item in found if isinstance(item, dict)]
        preview = None
        if items:
            node, kind, item = next((i for i in items if i[2]["type"] == "output"), items[0])
            preview = {**item, "nodeId": node, "mediaType": kind}
        workflow = self.extra.get("extra_pnginfo", {}).get("workflow", {})
        out = {"id": self.id, "status": self.status, "priority": self.number, "create_time": self.extra["create_time"],
               "execution_start_time": self.began, "execution_end_time": self.ended, "execution_error": self.error,
               "outputs_count": len(items), "previewable_outputs_count": len(items), "preview_output": preview,
               "workflow_id": workflow.get("id")}
        return {key: value for key, value in out.items() if value is not None}

    def detail(self):
        out = {**self.summary(), "workflow": {"prompt": self.graph, "extra_data": self.extra}}
        if self.ended:
            out |= {"outputs": self.outputs, "execution_status": self.entry()["status"]}
        return out


class Jobs:
    """`send(client_id or None, message)` and `send_preview(client_id, plain, described)` reach the sockets."""

    def __init__(self, nodes, save, send, send_preview):
        self.nodes, self.save, self.send, self.send_preview = nodes, save, send, send_preview
        self.pending, self.running, self.history = [], None, {}
        self.counter, self.interrupted = 0, False
        self.pause_at, self.wake, self.work = None, asyncio.Event(), asyncio.Event()

    # What routes call.

    def add(self, prompt_id, body, graph):
        number = body.get("number")
        if number is None:
            number = -self.counter if body.get("front") else self.counter
            self.counter += 1
        extra = {**body.get("extra_data", {}), "create_time": now_ms()}
        if body.get("client_id"):
            extra["client_id"] = body["client_id"]
        wanted = body.get("partial_execution_targets")
        outputs = [node for node in mock_nodes.outputs_of(graph, self.nodes()) if not wanted or node in wanted]
        heapq.heappush(self.pending, Job(number, prompt_id, graph, extra, outputs))
        self.work.set()
        self.tell_status()
        return number

    def cancel(self, prompt_id):
        """Takes it off the queue, or interrupts it; true when it was there."""
        if self.running and prompt_id in (None, self.running.id):
            self.interrupted = True
            self.wake.set()
            return True
        return self.remove(lambda job: job.id == prompt_id)

    def remove(self, is_unwanted):
        kept = [job for job in self.pending if not is_unwanted(job)]
        was_there = len(kept) != len(self.pending)
        for job in self.pending:
            if is_unwanted(job):
                job.status, job.ended = "cancelled", now_ms()
        self.pending = kept
        heapq.heapify(self.pending)
        if was_there:
            self.tell_status()
        return was_there

    def set_pause(self, step):
        self.pause_at = step
        self.wake.set()

    def all(self):
        return ([self.running] if self.running else []) + sorted(self.pending) + list(self.history.values())

    def remaining(self):
        return len(self.pending) + (self.running is not None)

    def tell_status(self):
        self.send(None, {"type": "status", "data": {"status": {"exec_info": {"queue_remaining": self.remaining()}}}})

    # The worker.

    async def run_forever(self):
        while True:
            while not self.pending:
                self.work.clear()
                await self.work.wait()
            self.running = heapq.heappop(self.pending)
            self.running.status, self.running.began, self.interrupted = "in_progress", now_ms(), False
            self.tell_status()
            await self._run(self.running)
            job, self.running = self.running, None
            job.ended = now_ms()
            self.history[job.id] = job
            self.tell_status()
            self._tell(job, "executing", node=None)

    async def _run(self, job):
        self._note(job, "execution_start")
        self._note(job, "execution_cached", nodes=[])
        try:
            for node in mock_nodes.in_order(job.graph):
                await self._run_node(job, node)
            job.status = "completed"
            self._note(job, "execution_success")
        except Interrupted:
            job.status = "cancelled"
            kind = job.graph[job.last_node]["class_type"]
            self._note(job, "execution_interrupted", node_id=job.last_node, node_type=kind, executed=job.executed)
        except ValueError as error:
            job.status = "failed"
            kind = job.graph[job.last_node]["class_type"]
            job.error = self._note(job, "execution_error", node_id=job.last_node, node_type=kind, executed=job.executed,
                                   exception_message=str(error) + "\n", exception_type="ValueError", traceback=[],
                                   current_inputs={}, current_outputs=[])

    async def _run_node(self, job, node):
        job.last_node = node
        kind = job.graph[node]["class_type"]
        self._tell_state(job, node, "running", 0, 1)
        self._tell(job, "executing", node=node, display_node=node)
        if self.interrupted:
            raise Interrupted
        if kind == "KSampler":
            await self._sample(job, node)
        if kind in ("SaveImage", "PreviewImage"):
            job.outputs[node] = {"images": self.save(job, node)}
            self._tell(job, "executed", node=node, display_node=node, output=job.outputs[node])
        job.executed.append(node)
        self._tell_state(job, node, "finished", 1, 1)
        await asyncio.sleep(0)

    async def _sample(self, job, node):
        inputs = job.graph[node]["inputs"]
        steps = inputs["steps"]
        if FAILING_WORD in mock_nodes.upstream(job.graph, inputs["positive"][0], "text", ""):
            raise ValueError("the sampler was told to fail")
        for step in range(1, steps + 1):
            if job.extra.get("preview_method") != "none":
                image = make_png(64, 64, inputs["seed"] + step)
                self.send_preview(job.extra.get("client_id"), *preview_frames(image, node, job.id))
            self._tell(job, "progress", value=step, max=steps, node=node)
            self._tell_state(job, node, "running", step, steps)
            await asyncio.sleep(0)
            while self.pause_at is not None and step >= self.pause_at and not self.interrupted:
                self.wake.clear()
                await self.wake.wait()
            if self.interrupted:
                raise Interrupted

    # Events.

    def _tell(self, job, kind, **data):
        owner = job.extra.get("client_id")
        if owner:
            self.send(owner, {"type": kind, "data": {**data, "prompt_id": job.id}})

    def _note(self, job, kind, **data):
        """An event that history keeps too."""
        data = {**data, "prompt_id": job.id, "timestamp": now_ms()}
        job.messages.append([kind, data])
        self._tell(job, kind, **data)
        return data

    def _tell_state(self, job, node, state, value, most):
        self._tell(job, "progress_state", nodes={node: {
            "value": value, "max": most, "state": state, "node_id": node, "prompt_id": job.id, "display_node_id": node,
            "parent_node_id": None, "real_node_id": node}})
