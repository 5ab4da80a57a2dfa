# SPDX-License-Identifier: Apache-2.0
"""Reading YAML as Ansible does, with file and line of every key, and with broken files reported instead of raised."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import AnsibleVaultError, AnsibleVaultFormatError
from ansible.parsing.yaml.loader import AnsibleLoader

from fleet.model import written
from fleet.model.problems import Place, Problem
from fleet.model.warnings import heard

try:
    # Ansible remembers file, line and column of every YAML key and value; it offers no public name for that yet.
    from ansible._internal._datatag._tags import Origin
except ImportError as error:  # pragma: no cover - the locked version has it, and a test asks for it by name
    raise ImportError("this ansible-core keeps file and line elsewhere: install the locked one (make setup)") from error

_BEFORE_A_RUN = "put the password in .vault-password beside it, or name its file in ANSIBLE_VAULT_PASSWORD_FILE"
_IN_A_RUN = (
    "this run lacks the password: start it with make, or give --vault-id NAME@FILE or ANSIBLE_VAULT_PASSWORD_FILE"
)
VAULT_HEADER = "$ANSIBLE_VAULT;"


def place_of(value: object) -> Place | None:
    """Return where a key or value was written, or None for one that no file contains."""
    origin = value if isinstance(value, Origin) else Origin.get_tag(value)
    if origin is None or origin.path is None:
        return None
    return Place(Path(origin.path), origin.line_num or 1)


class TolerantLoader(DataLoader):
    """Ansible's loader, except that a file it cannot read counts as empty and becomes a problem.

    Attributes:
        problems: file -> what is wrong with it.
        mappings: files that hold variables, so that anything but a mapping is a problem of theirs.
        texts: file -> its text, decrypted.
        encrypted: files that were encrypted as a whole.
    """

    def __init__(self, in_a_run: bool = False) -> None:
        """Make a loader.

        Args:
            in_a_run: a run of Ansible asks, so that only its own passwords count.
        """
        super().__init__()
        self._remedy = _IN_A_RUN if in_a_run else _BEFORE_A_RUN
        self.problems: dict[Path, Problem] = {}
        self.mappings: set[Path] = set()
        self.texts: dict[Path, str] = {}
        self.encrypted: set[Path] = set()

    def load_from_file(self, file_name: str, **options: Any) -> Any:
        """Return the content of a YAML file, decrypted; an empty mapping when it cannot be read."""
        file = Path(file_name)
        if file not in self.problems:
            problem = self._unreadable(file)
            if problem is None:
                content = self._content(file, options)
                if file in self.problems or not self._misshapen(file, content):
                    return content
            else:
                self.problems[file] = problem
        return {}

    def load(self, data: str, *arguments: Any, **options: Any) -> Any:
        """Return the content of a text; JSON is read as the YAML that it is too, for the sake of its lines."""
        with heard():  # of keys that are written twice, which `written` reports with both lines
            if data.lstrip().startswith(("{", "[")):
                with suppress(yaml.YAMLError):  # with tabs it is JSON alone
                    return yaml.load(data, Loader=AnsibleLoader)  # noqa: S506 - Ansible's own loader is a safe one
            return super().load(data, *arguments, **options)

    def get_text_file_contents(self, file_name: str, encoding: str | None = None) -> str:
        """Return the text of a file, decrypted, and remember it."""
        text: str = super().get_text_file_contents(file_name, encoding)
        if written.refers_to_itself(str(text)):
            raise AnsibleError("an alias refers to what contains it")
        self.texts[Path(file_name)] = str(text)
        return text

    def _unreadable(self, file: Path) -> Problem | None:
        try:
            content = file.read_bytes()
        except OSError as error:
            wrong, right = f"cannot be read: {error.strerror}", "give the user who runs this a file that can be read"
            return Problem(Place(file), "-", file.name, wrong, right)
        if content.startswith(VAULT_HEADER.encode()):
            self.encrypted.add(file)
            return None
        try:
            content.decode()
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            wrong = f"is no UTF-8 text: byte 0x{content[error.start]:02x}"
            return Problem(Place(file, line), "-", file.name, wrong, "save it as UTF-8 in the editor")
        return None

    def _content(self, file: Path, options: Mapping[str, Any]) -> Any:
        try:
            # Whatever the caller asks: nothing here changes what it reads, so a file is parsed once and never copied.
            return super().load_from_file(str(file), **{**options, "cache": "all", "unsafe": True})
        except AnsibleVaultFormatError as error:
            wrong, right = f"is a damaged vault file ({_first_line(error)})", "take it from git or a backup again"
            self.problems[file] = Problem(Place(file), "-", file.name, wrong, right)
        except AnsibleVaultError as error:
            wrong = f"cannot be decrypted ({_first_line(error)})"
            self.problems[file] = Problem(Place(file), "-", file.name, wrong, self._remedy)
        except (AnsibleError, ValueError, RecursionError) as error:
            place = place_of(getattr(error, "obj", None)) or Place(file)
            if file in self.encrypted and file not in self.texts:
                wrong, right = f"is a damaged vault file ({_first_line(error)})", "take it from git or a backup again"
            else:
                wrong, right = f"invalid YAML: {_first_line(error)}", "mend the syntax"
            self.problems[file] = Problem(place, "-", file.name, wrong, right)
        return {}

    def _misshapen(self, file: Path, content: Any) -> bool:
        if file not in self.mappings or content is None or isinstance(content, Mapping):
            return False
        wrong = f"holds {written.kind(content)} where variables are due"
        place = place_of(content) or Place(file)
        self.problems[file] = Problem(place, "-", file.name, wrong, "write each variable as `name: value`")
        return True


def _first_line(error: BaseException) -> str:
    lines = str(getattr(error, "message", error)).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
