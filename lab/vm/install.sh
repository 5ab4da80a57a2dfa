#!/bin/sh
# What an installer does after the packages, inside the new root: boot loader, network, the user that the plays log in as.
# Called by mmdebstrap with the root as its argument; FILESYSTEM is the UUID that the root will have.
set -eu
root=$1

cat > "$root/etc/fstab" <<END
UUID=$FILESYSTEM / ext4 errors=remount-ro 0 1
END
echo kernelvm > "$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 kernelvm\n' > "$root/etc/hosts"
echo nameserver 10.0.2.3 > "$root/etc/resolv.conf"

# The first card is the uplink; the second is for measurements and has no way out.
cat > "$root/etc/systemd/network/20-uplink.network" <<END
[Match]
Driver=virtio_net
[Network]
DHCP=ipv4
END
cat > "$root/etc/systemd/network/20-lab.network" <<END
[Match]
Driver=e1000e
[Network]
Address=10.77.9.2/24
LinkLocalAddressing=no
END
chroot "$root" systemctl enable --quiet systemd-networkd.service ssh.service
# Software emulation boots in minutes, and apt's own timers would compete with the test for its two cores.
chroot "$root" systemctl mask --quiet systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer

mkdir -p "$root/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultTimeoutStartSec=600\nDefaultDeviceTimeoutSec=600\n' > "$root/etc/systemd/system.conf.d/emulation.conf"

chroot "$root" useradd --create-home --shell /bin/bash --groups sudo ops
echo 'ops ALL=(ALL) NOPASSWD: ALL' > "$root/etc/sudoers.d/ops"
chmod 0440 "$root/etc/sudoers.d/ops"

for file in "$root"/boot/vmlinuz-*; do
  case $file in *-rt-*) ;; *) kernel=${file##*/} ;; esac
done
# An emulated processor flushes its page tables at every switch between kernel and user space that a mitigation makes.
arguments="console=ttyS0 mitigations=off"
# A machine that the firmware starts: GRUB as the removable-media loader, its modules and menu where update-grub keeps them.
cat > "$root/etc/default/grub" <<END
GRUB_DEFAULT=0
GRUB_TIMEOUT=1
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX_DEFAULT="quiet"
GRUB_CMDLINE_LINUX="$arguments"
GRUB_TERMINAL=serial
# By its own order the realtime kernel would come first.
GRUB_TOP_LEVEL=/boot/$kernel
END
mkdir -p "$root/boot/grub/x86_64-efi"
cp "$root"/usr/lib/grub/x86_64-efi/*.mod "$root"/usr/lib/grub/x86_64-efi/*.lst "$root/boot/grub/x86_64-efi/"
chroot "$root" grub-editenv - create
# update-grub has to see the disk; until the first boot one entry does, for the kernel that it will put first.
# All that the small initial file system has to have (disk.py); a general one takes a quarter of a minute under emulation.
printf 'virtio_pci\nvirtio_blk\next4\n' >> "$root/etc/initramfs-tools/modules"
chroot "$root" update-initramfs -u -k all
cat > "$root/boot/grub/grub.cfg" <<END
set timeout=0
search --no-floppy --fs-uuid --set=root $FILESYSTEM
menuentry 'Debian' {
  linux /boot/$kernel root=UUID=$FILESYSTEM ro $arguments quiet
  initrd /boot/initrd.img-${kernel#vmlinuz-}
}
END
# The loader on the EFI partition knows only how to find that menu. Without these modules in it, it would search for ever.
cat > "$root/tmp/loader.cfg" <<END
insmod part_gpt
insmod ext2
insmod search_fs_uuid
search --no-floppy --fs-uuid --set=root $FILESYSTEM
set prefix=(\$root)/boot/grub
configfile \$prefix/grub.cfg
END
chroot "$root" grub-mkstandalone --format=x86_64-efi --output=/boot/loader.efi \
  --modules="part_gpt ext2 search_fs_uuid" boot/grub/grub.cfg=/tmp/loader.cfg
rm "$root/tmp/loader.cfg"
