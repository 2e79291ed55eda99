#!/usr/bin/env python3
"""Runs a program under the restrictions of a unit file, as far as this machine can without a running systemd.

restricted.py UNIT COMMAND...       as root, in a mount namespace of its own (unshare --mount)

What the unit says is read from it, so that a directive that is taken out is missing here too:

  User=, UMask=, LimitNOFILE=, LimitCORE=, CapabilityBoundingSet=, NoNewPrivileges=
  ProtectSystem=strict, StateDirectory=, ProtectHome=, PrivateTmp=, PrivateDevices=, ProtectKernelTunables=, ProtectControlGroups=
  SystemCallFilter=, SystemCallErrorNumber=, MemoryDenyWriteExecute=, RestrictAddressFamilies=, RestrictNamespaces=

What it does not do: PrivateUsers, ProtectProc, ProtectHostname, ProtectClock and the other directives that only deny what the
capabilities and the system call filter deny here already; IPAddress...; cgroups.
"""

import ctypes
import ctypes.util
import errno
import os
import pathlib
import pwd
import resource
import socket
import subprocess
import sys

# libseccomp's actions and comparisons (seccomp.h).
ERRNO, ALLOW = 0x00050000, 0x7FFF0000
EQ, MASKED_EQ = 4, 7
PROT_WRITE, PROT_EXEC = 2, 4
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
CLONE_NEW = 0x7E020000


