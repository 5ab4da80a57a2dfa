# SPDX-License-Identifier: Apache-2.0
"""The container engine: use the one that runs, else install and start one of our own, and stop what was started."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import docker
from docker.errors import DockerException

from fleet.errors import UserError
from fleet.paths import LAB_STATE
from lab.containers import firewall

RUNTIME = Path("/run/station-lab")  # a socket's path must stay below 108 characters, wherever the clone lies
SOCKET = RUNTIME / "docker.sock"
PID_FILE = RUNTIME / "docker.pid"
OWNER = RUNTIME / "project"
FIREWALL = RUNTIME / "firewall.json"
BRIDGE = "station-lab"  # named by us, not by the engine: what a dead engine left is known as ours, by any clone
DATA = LAB_STATE / "engine"
PACKAGES = ("docker.io", "iptables", "mmdebstrap")
# On a host whose /sys/fs/cgroup is not a pure v2 tree, containers that run systemd share one cgroup root and
# disturb each other; the daemon then gets a pure v2 tree in a mount namespace of its own.
PRIVATE_CGROUP2 = 'umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec "$@"'


def connect() -> docker.DockerClient:
    """Return a client of the running engine, ours or the machine's.

    Raises:
        UserError: no engine answers, or the machine's own engine cannot run systemd.
    """
    client = _answering(str(SOCKET)) or _answering(None)
    if client is None:
        raise UserError("no container engine answers: start the lab with `make lab`")
    if not _is_ours() and client.info().get("CgroupVersion") != "2":
        raise UserError(
            "the running container engine uses cgroup v1, on which systemd containers disturb each other: "
            "stop it and run `make lab` again, which starts one of its own"
        )
    return client


def start() -> docker.DockerClient:
    """Return a client of an engine that runs, installing and starting one if none does.

    Raises:
        UserError: not root, the packages cannot be installed, or the daemon does not come up.
    """
    refuse_foreign_lab()
    if _answering(str(SOCKET)) is None and _answering(None) is None:
        require_root()
        install_packages()
        _start_daemon()
    return connect()


def stop() -> None:
    """Stop the daemon that `start` started, and remove its data; an engine of the machine is left alone."""
    if not RUNTIME.exists():
        return
    if _is_ours():
        _end(int(PID_FILE.read_text()))
    _remove_leftovers()
    shutil.rmtree(DATA, ignore_errors=True)
    shutil.rmtree(RUNTIME, ignore_errors=True)


def require_root() -> None:
    """Refuse to go on without root.

    Raises:
        UserError: the caller is not root.
    """
    if os.geteuid() != 0:
        raise UserError("the lab needs root (it starts containers that run systemd): run `sudo make lab`")


def refuse_foreign_lab() -> None:
    """Refuse when another clone's lab runs: both would claim the same addresses.

    Raises:
        UserError: another project's engine runs.
    """
    if _is_ours() and OWNER.read_text() != str(LAB_STATE):
        raise UserError(f"the lab of {Path(OWNER.read_text()).parent} is running: `make lab-down` there first")


def install_packages() -> None:
    """Install the engine and the image builder from the distribution where they are missing.

    Raises:
        UserError: no apt, or the packages cannot be installed.
    """
    if shutil.which("dockerd") and shutil.which("mmdebstrap"):
        return
    if not shutil.which("apt-get"):
        raise UserError("no container engine and no apt-get: install Docker and mmdebstrap, then run `make lab` again")
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES],
    ):
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
        if done.returncode != 0:
            reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise UserError(f"cannot install {', '.join(PACKAGES)}: {' '.join(reason)} (is the network up?)")
    if Path("/run/systemd/system").exists():
        # The package starts a service of its own, which nobody asked for and `make lab-down` would leave behind.
        subprocess.run(["systemctl", "disable", "--quiet", "--now", "docker.service", "docker.socket"], check=True)


def _answering(socket: str | None) -> docker.DockerClient | None:
    if socket is not None and not Path(socket).exists():
        return None
    try:
        client = docker.from_env(timeout=60) if socket is None else docker.DockerClient(f"unix://{socket}", timeout=60)
        client.ping()
    except DockerException:
        return None
    return client


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    for _ in range(300):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.1)
    raise UserError(f"the lab's container engine (process {pid}) does not stop: see {LAB_STATE}/engine.log")


def _is_ours() -> bool:
    return PID_FILE.exists() and Path(f"/proc/{PID_FILE.read_text().strip()}").exists()


def _remove_leftovers() -> None:
    """Remove bridge and rules of an engine that ended or was killed: they would rewrite the next lab's senders."""
    if Path("/sys/class/net", BRIDGE).exists():
        subprocess.run(["ip", "link", "delete", BRIDGE], check=True)
    if FIREWALL.exists():
        firewall.remove_docker_rules(FIREWALL, BRIDGE)


def _start_daemon() -> None:
    RUNTIME.mkdir(mode=0o700, exist_ok=True)
    _remove_leftovers()
    firewall.remember(FIREWALL)
    DATA.mkdir(parents=True, exist_ok=True)
    command = [
        "dockerd",
        f"--host=unix://{SOCKET}",
        f"--data-root={DATA}",
        f"--exec-root={RUNTIME}/exec",
        f"--pidfile={PID_FILE}",
        "--bridge=none",  # the lab's network is its own: no docker0 to collide with anything
    ]
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        command = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            PRIVATE_CGROUP2,
            "sh",
            *command,
        ]
    log = LAB_STATE / "engine.log"
    with log.open("w") as stream:
        daemon = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True)
    OWNER.write_text(str(LAB_STATE))
    for _ in range(300):
        if _answering(str(SOCKET)) is not None:
            return
        if daemon.poll() is not None:
            break
        time.sleep(0.2)
    last = log.read_text().strip().splitlines()[-1:]
    raise UserError(f"the container engine did not come up: {' '.join(last)} (whole log: {log})")
