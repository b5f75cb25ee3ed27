"""The page's three files as they lie in the tree."""
import pathlib
import re

WEB = pathlib.Path(__file__).resolve().parents[2] / "web"
NAMES = ("index.html", "app.js", "style.css")


def test_together_they_are_below_60_kb():
    assert sum((WEB / name).stat().st_size for name in NAMES) < 60_000
    assert sorted(path.name for path in WEB.iterdir()) == sorted(NAMES)


def test_they_name_nothing_outside_the_server():
    for name in NAMES:
        text = (WEB / name).read_text()
        assert re.findall(r"""(?:src|href|url|import)\s*[=(]\s*["']?(?:https?:)?//[^\s"')]*""", text) == []


def test_every_id_the_script_asks_for_is_in_the_page():
    page, script = (WEB / "index.html").read_text(), (WEB / "app.js").read_text()
    asked = set(re.findall(r'el\("([\w-]+)"\)', script))
    assert asked - set(re.findall(r'id="([\w-]+)"', page)) == set()


def test_the_policy_finds_nothing_inline():
    page = (WEB / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", page) == []
    assert ".innerHTML" not in (WEB / "app.js").read_text() and "eval(" not in (WEB / "app.js").read_text()
