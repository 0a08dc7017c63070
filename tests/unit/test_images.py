"""Images and compose.yaml: what goes in is what is locked, what runs is restricted, and it is what a cluster runs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
import yaml

from scripts.lock_images import BUILD, FOLDER, TORCH, WITHOUT
from scripts.try_dockerfile import health, instructions
from streams.local.roles import slots
from streams.roles import STOP_SECONDS
from streams.settings import Settings
from tests.manifests import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def locked(path: Path) -> dict[str, frozenset[str]]:
    """``name==version`` with its hashes."""
    entries = re.findall(r"^([\w.-]+==\S+)((?: \\\n +--hash=\S+)+)", path.read_text(), re.MULTILINE)
    return {pin: frozenset(re.findall(r"--hash=(\S+)", hashes)) for pin, hashes in entries}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found


@pytest.mark.parametrize("image", [*WITHOUT, BUILD])
def test_images_hold_what_is_locked_for_all(image: str) -> None:
    whole, part = locked(ROOT / "requirements.lock"), locked(FOLDER / f"{image}.lock")
    assert part
    assert {pin: whole.get(pin) for pin in part} == part, "run make lock"


def test_torch_and_cuda_are_in_one_image_alone() -> None:
    heavy = re.compile(r"(nvidia|cuda|triton)[\w-]*==")
    roles, networks = (locked(FOLDER / f"{image}.lock") for image in ("roles", "networks"))
    assert not [pin for pin in roles if heavy.match(pin) or pin.split("==")[0] in TORCH]
    assert {pin.split("==")[0] for pin in networks} >= TORCH
    assert [pin for pin in networks if heavy.match(pin)]
    assert set(roles) < set(networks)


def test_the_last_stage_runs_as_nobody_and_says_how_it_is() -> None:
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    words = [word for word, _ in instructions(last)]
    users = [rest for word, rest in instructions(last) if word == "USER"]
    assert users == ["10001:10001"]
    assert words.index("USER") > max(n for n, word in enumerate(words) if word in ("RUN", "COPY"))
    assert "install --quiet" not in last and "apt-get" not in last
    assert "rm -rf /usr/local/bin/pip*" in last
    assert health(DOCKERFILE)[0] == "python"
    variables = dict(pair.split("=", 1) for word, rest in instructions(last) if word == "ENV" for pair in rest.split())
    assert {name for name in variables if name.startswith("DAILIES_")} <= {
        f"DAILIES_{f.upper()}" for f in Settings.model_fields
    }


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for word, rest in instructions(DOCKERFILE):
        if word == "COPY" and "--from" not in rest:
            for path in rest.split()[:-1]:
                names = [path.replace("${VARIANT}", image) for image in WITHOUT]
                assert all((ROOT / name).exists() for name in names), path
                assert all(any(Path(name).match(pattern) for pattern in let_in) for name in names), path


def test_packages_that_a_wheel_holds_are_copied() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    copied = {rest.split()[0] for word, rest in instructions(DOCKERFILE) if word == "COPY" and "--from" not in rest}
    assert {name.rstrip("*") for name in packages} <= copied


def test_compose_is_valid(compose: dict[str, Any]) -> None:
    schema = orjson.loads((ROOT / "k8s" / "schemas" / "compose-spec.json").read_bytes())
    checker = jsonschema.Draft202012Validator(schema)
    assert not [error.message for error in checker.iter_errors(compose)]
    wrong = compose | {"services": {"planner": compose["services"]["planner"] | {"comand": "run"}}}
    assert list(checker.iter_errors(wrong))


def test_compose_runs_what_a_stack_runs_and_as_restricted(compose: dict[str, Any]) -> None:
    services = compose["services"]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for slot in slots():
        service = services["-".join(filter(None, (slot.role, slot.group)))]
        assert service["command"] == ["run", slot.role, *(["--group", slot.group] if slot.group else [])]
        variant = "networks" if slot.group == "networks" else "roles"
        assert service["build"]["args"] == {"VARIANT": variant}
        assert service["image"] == f"dailies{'-networks' if variant == 'networks' else ''}:{version}"
        assert (service["read_only"], service["user"], service["cap_drop"]) == (True, "10001:10001", ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert int(service["stop_grace_period"].removesuffix("s")) >= STOP_SECONDS + 20
        ours = {name for name in service["environment"] if name.startswith("DAILIES_")}
        assert ours <= {f"DAILIES_{field.upper()}" for field in Settings.model_fields}
    declared = set(compose["volumes"])
    for service in services.values():
        used = {volume.split(":")[0] for volume in service["volumes"]}
        assert {name for name in used if not name.startswith("$")} <= declared
