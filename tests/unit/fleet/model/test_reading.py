# SPDX-License-Identifier: Apache-2.0
"""File and line of what is read come from names that Ansible keeps to itself; an upgrade that moves them fails here."""

from __future__ import annotations

from importlib.metadata import version

from ansible._internal._datatag._tags import Origin

from fleet.model.problems import Place
from fleet.model.reading import TolerantLoader, place_of


def test_the_private_name_that_file_and_line_come_from_is_there():
    fields = set(Origin.__dataclass_fields__)
    words = f"ansible-core {version('ansible-core')} keeps file and line elsewhere: mend fleet.model.reading.place_of"
    assert {"path", "line_num", "col_num"} <= fields, words
    assert callable(Origin.get_tag), words


def test_keys_and_values_know_their_file_and_line(tmp_path):
    file = tmp_path / "vars.yml"
    file.write_text("# first\none: text\ntwo:\n  - 5\n")
    content = TolerantLoader().load_from_file(str(file))
    assert [place_of(key) for key in content] == [Place(file, 2), Place(file, 3)]
    assert place_of(content["one"]) == Place(file, 2)
    assert place_of(content["two"][0]) == Place(file, 4)


def test_what_no_file_contains_has_no_place():
    assert place_of("text") is None
