# SPDX-License-Identifier: Apache-2.0
"""What role base computes from its variables."""

import base64
import ssl
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.base.filter_plugins import base_settings as bs

ED25519 = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)
KEY = f"ssh-ed25519 {base64.b64encode(ED25519).decode()} operator"
GOOD = {
    "distribution": "Debian",
    "version": "13.1",
    "addresses": {"station": "10.0.0.1", "vps": "fd00::1"},
    "certificates": [],
    "connection_key": "",
    "base_admin_keys": [],
    "base_admin_user": "ops",
    "base_apt_sources": [],
    "base_groups": ["ssh-users"],
    "base_maintenance_window": "Sat 06:00",
    "base_ntp_servers": ["ntp.example"],
    "base_timezone": "Etc/UTC",
}
ARCHIVE = {"name": "debian", "uris": ["https://apt.example/debian"], "suites": ["{release}"], "signed_by": "/k.gpg"}


def refused(**changes: object) -> str:
    found = bs.problems(GOOD | changes)
    assert len(found) == 1, found
    assert "\n" not in found[0]
    return found[0]


def openssl(folder: Path, name: str, *, authority: bool) -> Path:
    path = folder / f"{name}.pem"
    extension = f"basicConstraints=critical,CA:{'TRUE' if authority else 'FALSE'}"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    make += ["-keyout", str(folder / f"{name}.key"), "-out", str(path), "-subj", f"/CN={name}", "-addext", extension]
    subprocess.run(make, check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Path:
    return openssl(folder, "authority", authority=True)


def test_good_settings_are_accepted():
    assert bs.problems(GOOD) == []


@pytest.mark.parametrize(("name", "version"), [("Debian", "12"), ("Debian", "13.2"), ("Ubuntu", "24.04")])
def test_every_supported_system_is_accepted(name, version):
    assert bs.problems(GOOD | {"distribution": name, "version": version}) == []


@pytest.mark.parametrize(("name", "version"), [("Debian", "11.4"), ("Ubuntu", "22.04"), ("Fedora", "42")])
def test_another_system_is_refused_with_those_that_work(name, version):
    said = refused(distribution=name, version=version)
    assert f"{name} {version} is not supported" in said
    assert "Debian 12, Debian 13, Ubuntu 24.04" in said


@pytest.mark.parametrize("name", ["my_host", "Station", "-a", "a" * 64, "a.b"])
def test_a_name_that_is_no_host_name_is_refused(name):
    assert "is no host name" in refused(addresses={name: "10.0.0.1"})


def test_a_name_in_place_of_an_address_is_refused():
    assert "the hosts file needs an IP address" in refused(addresses={"vps": "vps.example"})


def test_root_is_no_administrator():
    assert "base_admin_user is root" in refused(base_admin_user="root")


def test_a_private_key_is_no_public_key():
    assert "entry 1 of base_admin_keys is no ssh public key" in refused(base_admin_keys=["-----BEGIN OPENSSH PRIVATE"])


def test_keys_that_lock_the_connection_out_are_refused():
    other = "ssh-ed25519 " + base64.b64encode(ED25519[:-1] + b"\1").decode()
    assert "locked out" in refused(base_admin_keys=[other], connection_key=KEY)
    assert bs.problems(GOOD | {"base_admin_keys": [other, KEY], "connection_key": KEY}) == []


@given(st.text())
def test_no_text_without_matching_data_is_a_public_key(text):
    assert not bs.is_public_key(f"ssh-ed25519 {text}")


def test_a_misspelt_time_zone_is_refused_with_the_nearest():
    assert refused(base_timezone="Europe/Viena").endswith("write Europe/Vienna")


@pytest.mark.parametrize("zone", ["", "../etc/passwd", "Nowhere/At_all"])
def test_what_is_no_time_zone_at_all_is_refused(zone):
    assert "does not exist" in refused(base_timezone=zone)


@pytest.mark.parametrize("window", ["Saturday 06:00", "Sat 24:00", "6:00", ""])
def test_a_window_that_is_no_time_is_refused(window):
    assert "base_maintenance_window" in refused(base_maintenance_window=window)


def test_a_host_without_a_time_server_is_refused():
    assert "base_ntp_servers is empty" in refused(base_ntp_servers=[])


def test_a_source_without_a_key_path_or_key_is_refused():
    assert "signed_by of debian" in refused(base_apt_sources=[ARCHIVE | {"signed_by": "trusted"}])


def test_a_source_whose_address_is_no_address_is_refused():
    assert "no archive's address" in refused(base_apt_sources=[ARCHIVE | {"uris": ["apt.example/debian"]}])


def test_all_problems_are_told_at_once():
    assert len(bs.problems(GOOD | {"base_admin_user": "root", "base_timezone": "x", "version": "11"})) == 3


def test_an_authority_becomes_one_file_of_its_own(authority):
    (certificate,) = bs.read_certificates([str(authority)])
    assert certificate["problem"] == ""
    assert certificate["path"].startswith("/usr/local/share/ca-certificates/fleet/authority-")
    assert ssl.PEM_cert_to_DER_cert(certificate["content"]) == ssl.PEM_cert_to_DER_cert(authority.read_text())


def test_a_bundle_becomes_a_file_a_certificate(folder, authority):
    second = openssl(folder, "second", authority=True)
    bundle = folder / "bundle.pem"
    bundle.write_text(f"some text\n{authority.read_text()}{second.read_text()}")
    certificates = bs.read_certificates([str(bundle)])
    assert [c["problem"] for c in certificates] == ["", ""]
    assert len({c["path"] for c in certificates}) == 2


def test_a_certificate_that_is_no_authority_is_refused(folder):
    leaf = openssl(folder, "leaf", authority=False)
    assert "no certificate authority's" in bs.read_certificates([str(leaf)])[0]["problem"]


def test_a_private_key_is_refused(authority):
    assert "private key" in bs.read_certificates([str(authority.with_suffix(".key"))])[0]["problem"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"plain text", "holds no PEM certificate"),
        (b"\x30\x82\xff", "not PEM text"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "damaged certificate"),
    ],
)
def test_a_file_that_is_no_certificate_is_refused(tmp_path, content, words):
    (tmp_path / "ca.pem").write_bytes(content)
    (certificate,) = bs.read_certificates([str(tmp_path / "ca.pem")])
    assert words in certificate["problem"]
    assert "ca.pem" in certificate["problem"]


