# SPDX-License-Identifier: Apache-2.0
"""The pages a person reads: links lead somewhere, commands exist, variables have the names that roles know."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fleet.model.model import Fleet
from fleet.paths import INVENTORIES, PROJECT

PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
VERB = re.compile(r"(?:^|[`$&]|sudo) ?make ((?:[a-z-]+ )*[a-z-]+)", re.MULTILINE)
MODULE = re.compile(r"python -m ((?:fleet|lab|tools|tests)[.a-z]*)")
PATH = re.compile(
    r"`((?:docs|fleet|group_vars|inventory|lab|molecule|playbooks|plugins|requirements|roles|services|tests|tools)/[\w./-]*)`"
)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def name(page: Path) -> str:
    return str(page.relative_to(PROJECT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_page_and_a_heading(page):
    for link in LINK.findall(page.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{name(page)}: {link}"
        assert not anchor or anchor in anchors(target), f"{name(page)}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_exists(page):
    makefile = (PROJECT / "Makefile").read_text()
    verbs = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = page.read_text()
    for words in VERB.findall(text):
        assert words.split()[0] in verbs, f"{name(page)}: make {words}"
    for module in MODULE.findall(text):
        path = PROJECT / module.rstrip(".").replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), f"{name(page)}: {module}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_path_exists_or_is_made_on_the_users_machine(page):
    made = re.compile(r"secrets\.yml$|/\.vault-password$|local\.yml$|/aibox2\.yml$")
    for path in PATH.findall(page.read_text()):
        assert made.search(path) or (PROJECT / path).exists(), f"{name(page)}: {path}"


def test_every_role_variable_that_a_page_names_exists():
    fleet = Fleet.load(INVENTORIES / "production", PROJECT)
    project = fleet.project
    # A group may begin like a role: kernel_tuned.
    known = {option for role in project.role_names for option in project.role(role).options} | set(fleet.members)
    pattern = re.compile(rf"`((?:{'|'.join(project.role_names)})_[a-z_]+)`")
    for page in PAGES:
        for variable in pattern.findall(page.read_text()):
            assert variable in known, f"{name(page)}: {variable}"


def test_the_picture_is_well_formed_and_names_every_host():
    picture = (PROJECT / "docs" / "fleet.svg").read_text()
    words = {element.text for element in ElementTree.fromstring(picture).iter()}  # noqa: S314 - ours
    assert set(Fleet.load(INVENTORIES / "production", PROJECT).hosts) <= words
