# SPDX-License-Identifier: Apache-2.0
"""The lab's hosts: systemd containers with fixed addresses, reached over ssh with known host keys."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import cast

import docker
import yaml
from docker.errors import NotFound
from docker.models.containers import Container
from docker.types import IPAMConfig, IPAMPool

from fleet.errors import UserError
from fleet.paths import LAB_INVENTORY, LAB_STATE
from lab.containers import engine

NETWORK = "station-lab"
SUBNET = ipaddress.ip_network("10.77.0.0/24")
LABEL = "station-lab"
ADMIN = "ops"
CAPABILITIES = ["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "SYS_NICE"]
# Before systemd starts: make what the engine mounts read-only or as a bind mount behave as on a machine. Of /proc/sys
# only net is opened, which belongs to the container; any other key would change the machine underneath.
BOOT = """
set -e
mount -o remount,rw /sys/fs/cgroup
for file in hosts hostname resolv.conf; do
  mountpoint -q /etc/$file || continue
  cp /etc/$file /run/$file
  umount /etc/$file
  install -m 0644 /run/$file /etc/$file
done
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,rw,bind /proc/sys/net
mount --make-rshared /  # as systemd finds it on a machine; without it LoadCredential= cannot mount
test -e /etc/ssh/ssh_host_ed25519_key || ssh-keygen -A
exec /sbin/init
"""
# What an installer or a cloud image's first boot leaves: the admin with a key and sudo.
ADMIN_SETUP = f"""
set -e
id {ADMIN} >/dev/null 2>&1 || useradd --create-home --shell /bin/bash --groups sudo {ADMIN}
echo '{ADMIN} ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/90-installer
chmod 0440 /etc/sudoers.d/90-installer
install -d -m 0700 -o {ADMIN} -g {ADMIN} /home/{ADMIN}/.ssh
echo "$KEY" > /home/{ADMIN}/.ssh/authorized_keys
chown {ADMIN}: /home/{ADMIN}/.ssh/authorized_keys
chmod 0600 /home/{ADMIN}/.ssh/authorized_keys
"""


def planned() -> dict[str, str]:
    """Return the lab's hosts with their addresses, as the inventory lists them."""
    hosts = yaml.safe_load((LAB_INVENTORY / "hosts.yml").read_text())["all"]["hosts"]
    return {name: values["ansible_host"] for name, values in hosts.items()}


def select(names: Iterable[str]) -> dict[str, str]:
    """Return the named hosts with their addresses; no names means all.

    Raises:
        UserError: a name that the lab does not have.
    """
    hosts, wanted = planned(), list(names)
    unknown = [name for name in wanted if name not in hosts]
    if unknown:
        raise UserError(f"no host {', '.join(unknown)} in inventory/lab/hosts.yml: it has {', '.join(hosts)}")
    return {name: hosts[name] for name in wanted} if wanted else hosts


def create(
    client: docker.DockerClient, image: str, hosts: Mapping[str, str], key: Path, say: Callable[[str], None]
) -> None:
    """Create and boot the hosts that are missing, then record their host keys.

    Args:
        client: the engine.
        image: tag of the base image.
        hosts: name -> IPv4 address inside `SUBNET`.
        key: private ssh key whose public half the admin gets.
        say: called with a line on each host that is up.

    Raises:
        UserError: the subnet is in use, or a host does not boot.
    """
    _provide_network(client)
    public_key = key.with_suffix(".pub").read_text().strip()
    for name, address in hosts.items():
        started = time.monotonic()
        container = _container(client, name)
        if container is None:
            container = run(client, image, name, address, {LABEL: name})
        elif container.status != "running":
            container.start()
        wait_booted(container)
        _execute(container, ["sh", "-c", ADMIN_SETUP], {"KEY": public_key})
        say(f"{name:<12} {address}  up in {time.monotonic() - started:.1f} s")
    write_ssh_files(client, key)


def destroy(client: docker.DockerClient, names: Iterable[str]) -> list[str]:
    """Remove the named hosts, and the network once no host is left; return the names removed."""
    removed = []
    for name in names:
        container = _container(client, name)
        if container is not None:
            container.remove(force=True, v=True)
            removed.append(name)
    if not existing(client):
        with contextlib.suppress(NotFound):
            client.networks.get(NETWORK).remove()
    return removed


