# SPDX-License-Identifier: Apache-2.0
"""Write the skeleton of a role: `python -m tools.new_role NAME [--group GROUP] [--playbook FILE]`.

The skeleton passes `make lint`, and `make unit` fails until it is filled: each place is marked FILL.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import jinja2
import yaml

from fleet.errors import UserError
from fleet.paths import PROJECT

SKELETON = Path(__file__).with_name("skeleton")
NAME = re.compile(r"[a-z][a-z0-9_]{1,30}")
INVENTORIES = ("production", "lab")
FIRST_PORT = 9400
PLAY = re.compile(r"(?=^- name: )", re.MULTILINE)


@dataclass(frozen=True)
class Wish:
    """What a contributor asks for.

    Attributes:
        name: of the role, such as blackbox_exporter.
        group: hosts of this group get it.
        playbook: of the layer, below playbooks/.
    """

    name: str
    group: str
    playbook: str

    @property
    def words(self) -> dict[str, object]:
        """Return what the templates name."""
        dashed = self.name.replace("_", "-")
        camel = "".join(part.capitalize() for part in self.name.split("_"))
        return {"name": self.name, "package": dashed, "unit": f"{dashed}.service", "camel": camel, "port": FIRST_PORT}


def planned(wish: Wish, project: Path) -> dict[Path, str]:
    """Return file -> content of all that is written or changed; nothing is touched.

    Args:
        wish: what to make.
        project: the repository.

    Raises:
        UserError: the name cannot be one, or something of that name is there.
    """
    if not NAME.fullmatch(wish.name):
        raise UserError(f"NAME={wish.name}: write lower-case letters, digits and _, as in blackbox_exporter")
    if (project / "roles" / wish.name).exists():
        raise UserError(f"roles/{wish.name} is there already; choose another NAME or go on with it")
    playbook = project / "playbooks" / f"{wish.playbook}.yml"
    if not playbook.exists():
        layers = ", ".join(
            sorted(file.stem for file in playbook.parent.glob("*.yml") if "\n  roles:\n" in file.read_text())
        )
        raise UserError(f"PLAYBOOK={wish.playbook}: there is no playbooks/{wish.playbook}.yml, only {layers}")
    files = {project / path: text for path, text in _written(wish).items()}
    files[playbook] = _with_play(playbook.read_text(), wish)
    coverage = project / "docs" / "reference" / "coverage.yml"
    files[coverage] = _with_row(coverage.read_text(), _rendered("coverage.yml.j2", wish))
    for inventory in INVENTORIES:
        hosts = project / "inventory" / inventory / "hosts.yml"
        files[hosts] = _with_group(hosts.read_text(), wish.group)
    return files


def _written(wish: Wish) -> dict[str, str]:
    """Return path -> content of the new files."""
    name = wish.name
    found = {
        f"tests/host/test_{name}.py": _rendered("host_test.py.j2", wish),
        f"tests/unit/roles/{name}/test_rules.py": _rendered("rules_test.py.j2", wish),
        f"tests/unit/roles/{name}/alerts/{name}.yml": _rendered("alerts_test.yml.j2", wish),
    }
    for source in sorted((SKELETON / "role").rglob("*.j2")):
        path = str(source.relative_to(SKELETON / "role")).removesuffix(".j2")
        path = path.replace("unit.service", str(wish.words["unit"])).replace("alerts/alerts", f"alerts/{name}")
        found[f"roles/{name}/{path}"] = _rendered(f"role/{source.relative_to(SKELETON / 'role')}", wish)
    return found


def _rendered(name: str, wish: Wish) -> str:
    # Other marks than Ansible's, which the result is full of.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(SKELETON),
        variable_start_string="[[",
        variable_end_string="]]",
        comment_start_string="[#",
        comment_end_string="#]",
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML and Python, no page
    )
    return environment.get_template(name).render(wish.words)


def _with_play(text: str, wish: Wish) -> str:
    """Return a playbook with one play more, made like its last one and behind it."""
    plays = PLAY.split(text.rstrip() + "\n")
    number = max(number for number, play in enumerate(plays) if "\n  roles:\n" in play)
    last = plays[number].rstrip() + "\n"
    layer = yaml.safe_load(last)[0]["name"].partition(":")[0].strip()
    play = re.sub(
        r"^- name: .*$", f'- name: "{layer}: {wish.name.replace("_", " ")}"', last, count=1, flags=re.MULTILINE
    )
    play = re.sub(r"^  hosts: .*$", f"  hosts: {wish.group}", play, count=1, flags=re.MULTILINE)
    head, _, roles = play.partition("  roles:\n")
    first = roles.splitlines()[0]
    first = re.sub(r"role: \w+", f"role: {wish.name}", re.sub(r"tags: \[\w+\]", f"tags: [{wish.name}]", first))
    own = f"{last}\n{head}  roles:\n{first}\n"
    return "".join([*plays[:number], own, *(f"\n{play}" for play in plays[number + 1 :])])


def _with_row(text: str, row: str) -> str:
    """Return coverage.yml with one role more, behind the others."""
    head, roles, rest = text.partition("\nroles:\n")
    inside, *others = re.split(r"\n(?=\w)", rest, maxsplit=1)
    return f"{head}{roles}{inside.rstrip()}\n{row}" + "".join(f"\n{other}" for other in others)


def _with_group(text: str, group: str) -> str:
    """Return a hosts file that has the group; a new one holds the station."""
    if group in yaml.safe_load(text)["all"]["children"]:
        return text
    return f"{text.rstrip()}\n    {group}: {{hosts: {{station: }}}}\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the files and say what is next; 1 when nothing could be written."""
    parser = argparse.ArgumentParser(prog="make new-role", description="Write the skeleton of a role.")
    parser.add_argument("name", help="name of the role, such as blackbox_exporter")
    parser.add_argument("--group", help="hosts of this group get it; the role's own name when not given")
    parser.add_argument("--playbook", default="monitoring", help="playbook of the layer (monitoring)")
    options = parser.parse_args(arguments)
    wish = Wish(options.name, options.group or options.name, options.playbook)
    try:
        files = planned(wish, PROJECT)
    except UserError as error:
        print(f"new-role: {error}", file=sys.stderr)
        return 1
    for file, text in sorted(files.items()):
        known = file.exists()
        if known and file.read_text() == text:
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        print(f"{'changed' if known else 'wrote'}   {file.relative_to(PROJECT)}")
    written = [str(file) for file in files if file.suffix == ".py"]
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", *written], cwd=PROJECT, check=True)
    print(f"next: fill what `grep -rn FILL: roles/{wish.name} tests docs` names, in the order of CONTRIBUTING.md;")
    print("      `make docs lint` is green meanwhile, and `make unit` once nothing is left to fill")
    return 0


if __name__ == "__main__":
    sys.exit(main())
