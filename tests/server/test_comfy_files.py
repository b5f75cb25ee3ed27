"""ComfyUI's files: frontend, user data, models, views and uploads, and every way out of their folders."""
import io
import json
import urllib.parse

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fake_comfy import FakeComfy


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = FakeComfy(tmp_path_factory.mktemp("comfy"))
    yield running
    assert running.stop() == 0


def test_frontend_folder(tmp_path):
    site = tmp_path / "site"
    (site / "assets").mkdir(parents=True)
    (site / "index.html").write_text("<html>front</html>")
    (site / "assets" / "app.js").write_text("1")
    (site / "assets" / "font.woff2").write_text("1")
    (tmp_path / "secret.txt").write_text("secret")
    (site / "link.txt").symlink_to(tmp_path / "secret.txt")
    server = FakeComfy(tmp_path / "data", "--frontend", site)
    status, headers, body = server.request("GET", "/")
    assert (status, body) == (200, b"<html>front</html>")
    assert headers["cache-control"] == "no-store, must-revalidate" and headers["content-type"].startswith("text/html")
    status, headers, _ = server.request("GET", "/assets/app.js")
    assert (status, headers["content-type"], headers["cache-control"]) == (
        200, "text/javascript; charset=utf-8", "no-cache")
    assert server.request("GET", "/assets/font.woff2")[1]["content-type"] == "font/woff2"
    status, headers, body = server.request("GET", "/user.css")
    assert (status, headers["content-type"], body) == (200, "text/css", b"")  # a frontend complains about a 404
    for path in ("/assets", "/link.txt", "/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt",
                 "/assets/..%2f..%2fsecret.txt", "//etc/passwd", "/%2fetc%2fpasswd"):
        assert server.request("GET", path)[0] == 404, path
    assert server.get("/api/prompt")["exec_info"]["queue_remaining"] == 0
    assert server.stop() == 0


def test_userdata_with_encoded_slashes(server):
    path = "/api/userdata/workflows%2Fmy%20flow.json"
    assert server.request("GET", path)[0] == 404
    status, _, data = server.request("POST", path + "?overwrite=false&full_info=true", b'{"nodes": []}')
    info = json.loads(data)
    assert status == 200 and info["path"] == "workflows/my flow.json" and info["size"] == 13
    assert isinstance(info["modified"], int) and isinstance(info["created"], int)
    assert server.request("POST", path + "?overwrite=false", b"x")[0] == 409
    assert json.loads(server.request("POST", path, b'{"nodes": [1]}')[2]) == "workflows/my flow.json"
    status, headers, data = server.request("GET", path)
    assert (status, data) == (200, b'{"nodes": [1]}') and headers["content-disposition"].startswith("attachment")
    assert server.get("/userdata?dir=workflows&recurse=true") == ["my flow.json"]
    assert server.get("/userdata?dir=workflows&recurse=true&split=true") == [["my flow.json", "my flow.json"]]
    full = server.get("/userdata?dir=workflows&recurse=true&split=false&full_info=true")
    assert full[0]["path"] == "my flow.json" and full[0]["size"] == 14
    assert {"name": "workflows", "path": "workflows", "type": "directory"} in server.get("/v2/userdata")
    status, _, data = server.request("POST", path + "/move/workflows%2Fb.json?overwrite=false")
    assert (status, json.loads(data)) == (200, "workflows/b.json")
    assert server.request("POST", path + "/move/workflows%2Fc.json")[0] == 404
    assert server.request("DELETE", "/userdata/workflows%2Fb.json")[0] == 204
    assert server.request("DELETE", "/userdata/workflows%2Fb.json")[0] == 404
    assert server.request("GET", "/userdata")[::2] == (400, b"Directory not provided")
    assert server.request("GET", "/userdata?dir=none")[::2] == (404, b"Directory not found")


@pytest.mark.parametrize("name", ["..%2Fqueue", "%2Fetc%2Fpasswd", "a%2F..%2F..%2Fx", "..%5Cx", "link%2Fx"])
def test_userdata_stays_inside(server, name):
    link = server.root / "user" / "link"
    if not link.is_symlink():
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(server.root)
    for method in ("GET", "POST", "DELETE"):
        assert server.request(method, f"/userdata/{name}", b"x" if method == "POST" else None)[0] == 403
    assert server.request("POST", f"/userdata/comfy.settings.json/move/{name}")[0] == 403
    assert server.request("GET", f"/userdata?dir={name}")[0] == 403
    assert not (server.root / "x").exists()


