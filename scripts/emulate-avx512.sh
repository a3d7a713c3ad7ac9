#!/usr/bin/env bash
# Run one statically linked x86-64 Linux program on an emulated CPU that has
# AVX-512, so that AVX-512 code can be checked on a machine without it.
#
#   scripts/emulate-avx512.sh PROGRAM [ARGS...]
#
# The program goes into an initramfs, which Bochs boots with a Debian kernel.
# Its stdout, stderr and exit code come out as the script's own. It sees no
# other files, no stdin, no network and one CPU, and runs about a hundred times
# slower than on the host, so this is for checking results, not speed.
#
#   I2M2_EMULATOR_LIMIT  seconds before the emulator is killed (default 1800)
#   I2M2_EMULATOR_CPU    Bochs CPU model (default corei7_skylake_x;
#                        corei7_icelake_u adds VNNI, VBMI, IFMA and others)
#
# Exit codes of the script itself: 2 wrong usage or something is missing, 124
# the time limit was reached, 125 the guest ended without an exit code.
set -euo pipefail

die() { echo "emulate-avx512: $2" >&2; exit "$1"; }
is_static() { [[ $(LC_ALL=C ldd "$1" 2>&1) =~ 'statically linked'|'not a dynamic' ]]; }

[[ $# -ge 1 ]] || die 2 "usage: $0 PROGRAM [ARGS...]"
program=$1; shift
[[ -f $program && -x $program ]] || die 2 "$program is not an executable file"
is_static "$program" || die 2 "$program is not statically linked"

isolinux=/usr/lib/ISOLINUX/isolinux.bin
ldlinux=/usr/lib/syslinux/modules/bios/ldlinux.c32
bios=/usr/share/bochs/BIOS-bochs-latest vgabios=/usr/share/bochs/VGABIOS-lgpl-latest
missing=()
for item in bochs:/usr/bin/bochs bochs-term:/usr/lib/\*/bochs/plugins/libbx_term_gui.so \
    "bochsbios:$bios" "vgabios:$vgabios" "isolinux:$isolinux" "syslinux-common:$ldlinux" \
    genisoimage:/usr/bin/genisoimage cpio:/bin/cpio; do
    compgen -G "${item#*:}" >/dev/null || missing+=("${item%%:*}")
done
is_static /bin/busybox || missing+=(busybox-static)
[[ ${#missing[@]} -eq 0 ]] || die 2 "missing tools, install them with:
apt-get install --no-install-recommends ${missing[*]}"

tmp=${TMPDIR:-/tmp} pid=
work=$(mktemp -d "$tmp/i2m2-emulator-run.XXXXXX")
# KILL, because Bochs can survive a SIGTERM.
trap '[[ -z $pid ]] || kill -KILL "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT

# The kernel is unpacked from its package once, not installed. The cloud kernel
# is small and unpacks itself quickly (LZ4), which counts under emulation.
kernel=$tmp/i2m2-emulator/vmlinuz
if [[ ! -e $kernel ]]; then
    (cd "$work" && package=$(apt-cache depends linux-image-cloud-amd64 |
        awk '/Depends: linux-image/ { print $2; exit }') &&
        apt-get -o APT::Sandbox::User=root download "$package" &&
        dpkg-deb --fsys-tarfile "$package"_*.deb | tar -x ./boot) >&2 ||
        die 2 "cannot download a kernel package; try apt-get update first"
    mkdir -p "${kernel%/*}"
    mv "$work"/boot/vmlinuz-* "$kernel"
fi

# ttyS0 is the kernel's console. stdout, stderr and the exit code have a serial
# port each, so that nothing has to be told apart afterwards.
root=$work/root iso=$work/iso quoted=
mkdir -p "$root"/{bin,dev,proc,sys,tmp} "$iso"
cp /bin/busybox "$root/bin/busybox"
cp "$program" "$root/program"
for argument; do quoted+=" '${argument//\'/\'\\\'\'}'"; done
cat >"$root/init" <<EOF
#!/bin/busybox sh
busybox mount -t devtmpfs dev /dev
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
for i in 1 2 3; do busybox stty -F /dev/ttyS\$i raw -echo 115200; done
/program$quoted </dev/null >/dev/ttyS1 2>/dev/ttyS2
echo \$? >/dev/ttyS3
busybox reboot -f
EOF
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc -R 0:0 --quiet) >"$iso/initrd"

# clearcpuid: Bochs 2.7 gives wrong sizes for the compacted xsave format and for
# PKU, at which Linux turns all of AVX off; with FSRM (Ice Lake) the boot hangs.
# tsc_early_khz: the model's nominal frequency is not the emulated one, and
# kernel delays would be that much longer. reboot=t: Bochs exits at a triple
# fault; panic=-1: at a kernel panic too. The rest is for a short boot.
ips=50000000 # about what Bochs reaches, so guest time is near real time
cat >"$iso/isolinux.cfg" <<EOF
default linux initrd=initrd console=ttyS0 quiet loglevel=1 clearcpuid=xsavec,xsaves,pku,fsrm tsc_early_khz=$((ips / 1000)) tsc=reliable reboot=t panic=-1 acpi=off nokaslr mitigations=off cryptomgr.notests
EOF
cp "$kernel" "$iso/linux"
cp "$isolinux" "$ldlinux" "$iso/"
genisoimage -quiet -o "$work/boot.iso" -b isolinux.bin -c boot.cat \
    -no-emul-boot -boot-load-size 4 -boot-info-table "$iso" >&2

cat >"$work/bochsrc" <<EOF
config_interface: textconfig
display_library: term
cpu: model=${I2M2_EMULATOR_CPU:-corei7_skylake_x}, ips=$ips, reset_on_triple_fault=0
megs: 1024
clock: sync=none
romimage: file=$bios
vgaromimage: file=$vgabios
ata0-master: type=cdrom, path="$work/boot.iso", status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev="$work/console"
com2: enabled=1, mode=file, dev="$work/stdout"
com3: enabled=1, mode=file, dev="$work/stderr"
com4: enabled=1, mode=file, dev="$work/status"
panic: action=fatal
error: action=ignore
info: action=ignore
EOF
touch "$work"/{console,stdout,stderr,status}

# Debian's Bochs has its debugger built in and starts stopped: "c" continues,
# and the end of the input after it means that it never waits for a key.
TERM=xterm bochs -q -f "$work/bochsrc" <<<c >"$work/bochs.out" 2>&1 &
pid=$!
tail -f -c +1 -s 0.2 --pid="$pid" "$work/stdout" &
tail -f -c +1 -s 0.2 --pid="$pid" "$work/stderr" >&2 &

SECONDS=0
{
    while kill -0 "$pid"; do
        ((SECONDS < ${I2M2_EMULATOR_LIMIT:-1800})) || kill -KILL "$pid" || true
        sleep 0.2
    done
    wait "$pid" && ended=0 || ended=$?
    wait # for the last of the output
} 2>/dev/null # or bash reports the kill
pid=

code=$(<"$work/status")
[[ -z $code ]] || exit "$code"
((SECONDS < ${I2M2_EMULATOR_LIMIT:-1800})) || die 124 "killed at the time limit"
tail -n 20 "$work"/{console,bochs.out} >&2
die 125 "the guest ended without an exit code (Bochs exit status $ended)"
