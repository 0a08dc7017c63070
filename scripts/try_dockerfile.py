"""Runs the Dockerfile's steps without a container engine: in fresh Debian roots, by debootstrap and chroot. As root, on Linux.

    python3 scripts/try_dockerfile.py FOLDER [--variant roles] [--base FOLDER]

Debian 12's Python is 3.11, so that a root with it stands for ``python:3.11-slim-bookworm``. What is done: COPY, RUN (with the
``pip`` secret, if PIP_CONFIG_FILE names one), ENV, ARG, WORKDIR and USER of both stages; then the image's own command, a role
and the health check, as its user. What cannot be tried so: layers, the cache, and the isolation that a container runtime adds.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = "ca-certificates,python3,python3-venv,python-is-python3"
FROM_OUTSIDE = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt")
"""What an engine gives every RUN."""
PASSED = (
    "PIP_CERT",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_INDEX_URL",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
)

CONFINED = """
from processors.sandbox import Child, Limits
with Child("processors.probe.child:handle", Limits(memory_bytes=1 << 31, cpu_seconds=60)) as child:
    child.start()
    for line in open(f"/proc/{child.pid}/status"):
        name, _, value = line.partition(":")
        if name in ("CapEff", "NoNewPrivs", "Seccomp"):
            print(f"{name}:{int(value, 16)}")
"""


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Instruction and arguments, line by line, continuation lines joined."""
    joined = re.sub(r"\\\n", " ", "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")))
    for line in filter(None, (line.strip() for line in joined.splitlines())):
        word, _, rest = line.partition(" ")
        yield word.upper(), rest.strip()


@dataclass
class Stage:
    """One root, and what the instructions have set in it so far."""

    root: Path
    variables: dict[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    )
    arguments: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0:0"

    def expand(self, text: str) -> str:
        """``$NAME`` and ``${NAME}`` as the Dockerfile means them."""
        known = self.variables | self.arguments
        return re.sub(r"\$\{?(\w+)\}?", lambda found: known.get(found[1], ""), text)

    def run(self, command: list[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the root, as its user."""
        done = subprocess.run(self.line(command), text=True, capture_output=True, check=False)
        if check and done.returncode != 0:
            sys.exit(f"failed: {shlex.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done

    def line(self, command: list[str]) -> list[str]:
        """The command line that runs it there."""
        passed = {name: os.environ[name] for name in PASSED if name in os.environ}
        variables = [f"{k}={v}" for k, v in (passed | self.arguments | self.variables).items()]
        inner = f"cd {shlex.quote(self.folder)} && exec {shlex.join(command)}"
        return ["chroot", f"--userspec={self.user}", str(self.root), "env", "-i", *variables, "sh", "-c", inner]

    def copy(self, arguments: str, stages: dict[str, Stage]) -> None:
        """COPY: from the tree, or from another stage."""
        words = shlex.split(self.expand(arguments))
        source = ROOT
        if words[0].startswith("--from="):
            source = stages[words.pop(0).removeprefix("--from=")].root
        *files, target = words
        to = self.root / self.folder.lstrip("/") / target if not target.startswith("/") else self.root / target.lstrip("/")
        for name in files:
            path = source / name.lstrip("/")
            if path.is_dir():
                shutil.copytree(
                    path,
                    to,
                    symlinks=True,
                    dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("__pycache__") if source == ROOT else None,
                )
            else:
                into = to / path.name if target.endswith("/") or len(files) > 1 else to
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, into)

    def execute(self, arguments: str) -> None:
        """RUN, in the shell."""
        command = re.sub(r"--mount=\S+\s*", "", arguments)
        self.run(["sh", "-ec", command])


def bootstrap(folder: Path) -> None:
    """A root with Debian 12 and Python 3.11."""
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(folder)]
    subprocess.run([*command, *filter(None, [os.environ.get("DEBIAN_MIRROR")])], check=True, stdout=subprocess.DEVNULL)
    for path in FROM_OUTSIDE:
        shutil.copy2(os.path.realpath(path), folder / path.lstrip("/"))
    if secret := os.environ.get("PIP_CONFIG_FILE"):
        shutil.copy2(secret, folder / "etc" / "pip.conf")


def copied(base: Path, folder: Path) -> Path:
    """Another root alike, with a /proc of its own."""
    subprocess.run(["cp", "-a", "--one-file-system", str(base), str(folder)], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", str(folder / "proc")], check=True)
    return folder


def removed(folder: Path) -> None:
    """Unmount what lies below, and remove it."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for place in sorted((p for p in mounted if Path(p).is_relative_to(folder)), reverse=True):
        subprocess.run(["umount", place], check=True)
    subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], check=True)