def test_models(server):
    folder = server.root / "models" / "checkpoints" / "sub"
    folder.mkdir(parents=True, exist_ok=True)
    header = json.dumps({"__metadata__": {"modelspec.title": "tiny"}}).encode()
    (folder / "tiny.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    (folder / "bad.safetensors").write_bytes(b"\xff" * 8)
    (folder / "tiny.preview.png").write_bytes(png(size=(6, 3)))
    (folder / "bad.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no model")
    assert "checkpoints" in server.get("/models") and "loras" in server.get("/api/models")
    assert server.get("/models/checkpoints") == ["sub/bad.safetensors", "sub/tiny.safetensors"]
    assert server.request("GET", "/models/nothing")[0] == 404
    kinds = {entry["name"]: entry for entry in server.get("/api/experiment/models")}
    assert ".safetensors" in kinds["checkpoints"]["extensions"] and "configs" not in kinds
    entry = server.get("/api/experiment/models/checkpoints")[1]
    assert entry["name"] == "sub/tiny.safetensors" and entry["pathIndex"] == 0 and entry["size"] == 8 + len(header)
    status, headers, body = server.request("GET", "/experiment/models/preview/checkpoints/0/sub/tiny.safetensors")
    assert status == 200 and headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(body)).format == "WEBP" and Image.open(io.BytesIO(body)).size == (6, 3)
    assert server.request("GET", "/experiment/models/preview/checkpoints/0/sub/bad.safetensors")[0] == 404
    assert server.request("GET", "/experiment/models/preview/checkpoints/0/..%2f..%2fx.safetensors")[0] == 403
    name = urllib.parse.quote("sub/tiny.safetensors")
    assert server.get(f"/view_metadata/checkpoints?filename={name}") == {"modelspec.title": "tiny"}
    for query in ("sub%2Fbad.safetensors", "none.safetensors", "..%2F..%2Fx.safetensors", ""):
        assert server.request("GET", f"/view_metadata/checkpoints?filename={query}")[0] == 404, query
    embeddings = server.root / "models" / "embeddings"
    embeddings.mkdir(exist_ok=True)
    (embeddings / "style.pt").write_text("x")
    assert server.get("/embeddings") == ["style"]


def png(colour=(10, 20, 30, 64), size=(4, 4), mode="RGBA"):
    out = io.BytesIO()
    Image.new(mode, size, colour).save(out, "PNG")
    return out.getvalue()


def test_view_conversions_ranges_and_tags(server):
    assert server.upload("/upload/image", "look.png", png())[0] == 200
    look = {"filename": "look.png", "type": "input"}
    status, headers, whole = server.view(**look, rand="0.5")
    assert status == 200 and whole == png() and headers["accept-ranges"] == "bytes"
    path = "/api/view?filename=look.png&type=input"
    assert server.request("GET", path, headers={"If-None-Match": headers["etag"]})[0] == 304
    status, part, data = server.request("GET", path, headers={"Range": "bytes=1-3"})
    assert (status, data, part["content-range"]) == (206, b"PNG", f"bytes 1-3/{len(whole)}")
    assert server.request("GET", path, headers={"Range": "bytes=9999-"})[0] == 416
    head, head_headers, nothing = server.request("HEAD", path)
    assert (head, nothing, head_headers["content-length"]) == (200, b"", str(len(whole)))
    for query, kind in (("preview=webp;90", "WEBP"), ("preview=jpeg;50", "JPEG"), ("preview=x", "WEBP"),
                        ("preview=jpeg&channel=a", "WEBP"), ("channel=rgb", "PNG"), ("channel=a", "PNG")):
        status, headers, data = server.request("GET", f"{path}&{query}")
        picture = Image.open(io.BytesIO(data))
        assert status == 200 and picture.format == kind and headers["content-type"] == "image/" + kind.lower(), query
        assert 'filename="look.png"' in headers["content-disposition"]
    assert Image.open(io.BytesIO(server.request("GET", path + "&channel=rgb")[2])).mode == "RGB"
    alpha = Image.open(io.BytesIO(server.request("GET", path + "&channel=a")[2]))
    assert alpha.mode == "RGBA" and alpha.getpixel((0, 0)) == (0, 0, 0, 64)
    assert server.view(filename="look.png [input]")[0] == 200