def test_a_missing_certificate_file_is_refused():
    problem = bs.read_certificates(["/no/such/ca.pem"])[0]["problem"]
    assert problem == "/no/such/ca.pem: No such file or directory on the control machine"


def test_entries_of_one_name_share_a_file_and_take_the_code_name():
    security = ARCHIVE | {"uris": ["https://apt.example/security"], "suites": ["{release}-security"]}
    file, _ = bs.apt_files([ARCHIVE | {"components": ["main"]}, security], "Debian", "trixie")
    assert file["path"] == "/etc/apt/sources.list.d/debian.sources"
    assert file["content"] == (
        "# Ansible managed: base_apt_sources\n"
        "Types: deb\nURIs: https://apt.example/debian\nSuites: trixie\nComponents: main\nSigned-By: /k.gpg\n"
        "\n"
        "Types: deb\nURIs: https://apt.example/security\nSuites: trixie-security\nSigned-By: /k.gpg\n"
    )


def test_a_key_given_inline_is_indented_as_deb822_wants_it():
    key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n-----END PGP PUBLIC KEY BLOCK-----\n"
    (file,) = bs.apt_files([ARCHIVE | {"name": "vendor", "signed_by": key}], "Debian", "trixie")
    assert file["content"].endswith(
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----\n"
    )


def test_a_source_of_another_distribution_is_left_out():
    assert bs.apt_files([ARCHIVE], "Ubuntu", "noble") == []
    assert bs.apt_older_forms([ARCHIVE], "Ubuntu") == []


def test_the_distributions_own_entry_takes_the_place_of_sources_list():
    _, file = bs.apt_files([ARCHIVE], "Debian", "trixie")
    assert file["path"] == "/etc/apt/sources.list"
    assert all(line.startswith("#") for line in file["content"].splitlines())


def test_a_vendors_entry_leaves_sources_list_and_removes_what_it_replaces():
    vendor = ARCHIVE | {"name": "vendor", "replaces": ["vendor_stable.list"]}
    folder = "/etc/apt/sources.list.d"
    assert bs.apt_older_forms([vendor], "Debian") == [f"{folder}/vendor.list", f"{folder}/vendor_stable.list"]