def build(text: str, folder: Path, base: Path, variant: str) -> Stage:
    """Every instruction, in order; the last stage."""
    stages: dict[str, Stage] = {}
    stage = Stage(base)
    for word, rest in instructions(text):
        begun = time.monotonic()
        if word == "FROM":
            name = rest.split(" AS ")[1] if " AS " in rest else "final"
            stages[name] = stage = Stage(copied(base, folder / name))
        elif word == "ARG":
            name, _, value = rest.partition("=")
            stage.arguments[name] = variant if name == "VARIANT" else value
        elif word == "ENV":
            for pair in shlex.split(rest):
                name, _, value = pair.partition("=")
                stage.variables[name] = stage.expand(value)
        elif word == "WORKDIR":
            stage.folder = rest
            (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif word == "USER":
            stage.user = rest
        elif word == "COPY":
            stage.copy(rest, stages)
        elif word == "RUN":
            stage.execute(rest)
        print(f"{time.monotonic() - begun:6.1f} s  {word} {rest[:100]}", flush=True)
    return stage


def health(text: str) -> list[str]:
    """The health check's command."""
    import json

    (found,) = (rest for word, rest in instructions(text) if word == "HEALTHCHECK")
    command: list[str] = json.loads(found.partition("CMD ")[2])
    return command


def try_out(stage: Stage, text: str, variant: str) -> None:
    """What an image must do: say its version, list tasks, analyse, run a role as its user, and be asked for its health."""
    assert stage.user == "10001:10001"
    print("version", stage.run(["dailies", "--version"]).stdout.strip())
    assert "shots" in stage.run(["dailies", "tasks"]).stdout
    torch = stage.run(["python", "-c", "import torch"], check=False).returncode == 0
    assert torch is (variant == "networks"), "torch belongs to the variant networks alone"
    missing = stage.run(["sh", "-c", "command -v gcc || command -v pip"], check=False).stdout
    assert not missing, f"build tools in the final stage: {missing}"
    skipped = " ".join(f"! -path '{path}*'" for path in ("/proc", "/tmp", "/var/tmp", "/run", "/dev"))
    found = stage.run(["sh", "-c", f"find / -xdev -writable -type d {skipped} 2>/dev/null"], check=False)
    assert sorted(found.stdout.split()) == ["/var/cache/dailies", "/var/lib/dailies"], found.stdout
    confined = stage.run(["setpriv", "--no-new-privs", "--bounding-set=-all", "python", "-c", CONFINED]).stdout
    assert set(confined.split()) == {"CapEff:0", "NoNewPrivs:1", "Seccomp:2"}, confined
    print("a probing child is confined without any privilege:", *confined.split())
    if variant == "networks":
        stage.run(["python", "-c", "from streams.inference import load, select; load(select('networks'), 'cpu')"])
        print("the networks load")
    # Of the roles this one waits for a Kafka that is not there; the others end themselves, to be started again.
    command = ["dailies", "run", "decoder", "--bootstrap", "127.0.0.1:1"]
    role = subprocess.Popen(stage.line(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while stage.run(health(text), check=False).returncode != 0:
            assert role.poll() is None, "the role has ended"
            assert time.monotonic() < deadline, "the health check never passed"
            time.sleep(0.5)
        print("the health check passes")
    finally:
        role.terminate()
        role.wait(60)
    size = subprocess.run(["du", "-sm", str(stage.root / "opt" / "dailies")], capture_output=True, text=True, check=True)
    print(f"/opt/dailies: {size.stdout.split()[0]} MB")


def main() -> None:
    """Build, try out, clean up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the roots go; must not exist")
    parser.add_argument("--variant", choices=("roles", "networks"), default="roles")
    parser.add_argument("--base", type=Path, help="a Debian root to begin from; made here if it does not exist, and kept")
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True)
    base = options.base.resolve() if options.base else folder / "base"
    text = (ROOT / "Dockerfile").read_text()
    try:
        if not base.exists():
            bootstrap(base)
        try_out(build(text, folder, base, options.variant), text, options.variant)
    finally:
        removed(folder)


if __name__ == "__main__":
    main()
