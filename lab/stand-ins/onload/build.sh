#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds two packages with the names of AMD's Onload: a wrapper that understands --profile and an empty kernel module that
# DKMS builds. They let the role be tried where the vendor's download and card are not; about the bypass they prove nothing.
#   build.sh DIRECTORY [VERSION [good|broken|source]]
# broken: the module does not compile. source: one source release instead, with the vendor's script that makes the packages.
# Prints the files as the variable onload_packages, in JSON.
set -eu

out=$1
version=${2:-9.2.1.0}
kind=${3:-good}
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The same input gives the same bytes, so a pinned checksum lasts.
export SOURCE_DATE_EPOCH=1700000000

control() { # PACKAGE ARCHITECTURE DEPENDS
  mkdir -p "$work/$1/DEBIAN"
  cat >"$work/$1/DEBIAN/control" <<END
Package: $1
Version: $version
Architecture: $2
Maintainer: Station <root@localhost>
Depends: $3
Description: stand-in for AMD's $1, without any network bypass
END
}

user_package() {
  root=$work/onload-user
  control onload-user all "kmod"
  profiles=$root/usr/libexec/onload/profiles
  mkdir -p "$root/usr/bin" "$profiles"
  for profile in latency latency-best safe throughput; do
    printf '# stand-in for the profile %s\nonload_set EF_POLL_USEC 100000\n' "$profile" >"$profiles/$profile.opf"
  done
  cat >"$root/usr/bin/onload" <<'END'
#!/bin/sh
# Stand-in for AMD's wrapper: reads profiles as the real one does, says its arguments, and starts the command without a bypass.
profiles=/usr/libexec/onload/profiles
onload_set() { eval "[ -n \"\${$1-}\" ] || export $1=$2"; }
onload_import() {
  [ -f "$profiles/$1.opf" ] || { echo "onload: ERROR: Cannot find profile '$1'" >&2 && exit 3; }
  . "$profiles/$1.opf"
}
echo "onload stand-in: $*" >&2
while :; do
  case ${1-} in
    --version) echo "Onload stand-in"; exit ;;
    --profile=*) onload_import "${1#--profile=}"; shift ;;
    *) break ;;
  esac
done
exec "$@"
END
  chmod 0755 "$root/usr/bin/onload"
}

dkms_package() {
  root=$work/onload-dkms
  control onload-dkms all "dkms, onload-user (= $version)"
  source=$root/usr/src/onload-$version
  mkdir -p "$source"
  cat >"$source/dkms.conf" <<END
PACKAGE_NAME=onload
PACKAGE_VERSION=$version
BUILT_MODULE_NAME[0]=onload
DEST_MODULE_LOCATION[0]=/extra
AUTOINSTALL=yes
# A build takes minutes under emulation, so there is none for the kernel that does not run.
BUILD_EXCLUSIVE_KERNEL="^\$(uname -r | sed s/[+.]/./g)\$"
END
  echo 'obj-m := onload.o' >"$source/Makefile"
  {
    echo '#include <linux/module.h>'
    [ "$kind" = broken ] && echo '#error "the kernel is newer than this release"'
    printf 'MODULE_LICENSE("GPL");\nMODULE_VERSION("%s");\nMODULE_DESCRIPTION("Stand-in, does nothing");\n' "$version"
  } >"$source/onload.c"
  cat >"$root/DEBIAN/postinst" <<END
#!/bin/sh
set -e
[ "\$1" != configure ] || /usr/lib/dkms/common.postinst onload $version "" "" "\$2"
END
  cat >"$root/DEBIAN/prerm" <<END
#!/bin/sh
set -e
dkms remove -m onload -v $version --all >/dev/null 2>&1 || true
END
  chmod 0755 "$root/DEBIAN/postinst" "$root/DEBIAN/prerm"
}

pack() { # DIRECTORY
  for package in onload-user onload-dkms; do
    chmod -R u=rwX,go=rX "$work/$package"
    dpkg-deb --root-owner-group -Zgzip --build "$work/$package" "$1/${package}_${version}_all.deb" >/dev/null
  done
}

user_package
dkms_package
files="onload-user_${version}_all.deb onload-dkms_${version}_all.deb"
if [ "$kind" = source ]; then
  release=$work/tree/onload-$version
  mkdir -p "$release/scripts"
  pack "$release"
  cat >"$release/scripts/onload_mkpackage" <<'END'
#!/bin/sh
# Stand-in for the vendor's script: "builds" the packages that lie beside it.
set -eu
while [ $# -gt 0 ]; do
  case $1 in --resultdir) shift; result=$1 ;; esac
  shift
done
mkdir -p "$result"
cp "$(dirname "$0")"/../*.deb "$result/"
END
  chmod 0755 "$release/scripts/onload_mkpackage"
  files=onload-$version.tgz
  tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
    --directory="$work/tree" . | gzip --no-name >"$out/$files"
else
  pack "$out"
fi

cd "$out"
separator='['
for file in $files; do
  printf '%s{"file": "%s/%s", "sha256": "%s"}' "$separator" "$(pwd)" "$file" "$(sha256sum "$file" | cut -d' ' -f1)"
  separator=', '
done
echo ']'
