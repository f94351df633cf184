"""Finds out what a device is, by what its own shell tells."""

import hashlib
from dataclasses import dataclass

from service.domain.device import DeviceProfile
from workers.devices.device import Device
from workers.devices.errors import DeviceCommandFailed

# One line `name<TAB>value` for each thing known; POSIX sh, as BusyBox and Android's toybox have it.
_SCRIPT = r"""
say() { [ -n "$2" ] && printf '%s\t%s\n' "$1" "$2"; }
read_from() { [ -r "$1" ] && tr -d '\000' < "$1" 2>/dev/null | head -n 1; }
of() { sed -n "s/^$1[^:]*: *//p" /proc/cpuinfo 2>/dev/null | head -n 1; }
say architecture "$(uname -m)"
say kernel "$(uname -r)"
say cores "$(grep -c '^processor' /proc/cpuinfo)"
say memory_kib "$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo)"
say governor "$(read_from /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor)"
if command -v getprop >/dev/null 2>&1; then
  say make "$(getprop ro.product.manufacturer)"
  say model "$(getprop ro.product.model)"
  say processor "$(getprop ro.soc.manufacturer) $(getprop ro.soc.model)"
  say system "Android $(getprop ro.build.version.release)"
  say identity "$(getprop ro.serialno)"
else
  say make "$(read_from /sys/class/dmi/id/sys_vendor)"
  model=$(read_from /proc/device-tree/model)
  say model "${model:-$(read_from /sys/class/dmi/id/product_name)}"
  name=$(of 'model name')
  [ -n "$name" ] || name=$(LC_ALL=C lscpu 2>/dev/null | sed -n 's/^Model name: *//p' | head -n 1)
  say processor "${name:-$(uname -m)}"
  say system "$(. /etc/os-release 2>/dev/null && printf '%s' "$PRETTY_NAME")"
  identity=$(read_from /etc/machine-id)
  say identity "${identity:-$(read_from /var/lib/dbus/machine-id)}"
fi
say host "$(uname -n)"
"""
_NEEDED = ("architecture", "kernel", "cores", "processor", "host")


@dataclass(frozen=True)
class Probed:
    """name: identifies the physical device, however it was reached; see `device_name`."""

    name: str
    profile: DeviceProfile


def device_name(host: str, identity: str) -> str:
    """The host's name, and where it has an identity, digits of its digest.

    The identity itself is not to leave the machine.
    """
    if not identity:
        return host
    return f"{host}-{hashlib.sha256(f'archfront device {identity}'.encode()).hexdigest()[:12]}"


def probe(device: Device, torch_version: str | None) -> Probed:
    """What the device is. torch_version: of the torch that exports the networks.

    Raises: DeviceUnreachable; DeviceTimedOut; DeviceCommandFailed if it tells too little.
    """
    done = device.shell(_SCRIPT)
    told = dict(line.split("\t", 1) for line in done.output.splitlines() if "\t" in line)
    missing = [name for name in _NEEDED if not told.get(name, "").strip()]
    if missing:
        raise DeviceCommandFailed(
            f"the device does not tell its {', '.join(missing)} "
            f"({done.errors.strip()[-300:] or 'nothing was said'}); "
            "it needs a POSIX shell and /proc"
        )
    memory_kib = told.get("memory_kib", "")
    profile = DeviceProfile(
        make=told.get("make"),
        model=told.get("model"),
        processor=told["processor"].strip(),
        architecture=told["architecture"],
        cores=int(told["cores"]),
        memory_bytes=int(memory_kib) * 1024 if memory_kib.isdecimal() else None,
        system=told.get("system") or "unknown",
        kernel=told["kernel"],
        governor=told.get("governor"),
        torch=torch_version,
    )
    return Probed(device_name(told["host"], told.get("identity", "")), profile)
