"""uv.lock, poetry.lock or Pipfile.lock -> requirements with hashes, of what production needs on this machine.

Arguments: the lock file, the file to write, and of a workspace of uv the folder of the project that is built. Folders
of the workspace that the project needs are written to a second file, a line each, with `.folders` after its name.
Exit code 1 with a message where the lock can't be used.
"""

import json
import re
import sys
import tomllib
from pathlib import Path

from pip._vendor.packaging.markers import Marker
from pip._vendor.packaging.requirements import Requirement


def fail(message):
    sys.exit(f"Python: {message}")


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def applies(marker, extras=("",)):
    if not marker:
        return True
    return any(Marker(marker).evaluate({"extra": extra}) for extra in extras)


def walk(packages, wanted, edges):
    """Names that are reached from `wanted`, a list of (name, extras); `edges` gives a package's own such list."""
    seen = {}
    todo = list(wanted)
    while todo:
        name, extras = todo.pop()
        if name not in packages:
            fail(f"the lock file does not have {name}, which is needed: write it anew")
        known = seen.setdefault(name, set())
        fresh = set(extras) | {""}
        if fresh <= known:
            continue
        known |= fresh
        todo += edges(packages[name], known)
    return sorted(seen)


def is_below(folder):
    return isinstance(folder, str) and not folder.startswith("/") and ".." not in folder.split("/")


def read_uv(lock, member, folders):
    packages = {}
    root = None
    for each in lock.get("package", []):
        name = normal(each["name"])
        source = each.get("source", {})
        own = source.get("virtual", source.get("editable"))
        if own == member:
            root = each
            continue
        if not {"registry"} & source.keys() and not is_below(own):
            fail(f"{name} comes from {next(iter(source), 'nowhere')}, and only a registry's packages are installed")
        if name in packages and not applies(" or ".join(each.get("resolution-markers", []))):
            continue
        packages[name] = each
    if root is None:
        fail(f"uv.lock does not have the project itself ({member}): is it a workspace's?")

    def edges(package, extras=()):
        listed = list(package.get("dependencies", []))
        for extra in extras:
            listed += package.get("optional-dependencies", {}).get(extra, [])
        return [(normal(d["name"]), d.get("extra", [])) for d in listed if applies(d.get("marker"))]

    for name in walk(packages, edges(root), edges):
        each = packages[name]
        if "registry" not in each["source"]:
            # One that is virtual is no package: its needs are installed, and it is not.
            folders += [each["source"]["editable"]] if "editable" in each["source"] else []
            continue
        files = each.get("wheels", []) + ([each["sdist"]] if "sdist" in each else [])
        yield name, each["version"], [file["hash"] for file in files if "hash" in file]


def poetry_roots(pyproject):
    listed = [Requirement(text) for text in pyproject.get("project", {}).get("dependencies", [])]
    roots = [(normal(each.name), each.extras) for each in listed if applies(str(each.marker or ""))]
    for name, value in pyproject.get("tool", {}).get("poetry", {}).get("dependencies", {}).items():
        table = value if isinstance(value, dict) else {}
        if name != "python" and not table.get("optional") and applies(table.get("markers")):
            roots.append((normal(name), table.get("extras", [])))
    return roots


def read_poetry(lock):
    packages = {}
    for each in lock.get("package", []):
        name = normal(each["name"])
        if each.get("source", {}).get("type", "legacy") != "legacy":
            fail(f"{name} comes from {each['source']['type']}, and only a registry's packages are installed")
        if name in packages and not applies(each.get("markers") if isinstance(each.get("markers"), str) else None):
            continue
        packages[name] = each

    def edges(package, extras=()):
        optional = {}
        for extra, items in package.get("extras", {}).items():
            for item in items:
                optional.setdefault(normal(re.split(r"[\s(\[;<>=!~]", item)[0]), set()).add(extra)
        found = []
        for name, value in package.get("dependencies", {}).items():
            for table in value if isinstance(value, list) else [value]:
                table = table if isinstance(table, dict) else {}
                if table.get("optional") and not optional.get(normal(name), set()) & set(extras):
                    continue
                if applies(table.get("markers"), tuple(extras) or ("",)):
                    found.append((normal(name), table.get("extras", [])))
        return found

    roots = poetry_roots(tomllib.loads(Path("pyproject.toml").read_text("utf8")))
    for name in walk(packages, roots, edges):
        yield name, packages[name]["version"], [file["hash"] for file in packages[name].get("files", [])]


def read_pipfile(lock):
    for name, each in lock.get("default", {}).items():
        if not applies(each.get("markers")):
            continue
        if "version" not in each:
            fail(f"{name} does not come from a registry, and only a registry's packages are installed")
        yield normal(name), each["version"].removeprefix("=="), each.get("hashes", [])


def main(path, target, member="."):
    folders = []
    text = Path(path).read_text("utf8")
    lock = json.loads(text) if path == "Pipfile.lock" else tomllib.loads(text)
    reader = {"uv.lock": lambda lock: read_uv(lock, member, folders), "poetry.lock": read_poetry, "Pipfile.lock": read_pipfile}[path]
    lines = []
    for name, version, hashes in reader(lock):
        if not hashes:
            fail(f"{path} has no hash for {name}, so what is downloaded could not be checked: write it anew")
        lines.append(" ".join([f"{name}=={version}", *(f"--hash={each}" for each in sorted(set(hashes)))]))
    Path(target).write_text("".join(f"{line}\n" for line in lines))
    Path(f"{target}.folders").write_text("".join(f"{folder}\n" for folder in folders))


main(*sys.argv[1:])
