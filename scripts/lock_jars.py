"""Resolves Kafka's jars and writes their versions and SHA-256 to ``streams/local/jars.lock.toml``.

Run by ``make lock`` when the version of Kafka changes; nothing else resolves dependencies.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import tomli_w
from jgo.maven import MavenContext

COORDINATES = ("org.apache.kafka:kafka_2.13:4.4.0", "org.slf4j:slf4j-simple:1.7.36")
LOCK = Path(__file__).resolve().parent.parent / "streams" / "local" / "jars.lock.toml"
HEADER = "# Written by `make lock`: every jar on Kafka's class path. A jar that differs is refused.\n\n"


def main() -> None:
    """Resolve, download to a scratch folder, hash, write."""
    with tempfile.TemporaryDirectory() as scratch:
        context = MavenContext(repo_cache=Path(scratch), timeout=60)
        inputs, transitive = context.resolver.resolve([context.create_dependency(c) for c in COORDINATES])
        artifacts = [dep.artifact for dep in (*inputs, *transitive) if dep.scope in (None, "compile", "runtime")]
        jars = [
            {
                "group": artifact.groupId,
                "artifact": artifact.artifactId,
                "version": artifact.version,
                "sha256": hashlib.sha256(artifact.resolve().read_bytes()).hexdigest(),
            }
            for artifact in sorted(artifacts, key=lambda a: (a.groupId, a.artifactId))
        ]
    LOCK.write_text(HEADER + tomli_w.dumps({"coordinates": list(COORDINATES), "jar": jars}), encoding="utf-8")
    print(f"{LOCK.name}: {len(jars)} jars")


if __name__ == "__main__":
    main()
