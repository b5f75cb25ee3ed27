"""Speaks to a server of ComfyUI's API as its clients do: plain HTTP and one WebSocket, with nothing hidden."""
import http.client
import json
import struct
import urllib.parse

import websocket

MODERN = {"supports_preview_metadata": True}


def node(class_type, **inputs):
    return {"1": {"class_type": class_type, "inputs": inputs}}


def picture_graph(checkpoint="tiny.safetensors", side=512, **sampler):
    """The default workflow: numbers and links as its API export has them."""
    settings = {"seed": 18446744073709551615, "steps": 3, "cfg": 8, "denoise": 1, "sampler_name": "euler",
                "scheduler": "normal", **sampler}
    return {
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": side, "height": side, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["4", 1]}},
        "3": {"class_type": "KSampler", "inputs": {**settings, "model": ["4", 0], "positive": ["6", 0],
                                                   "negative": ["7", 0], "latent_image": ["5", 0]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]}},
    }


class ComfyClient:
    """The methods of one server; who derives from it gives `port`."""

    def request(self, method, path, body=None, headers=None):
        """Status, headers by lower-case name, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, data

    def get(self, path):
        status, _, data = self.request("GET", path)
        assert status == 200, (path, status, data[:300])
        return json.loads(data)

    def post(self, path, body):
        status, _, data = self.request("POST", path, body)
        return status, json.loads(data)

    def queue(self, prompt, client_id=None, **more):
        """Queues a prompt and gives its id."""
        status, answer = self.post("/prompt", {"prompt": prompt, **({"client_id": client_id} if client_id else {}),
                                               **more})
        assert status == 200, answer
        assert answer["node_errors"] == {}
        return answer["prompt_id"]

    def upload(self, path, name, data, **fields):
        boundary = "hearthboundary"
        parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
                 for key, value in fields.items()]
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
                     "Content-Type: application/octet-stream\r\n\r\n".encode() + data + b"\r\n")
        return self.request("POST", path, b"".join(parts) + f"--{boundary}--\r\n".encode(),
                            {"Content-Type": f"multipart/form-data; boundary={boundary}"})

    def view(self, **query):
        return self.request("GET", "/view?" + urllib.parse.urlencode(query))

    def socket(self, client_id="", flags=None, path="/ws"):
        return Socket(self.port, client_id, flags, path)


class Socket:
    """One WebSocket client; frames are (type, data) or (number, metadata or format, image)."""

    def __init__(self, port, client_id, flags, path):
        query = f"?clientId={client_id}" if client_id else ""
        self.connection = websocket.create_connection(f"ws://127.0.0.1:{port}{path}{query}", timeout=60,
                                                      suppress_origin=True)
        if flags is not None:
            self.connection.send(json.dumps({"type": "feature_flags", "data": flags}))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def read(self):
        frame = self.connection.recv()
        if isinstance(frame, str):
            message = json.loads(frame)
            return message["type"], message["data"]
        kind, second = struct.unpack(">II", frame[:8])
        if kind == 4:
            return kind, json.loads(frame[8:8 + second]), frame[8 + second:]
        return kind, second, frame[8:]

    def read_until(self, wanted):
        """Frames up to and with the first that `wanted` accepts."""
        frames = []
        while True:
            frames.append(self.read())
            if wanted(frames[-1]):
                return frames

    def read_prompt(self, prompt_id):
        return self.read_until(lambda frame: frame[0] == "executing" and frame[1]["node"] is None
                               and frame[1]["prompt_id"] == prompt_id)

    def close(self):
        self.connection.close()


def run(server, prompt, client_id="runner", flags=None, **more):
    """Queues a prompt and gives its id and every frame up to its end."""
    with server.socket(client_id, flags) as socket:
        prompt_id = server.queue(prompt, client_id, **more)
        return prompt_id, socket.read_prompt(prompt_id)


def types(frames):
    return [frame[0] for frame in frames]


def wait_quiet(server):
    with server.socket() as socket:
        frame = socket.read()
        while frame[0] != "status" or frame[1]["status"]["exec_info"]["queue_remaining"] > 0:
            frame = socket.read()
