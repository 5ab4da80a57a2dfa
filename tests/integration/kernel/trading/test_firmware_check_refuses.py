# SPDX-License-Identifier: Apache-2.0
"""Settings that cannot be wanted are refused by name, and a strict inventory fails with one line."""

from typing import Any

HOST = "vm-trading"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"memory_mts": 0}, "firmware_check_wanted.memory_mts: 0 cannot be; write a number of MT/s"),
    ({"link_width": {"0000:01:00.0": 3}}, "a link has 1, 2, 4, 8, 12, 16, 32 lanes"),
    ({"link_width": {"1:0": 1}}, "write PCI address: lanes, such as 0000:01:00.0: 16"),
    ({"microcode_minimum": "new"}, "write a revision such as 0x43b"),
    ({"hyperthreading": True}, "firmware_check_wanted.hyperthreading"),
]


# Whatever the virtual machine's Secure Boot is, one of the two wishes is wrong.
WRONG = [
    {"firmware_check_wanted": {"secure_boot": wanted}, "firmware_check_strict": strict}
    for strict in (True, False)
    for wanted in (True, False)
]


def test_a_wish_that_cannot_be_is_refused_and_a_wrong_setting_fails_the_play_where_the_inventory_is_strict(refusals):
    cases = [{"firmware_check_wanted": wanted} for wanted, _ in REFUSED]
    said = refusals("firmware_check", HOST, [*cases, *WRONG], may_change=True)
    for (wanted, message), words in zip(REFUSED, said[: len(REFUSED)], strict=True):
        assert message in words, wanted
    *strict, first, second = said[len(REFUSED) :]
    (wrong,) = filter(None, strict)
    assert "secure_boot: wanted" in wrong
    assert "Security > Secure Boot" in " ".join(wrong.split())
    assert (first, second) == ("", "")