def existing(client: docker.DockerClient) -> dict[str, Container]:
    """Return the lab's containers by host name, stopped ones too."""
    found = client.containers.list(all=True, filters={"label": LABEL})
    return {container.labels[LABEL]: container for container in found}


def write_ssh_files(client: docker.DockerClient, key: Path) -> None:
    """Write known_hosts and ssh_config for the hosts that run; keys are read through the engine, not the network."""
    known, config = [], []
    addresses = planned()
    for name, container in existing(client).items():
        if container.status != "running":
            continue
        host_key = _execute(container, ["cat", "/etc/ssh/ssh_host_ed25519_key.pub"]).split()[:2]
        known.append(f"{addresses[name]} {' '.join(host_key)}\n")
        config.append(f"Host {name}\n  HostName {addresses[name]}\n")
    common = f'Host *\n  User {ADMIN}\n  IdentityFile "{key}"\n  IdentitiesOnly yes\n'
    common += f'  UserKnownHostsFile "{LAB_STATE}/known_hosts"\n'
    (LAB_STATE / "known_hosts").write_text("".join(known))
    (LAB_STATE / "ssh_config").write_text("".join(config) + common)


def _provide_network(client: docker.DockerClient) -> None:
    try:
        client.networks.get(NETWORK)
    except NotFound:
        taken = _route_into_subnet()
        if taken:
            raise UserError(
                f"the lab's network {SUBNET} is already in use on this machine ({taken}): "
                "choose another one in inventory/lab/hosts.yml and lab/containers/hosts.py"
            ) from None
        pool = IPAMConfig(pool_configs=[IPAMPool(subnet=str(SUBNET))])
        named = {"com.docker.network.bridge.name": engine.BRIDGE}
        client.networks.create(NETWORK, driver="bridge", ipam=pool, options=named, labels={LABEL: "network"})


def _route_into_subnet() -> str | None:
    routes = json.loads(subprocess.run(["ip", "-json", "route"], capture_output=True, text=True, check=True).stdout)
    for route in routes:
        if route["dst"] != "default" and ipaddress.ip_network(route["dst"], strict=False).overlaps(SUBNET):
            return f"{route['dst']} on {route.get('dev', '?')}"
    return None


def _container(client: docker.DockerClient, name: str) -> Container | None:
    return existing(client).get(name)


def run(client: docker.DockerClient, image: str, name: str, address: str, labels: Mapping[str, str]) -> Container:
    """Start a machine that has what an installer leaves, without a user.

    Args:
        client: the engine.
        image: tag of the base image.
        name: of the host.
        address: IPv4 address inside `SUBNET`.
        labels: of the container; what has the lab's belongs to the lab.
    """
    networking = {NETWORK: client.api.create_endpoint_config(ipv4_address=address)}
    return client.containers.run(
        image,
        ["sh", "-c", BOOT],
        name=f"station-lab-{name}",
        hostname=name,
        labels=dict(labels),
        detach=True,
        network=NETWORK,
        networking_config=networking,
        cap_add=CAPABILITIES,
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        cgroupns="private",
        tmpfs={"/run": "", "/run/lock": "", "/tmp": ""},  # noqa: S108 - a mount inside the container, noexec as on a hardened host
        stop_signal="SIGRTMIN+3",
    )


def wait_booted(container: Container) -> None:
    """Return when systemd has started what it starts.

    Raises:
        UserError: the host does not boot.
    """
    state = ""
    for _ in range(240):
        container.reload()
        if container.status == "exited":
            break
        state = run_inside(container, ["systemctl", "is-system-running"])[1].strip()
        if state in {"running", "degraded"}:
            return
        time.sleep(0.25)
    tail = container.logs(tail=3).decode().strip().replace("\n", " | ")
    raise UserError(f"{container.name} did not boot (systemd says {state or 'nothing'}): {tail}")


def run_inside(
    container: Container, command: list[str], environment: dict[str, str] | None = None
) -> tuple[int | None, str]:
    """Run a command in a host through the engine, without ssh; return its exit status and output."""
    code, output = container.exec_run(command, environment=environment)
    return code, cast(bytes, output).decode()  # not streamed, so it is bytes


def _execute(container: Container, command: list[str], environment: dict[str, str] | None = None) -> str:
    code, output = run_inside(container, command, environment)
    if code != 0:
        raise UserError(f"{container.name}: {command[0]} failed: {output.strip()[-300:]}")
    return output
