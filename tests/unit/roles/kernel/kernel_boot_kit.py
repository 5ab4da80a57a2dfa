# SPDX-License-Identifier: Apache-2.0
"""A played host: real files and shell, a grub-mkconfig that writes what Debian's 10_linux writes."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roles.kernel.library.kernel_boot import Boot
from roles.kernel.module_utils import kernel_boot_plan as plan
from roles.kernel.module_utils import kernel_grub as grub
from roles.kernel.module_utils.kernel_boot_host import CONFIG, CONFIRMED, DROPIN, SCRIPT, BootError, Host, run_command

RELEASE, REALTIME = "6.12.57-amd64", "6.12.57-rt-amd64"
UUID = "3f1c"
HEADER = """
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="%s"
fi
function savedefault {
  if [ -z "${boot_once}" ]; then
    saved_entry="${chosen}"
    save_env saved_entry
  fi
}
"""
ENTRY = """menuentry '%s' --class gnu-linux $menuentry_id_option '%s' {
\trecordfail
\tsavedefault
\tload_video
\tif [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
\tsearch --no-floppy --fs-uuid --set=root 3f1c
\techo\t'Loading Linux ...'
\tlinux\t/boot/vmlinuz-%s root=UUID=3f1c ro %s
\tinitrd\t/boot/initrd.img-%s
}
"""


@dataclass
class Played:
    """A machine's folder, and the commands it has."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    journal: set[str] = field(default_factory=set)
    failed: str = ""
    log: str = ""

    def host(self) -> Host:
        return Host(self.root, self.run)

    def run(self, words, seconds):
        name = words[0]
        self.calls.append(name)
        if name == "sh":
            return run_command(words, seconds)
        if name == "grub-mkconfig":
            self.mkconfig(Path(words[2]))
        elif name == "grub-editenv" and words[2] == "list":
            return "".join(f"{key}={value}\n" for key, value in self.environment.items())
        elif name == "grub-editenv":
            self.environment.pop(words[3], None)
        elif name == "grub-reboot":
            self.environment["next_entry"] = words[1]
        elif name == "journalctl":
            if words[-1].removeprefix("--boot=") not in self.journal:
                raise BootError("no such boot")
        elif words[:2] == ["systemctl", "is-system-running"]:
            raise BootError("degraded")
        elif name == "systemctl":
            return self.failed
        return self.log

    def mkconfig(self, target: Path) -> None:
        now = self.host().settings(str(self.root / DROPIN[1:]))
        text = HEADER % now.default
        for index, release in enumerate((REALTIME, RELEASE)):
            # 10_linux passes the words on as they are, blanks doubled.
            words = "  ".join((*now.linux, *now.linux_default))
            if index == 0:
                text += ENTRY % ("Debian", f"gnulinux-simple-{UUID}", release, words, release)
                text += f"submenu 'Advanced options' $menuentry_id_option 'gnulinux-advanced-{UUID}' {{\n"
            for kind, more in (("advanced", words), ("recovery", "single")):
                identity = f"gnulinux-{release}-{kind}-{UUID}"
                text += ENTRY % (f"Linux {release} ({kind})", identity, release, more, release)
        text += "}\n"
        script = self.root / SCRIPT[1:]
        if script.exists():
            text += subprocess.run([script], capture_output=True, text=True, check=True).stdout
        target.write_text(text)

    def boot(self) -> None:
        """Do what GRUB and the kernel do."""
        config = grub.parse((self.root / CONFIG[1:]).read_text())
        once = self.environment.pop("next_entry", "")
        line = grub.trial_line(config) if once else grub.resolve(config, self.environment)
        assert line is not None
        self.start(line)

    def start(self, line: plan.Line) -> None:
        proc = self.root / "proc"
        text = " ".join([f"BOOT_IMAGE=/boot/vmlinuz-{line.release}", *line.words])
        (proc / "cmdline").write_text(text + "\n")
        (proc / "sys/kernel/osrelease").write_text(line.release + "\n")
        boot_id = proc / "sys/kernel/random/boot_id"
        boot_id.write_text(f"{int(boot_id.read_text() or 0) + 1 if boot_id.exists() else 1}\n")
        self.journal.add(boot_id.read_text().strip())
        isolated = [word.partition("=")[2] for word in line.words if word.startswith("isolcpus=")]
        (self.root / "sys/devices/system/cpu/isolated").write_text("".join(isolated) + "\n")
        (self.root / "sys/devices/system/cpu/nohz_full").write_text("(null)\n")
        (self.root / CONFIRMED[1:]).unlink(missing_ok=True)

    def module(self, *arguments, release=RELEASE, allowed=True, waited=False, check=False, hugepages=()):
        options = {
            "arguments": list(arguments),
            "release": release,
            "flavour": "generic" if release else "",
            "hugepages": list(hugepages),
            "reboot_allowed": allowed,
            "waited": waited,
        }
        boot = Boot(self.host(), options, check)
        return boot, boot.converge()

    def text(self, name: str) -> str:
        return self.host().text(name)

    def default(self) -> plan.Line | None:
        return grub.resolve(grub.parse(self.text(CONFIG)), self.environment)


def installed(root: Path) -> Played:
    """Return a machine with two kernels, just installed and booted."""
    played = Played(root)
    for folder in ("etc/default/grub.d", "etc/grub.d", "boot/grub", "proc/sys/kernel/random", "sys/devices/system/cpu"):
        (root / folder).mkdir(parents=True)
    for release in (RELEASE, REALTIME):
        for name in ("vmlinuz", "initrd.img"):
            (root / f"boot/{name}-{release}").touch()
    (root / "etc/default/grub").write_text(
        'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT="quiet splash quiet"\n'
        'GRUB_CMDLINE_LINUX="console=ttyS0"\necho noise\n'
    )
    (root / "boot/grub/grubenv").touch()
    played.mkconfig(root / "boot/grub/grub.cfg")
    played.boot()
    return played


def commit(machine, *arguments, **options) -> Any:
    """Try a line on the machine and let the next run make it the default."""
    machine.module(*arguments, **options)
    machine.boot()
    return machine.module(*arguments, waited=True, **options)