class Comparison(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def unit(path):
    """The [Service] section; a key that stands several times has all its values."""
    values = {}
    section = None
    for line in pathlib.Path(path).read_text().splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line
        elif section == "[Service]" and line and not line.startswith("#"):
            key, value = line.split("=", 1)
            values.setdefault(key, []).append(value)
    return values


def is_on(service, key):
    return service.get(key, ["no"])[-1] in ("yes", "strict", "true", "invisible")


def run(*command):
    subprocess.run(command, check=True)


def mounts(service):
    """The tree as the service sees it: read-only but for its own folder."""
    run("mount", "--make-rprivate", "/")
    user = pwd.getpwnam(service["User"][-1])
    for name in service.get("StateDirectory", []):
        state = pathlib.Path("/var/lib") / name
        state.mkdir(mode=int(service["StateDirectoryMode"][-1], 8), exist_ok=True)
        os.chown(state, user.pw_uid, user.pw_gid)
        run("mount", "--bind", state, state)
    if is_on(service, "PrivateDevices"):
        devices(pathlib.Path("/dev"))
    writable = [f"/var/lib/{name}" for name in service.get("StateDirectory", [])]
    if is_on(service, "ProtectSystem"):
        read_only(writable)
    if is_on(service, "ProtectHome"):
        for home in ("/home", "/root", "/run/user"):
            if pathlib.Path(home).is_dir():
                run("mount", "-t", "tmpfs", "-o", "ro,mode=000", "tmpfs", home)
    if is_on(service, "PrivateTmp"):
        for folder in ("/tmp", "/var/tmp"):
            run("mount", "-t", "tmpfs", "-o", "mode=1777,nosuid,nodev", "tmpfs", folder)


def devices(dev):
    """A /dev with nothing in it but what never fails."""
    harmless = ("null", "zero", "full", "random", "urandom", "tty")
    keep = {name: os.open(dev / name, os.O_PATH) for name in harmless if (dev / name).exists()}
    run("mount", "-t", "tmpfs", "-o", "mode=755,nosuid,noexec", "tmpfs", dev)
    for name, descriptor in keep.items():
        (dev / name).touch()
        subprocess.run(["mount", "--bind", f"/proc/self/fd/{descriptor}", dev / name], check=True, pass_fds=[descriptor])
        os.close(descriptor)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        (dev / name).symlink_to(target)


def read_only(writable):
    """Every mount but those; /proc too, where tunables and cgroups are."""
    points = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in dict.fromkeys(points):
        point = point.encode().decode("unicode_escape")
        if point in writable or point.startswith(("/dev/pts", "/proc/")):
            continue
        if point == "/proc":
            # Its own processes stay writable to themselves; what tunes the kernel does not.
            run("mount", "--bind", "/proc/sys", "/proc/sys")
            run("mount", "-o", "remount,bind,ro", "/proc/sys")
            continue
        # What is mounted over by something else cannot be reached, and need not be.
        subprocess.run(["mount", "-o", "remount,bind,ro", point], stderr=subprocess.DEVNULL)


def expanded(names, sets):
    """System calls by name, of sets of them (@file-system) too."""
    for name in names:
        if name.startswith("@"):
            yield from expanded(sets[name], sets)
        else:
            yield name


def call_sets():
    """systemd's sets of system calls, as systemd-analyze prints them."""
    said = subprocess.run(["systemd-analyze", "syscall-filter"], capture_output=True, text=True, check=True).stdout
    sets, current = {}, None
    for line in said.splitlines():
        if line.startswith("@"):
            current = sets.setdefault(line.split()[0], [])
        elif line.startswith("    ") and not line.strip().startswith("#") and current is not None:
            current.append(line.strip())
        elif not line.strip():
            current = None
    return sets


def seccomp(service):
    """The filter of system calls, for this process and what it executes."""
    lib = ctypes.CDLL(ctypes.util.find_library("seccomp") or "libseccomp.so.2", use_errno=True)
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_load.argtypes = [ctypes.c_void_p]
    lib.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Comparison)]
    denied = ERRNO | getattr(errno, service.get("SystemCallErrorNumber", ["EPERM"])[-1])
    sets = call_sets()
    allowed = {}
    for value in service["SystemCallFilter"]:
        names = value.removeprefix("~").split()
        for name in expanded(names, sets):
            allowed[name] = not value.startswith("~")
    # systemd adds what a service cannot even begin without.
    for name in expanded(["@default"], sets):
        allowed.setdefault(name, True)
    context = lib.seccomp_init(ctypes.c_uint32(denied))

    def rule(action, name, *comparisons):
        number = lib.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            return
        array = (Comparison * len(comparisons))(*comparisons)
        done = lib.seccomp_rule_add_array(context, action, number, len(comparisons), array)
        if done != 0:
            sys.exit(f"restricted: no rule for {name}: {done}")

    special = set()
    if is_on(service, "MemoryDenyWriteExecute"):
        both = PROT_WRITE | PROT_EXEC
        special |= {"mmap", "mprotect", "pkey_mprotect"}
        for protection in (0, PROT_WRITE, PROT_EXEC):
            rule(ALLOW, "mmap", Comparison(2, MASKED_EQ, both, protection))
        for name in ("mprotect", "pkey_mprotect"):
            rule(ALLOW, name, Comparison(2, MASKED_EQ, PROT_EXEC, 0))
    families = " ".join(service.get("RestrictAddressFamilies", [])).split()
    if families:
        special.add("socket")
        for family in families:
            rule(ALLOW, "socket", Comparison(0, EQ, getattr(socket, family), 0))
    if is_on(service, "RestrictNamespaces"):
        special |= {"unshare", "setns", "clone", "clone3"}
        # clone3 has its flags in memory, where no filter sees them: systemd denies it as not there.
        rule(ERRNO | errno.ENOSYS, "clone3")
        rule(ALLOW, "clone", Comparison(0, MASKED_EQ, CLONE_NEW, 0))
    for name, is_allowed in allowed.items():
        if is_allowed and name not in special:
            rule(ALLOW, name)
    if lib.seccomp_load(context) != 0:
        sys.exit("restricted: the filter is not taken")


def main():
    service = unit(sys.argv[1])
    if os.environ.pop("RESTRICTED_INSIDE", None) is None:
        # This file may be out of reach once the tree is the service's.
        source = pathlib.Path(__file__).read_text()
        mounts(service)
        for key, name in (("LimitNOFILE", resource.RLIMIT_NOFILE), ("LimitCORE", resource.RLIMIT_CORE)):
            # A container may have less to give than the unit asks for.
            least = [most for most in (int(service[key][-1]), resource.getrlimit(name)[1]) if most != resource.RLIM_INFINITY]
            resource.setrlimit(name, (min(least), min(least)))
        user = service["User"][-1]
        command = ["setpriv", "--reuid", user, "--regid", service["Group"][-1], "--clear-groups"]
        if service.get("CapabilityBoundingSet") == [""]:
            command += ["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
        if is_on(service, "NoNewPrivileges"):
            command.append("--no-new-privs")
        # The filter is the last thing, from inside: nothing before it would pass it.
        os.environ["RESTRICTED_INSIDE"] = "1"
        os.chdir("/")
        os.execvp(command[0], [*command, sys.executable, "-c", source, *sys.argv[1:]])
    os.umask(int(service["UMask"][-1], 8))
    seccomp(service)
    os.execv(sys.argv[2], sys.argv[2:])


main()
