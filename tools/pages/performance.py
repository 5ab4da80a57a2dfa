# SPDX-License-Identifier: Apache-2.0
"""The page of everything that was measured: one section a measurement, with its method."""

from __future__ import annotations

from pathlib import Path

from fleet.paths import PROJECT
from tools import report
from tools.report import Section

PAGE = PROJECT / "docs" / "reference" / "performance.md"
SECTIONS = (
    Section(
        "site",
        "A run that changes nothing",
        "make bench-site",
        "`playbooks/site.yml` on the lab, whose hosts are containers that share the processors with Ansible. The three "
        "settings take turns, each run opens its own ssh connections, and a run counts only if no host changed or "
        "failed. Value and baseline are medians; spread is the slowest run minus the fastest. The first setting is "
        "ansible-core's own: forks 5, no pipelining, connections kept 60 s; the second is `ansible.cfg`; the third is "
        "`ansible.cfg` with Mitogen, which `make site` uses.",
    ),
    Section(
        "lab",
        "The lab",
        "make lab",
        "From the command to the checked fleet: engine, image, hosts, `site.yml`, `verify`.",
    ),
    Section(
        "halt",
        "The kill switch",
        "make bench-halt",
        "`make halt` on the lab's hosts and on two unused addresses of the lab's network, in turns with plain ssh of "
        "one command (`sudo true`) to the same places, all at once. A run counts only if every host that answers is "
        "halted. Values and baseline are medians. The last latch is the station's, by the time that it bears.",
    ),
    Section(
        "bus",
        "The bus and the journal",
        "make bench-bus",
        "A Redis, a QuestDB and the recorder run as processes of this machine, all on one disk: Redis with appendfsync "
        "everysec and QuestDB with commit mode sync, as the roles set them; QuestDB's heap is 128 MiB. Our client and "
        "the bare client take turns, and the median of the rounds counts. Publish to consume begins before the event "
        "is encoded and ends when another process has decoded it; bare redis-py adds and reads bytes that are ready. "
        "The recorder's own writer appends to the chain in memory, and `station journal verify` verifies it; both are "
        "measured in processor time, and their baseline is the time that hashlib needs for the two hashes of a record. "
        "The bare `questdb` client gets arguments that are ready. In the sustained stream each event is a bar, which "
        "becomes two rows; a rate is sustained if the backlog grows by less than 1 % of the published events. The "
        "recorder is killed while 1,000 events a second go on; afterwards the whole journal verifies and QuestDB holds "
        "every event.",
    ),
    Section(
        "test",
        "Test time",
        "make test",
        "Each stage of `make test` by the clock. A goal is the share of a stage on two processors; a stage that takes "
        "longer does not fail.",
    ),
    Section(
        "test-kernel",
        "Test time, the whole kernel layer",
        "make test-kernel",
        "Two virtual machines side by side, each emulated on a processor of its own where there is no virtualisation.",
    ),
)


def write() -> Path:
    """Write the page: what was measured here is new, of the rest the page keeps what it says. Return the file."""
    PAGE.write_text(report.page(SECTIONS, PAGE.read_text() if PAGE.exists() else ""))
    return PAGE
