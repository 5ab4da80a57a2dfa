# SPDX-License-Identifier: Apache-2.0
"""What role base computes from its variables."""

import ssl
import subprocess
from pathlib import Path

import pytest

from roles.base.filter_plugins import base_settings as bs

ARCHIVE = {"name": "debian", "uris": ["https://apt.example/debian"], "suites": ["{release}"], "signed_by": "/k.gpg"}


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


@pytest.mark.parametrize(("name", "version"), [("Debian", "12"), ("Debian", "13.2"), ("Ubuntu", "24.04")])
def test_every_supported_system_is_accepted(name, version):
    assert bs.host_problems(name, version) == []


@pytest.mark.parametrize(("name", "version"), [("Debian", "11.4"), ("Ubuntu", "22.04"), ("Fedora", "42")])
def test_another_system_is_refused_with_those_that_work(name, version):
    (said,) = bs.host_problems(name, version)
    assert f"{name} {version} is not supported" in said
    assert "Debian 12, Debian 13, Ubuntu 24.04" in said


def test_the_hosts_file_has_each_address_with_the_short_name_of_a_host_with_a_domain():
    found = bs.hosts_entries({"vps.example.com": "10.0.0.2", "a": "10.0.0.1", "far": "far.example.com", "here": ""})
    assert [(entry["address"], entry["names"]) for entry in found] == [
        ("10.0.0.1", "a"),
        ("10.0.0.2", "vps.example.com vps"),
    ]


def test_a_unit_that_must_not_restart_becomes_a_pattern_that_perl_reads():
    units = {
        "redis": [
            {"name": "redis-server@bus.service", "restart": False},
            {"name": "exporter.service", "restart": True},
        ],
        "services": [{"name": "station@*.service", "restart": False}],
    }
    assert bs.needrestart_patterns(units) == [r"^redis\-server\@bus\.service", r"^station\@.*\.service"]


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
