"""Pages against the code they tell about, where no generated table does it."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check_includes  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent


def declared_routes():
    """(method, path) of every route of ComfyUI's API, as src/server declares them."""
    found = set()
    for path in sorted((ROOT / "src/server").glob("*_routes*.cpp")):
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r'(?:\badd(?:_single)?\(|return \{\{)"([A-Z]+)", "([^"]+)"', text))
        loop = r'for \(const char\* path : \{([^}]*)\}\) \{\s*routes\.add\("([A-Z]+)", path'
        for names, method in re.findall(loop, text):
            found |= {(method, name) for name in re.findall(r'"([^"]+)"', names)}
    return found


def told_routes():
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    return set(re.findall(r"`(GET|POST|PATCH|DELETE) (/[^`?]*)[^`]*`", page))


def test_the_api_page_names_every_route_and_no_other():
    declared = {(method, path.replace("/*", "/{file}")) for method, path in declared_routes()}
    assert len(declared) > 40
    assert declared - told_routes() == set(), "docs/api.md does not name these"
    others = {route for route in told_routes() - declared if not route[1].startswith("/v1/")}
    assert others == {("GET", "/"), ("GET", "/health"), ("GET", "/metrics"), ("GET", "/ws")}, "there are no such routes"


def test_contributing_has_the_table_of_modules():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", page, re.MULTILINE)
    told = {name: [] if may == "nothing" else sorted(may.split(", ")) for name, may in rows if name != "apps"}
    assert told == {name: sorted(may) for name, may in check_includes.MODULES.items()}


def test_every_library_of_a_build_has_its_line():
    told = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    lists = re.search(r"^libraries\(\) \{\n(.*?)^\}", (ROOT / "tools/packages.sh").read_text(encoding="utf-8"),
                      re.MULTILINE | re.DOTALL)
    packages = re.findall(r"\b[a-z][\w.+-]*-dev\b", lists[1])
    assert len(packages) > 12
    assert [name for name in packages if f"`{name}`" not in told] == []