def test_view_stays_inside(server):
    (server.root / "secret.png").write_bytes(png())
    link = server.root / "output" / "link.png"
    link.symlink_to(server.root / "secret.png")
    (server.root / "output" / "away").symlink_to(server.root)
    for query, status in (({}, 404), ({"filename": ""}, 400), ({"filename": "/etc/passwd"}, 400),
                          ({"filename": "../secret.png"}, 400), ({"filename": "a..png"}, 400),
                          ({"filename": "x.png", "type": "root"}, 400),
                          ({"filename": "secret.png", "subfolder": ".."}, 403),
                          ({"filename": "secret.png", "subfolder": "/"}, 403),
                          ({"filename": "secret.png", "subfolder": "away"}, 403),
                          ({"filename": "link.png"}, 403), ({"filename": "none.png"}, 404),
                          ({"filename": "sub/none.png"}, 404)):
        assert server.view(**query)[0] == status, query
    for raw in ("filename=..%2Fsecret.png", "filename=%2e%2e%2fsecret.png", "filename=secret.png&subfolder=%2e%2e",
                "filename=..%5Csecret.png", "filename=%00", "filename=a%0d%0ab"):
        status, _, body = server.request("GET", "/view?" + raw)
        assert status in (400, 403, 404) and body == b"", raw


def test_active_content_is_only_downloaded(server):
    for name in ("page.html", "script.js", "picture.svg", "data.xml"):
        (server.root / "output" / name).write_text("<svg/>")
        _, headers, _ = server.view(filename=name)
        assert headers["content-type"] == "application/octet-stream" and headers["cache-control"] == "no-store"
        assert headers["content-disposition"].startswith("attachment")
        assert headers["x-content-type-options"] == "nosniff"
    _, headers, _ = server.request("GET", "/view?filename=picture.svg", headers={"Sec-Fetch-Dest": "image"})
    assert headers["content-type"] == "image/svg+xml"


def test_uploads(server):
    def upload(name, data, **fields):
        status, _, body = server.upload("/api/upload/image", name, data, **fields)
        return json.loads(body) if status == 200 else status

    one, two = png((1, 1, 1, 1)), png((2, 2, 2, 2))
    assert upload("up.png", one) == {"name": "up.png", "subfolder": "", "type": "input"}
    assert upload("up.png", one)["name"] == "up.png"
    assert upload("up.png", two)["name"] == "up (1).png"
    assert upload("up.png", two, overwrite="true")["name"] == "up.png"
    assert upload("up.png", one, subfolder="pasted") == {"name": "up.png", "subfolder": "pasted", "type": "input"}
    assert (server.root / "input" / "pasted" / "up.png").read_bytes() == one
    assert upload("t.png", one, type="temp")["type"] == "temp"
    assert upload("x.png", one, type="elsewhere") == 400 and upload("", one) == 400
    for name, fields in (("../x.png", {}), ("/tmp/x.png", {}), ("..\\x.png", {}), ("a/../../x.png", {}),
                         ("x.png", {"subfolder": ".."}), ("x.png", {"subfolder": "/tmp"}),
                         ("x.png", {"subfolder": "a/../../.."})):
        assert upload(name, one, **fields) == 400, (name, fields)
    assert not (server.root / "x.png").exists()
    assert server.request("POST", "/upload/image", b"no form", {"Content-Type": "text/plain"})[0] == 400
    assert server.upload("/upload/image", "up.png", one)[0] == 200


def test_masks(server):
    original = Image.new("RGB", (4, 4), (9, 8, 7))
    texts = PngInfo()
    texts.add_text("prompt", "{}")
    original.save(server.root / "output" / "base.png", pnginfo=texts)
    reference = json.dumps({"filename": "base.png"})
    for field, name in (("original_ref", "mask.png"), ("originalRef", "mask2.png")):
        status, _, data = server.upload("/upload/mask", name, png((0, 0, 0, 77)), **{field: reference})
        assert (status, json.loads(data)["name"]) == (200, name)
        made = Image.open(server.root / "input" / name)
        assert made.getpixel((1, 1)) == (9, 8, 7, 77) and made.text["prompt"] == "{}"
    for bad in ("not json", json.dumps({"filename": "../x.png"}), json.dumps({"filename": "none.png"})):
        status, _, _ = server.upload("/upload/mask", "lost.png", png(), original_ref=bad)
        assert status == 200 and not (server.root / "input" / "lost.png").exists()
    assert server.upload("/upload/mask", "lost.png", b"no picture", original_ref=reference)[0] == 400
    assert server.upload("/upload/mask", "lost.png", png(size=(2, 2)), original_ref=reference)[0] == 400


def test_upload_limit(tmp_path):
    server = FakeComfy(tmp_path, "--max-upload", 100_000)
    assert server.upload("/upload/image", "a.bin", b"x" * 90_000)[0] == 200
    assert server.upload("/upload/image", "b.bin", b"x" * 200_000)[0] == 413
    assert server.get("/features")["max_upload_size"] == 100_000
    assert server.stop() == 0
