"""Kafka's class path: every jar pinned by version and SHA-256, fetched once through jgo, verified at each use."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import SetupError

LOCK = Path(__file__).with_name("jars.lock.toml")
DOWNLOADS = 8
TRIES = 3
TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned jar; ``sha256`` is what its bytes must hash to."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        """File name in the cache; the digest in it keeps two builds of one version apart."""
        return f"{self.artifact}-{self.version}.{self.sha256[:12]}.jar"

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


Fetch = Callable[[Jar, Path], Path]
"""Brings a jar into a scratch folder and returns where it lies; raises SetupError."""


def cache_dir() -> Path:
    """Folder shared by all checkouts: ``DAILIES_CACHE_DIR``, else ``dailies`` under the XDG cache folder."""
    if configured := os.environ.get("DAILIES_CACHE_DIR"):
        return Path(configured).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dailies"


def locked(path: Path = LOCK) -> tuple[Jar, ...]:
    """The jars of a lock file."""
    with path.open("rb") as file:
        return tuple(Jar(**entry) for entry in tomllib.load(file)["jar"])


def class_path(
    jars: Sequence[Jar] | None = None,
    folder: Path | None = None,
    *,
    fetch: Fetch | None = None,
    say: Callable[[str], object] | None = None,
) -> tuple[Path, ...]:
    """Verified paths of all jars, fetching what is missing.

    Any number of processes may call this at once: one at a time touches the cache. ``say`` hears what takes long.

    Raises:
        SetupError: a jar cannot be fetched, or its bytes are not those of the lock.
    """
    jars = locked() if jars is None else jars
    folder = folder or cache_dir() / "jars"
    with _exclusive(folder):
        missing = [jar for jar in jars if not (folder / jar.name).exists()]
        if missing:
            if say is not None:
                say(f"fetching {len(missing)} jars of Apache Kafka into {folder} (once)")
            with ThreadPoolExecutor(DOWNLOADS) as pool:
                list(pool.map(lambda jar: _bring(jar, folder, fetch or fetch_with_jgo), missing))
        return tuple(_verified(jar, folder) for jar in jars)


def fetch_with_jgo(jar: Jar, scratch: Path) -> Path:
    """Downloads one jar from the Maven repositories that jgo is configured for, else from Maven Central."""
    # Costs 0.2 s, and only the first start on a machine downloads anything.
    import requests
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext

    repositories = {**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL}
    for attempt in range(1, TRIES + 1):
        # A folder for each attempt: jgo takes a file that is there, even half of one, for the jar.
        context = MavenContext(repo_cache=scratch / str(attempt), remote_repos=repositories, timeout=TIMEOUT_SECONDS)
        artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
        try:
            return Path(artifact.resolve())
        except (requests.RequestException, OSError, RuntimeError) as error:
            if attempt == TRIES:
                raise SetupError(
                    f"cannot fetch {jar}, which the local Kafka needs: {error}\n"
                    "Check the network (or the [repositories] of jgo's configuration) and start again; "
                    "with a Kafka of your own, --bootstrap HOST:PORT needs no download."
                ) from error
    raise AssertionError("unreachable: the last attempt returns or raises")


def _bring(jar: Jar, folder: Path, fetch: Fetch) -> None:
    """Fetches into a scratch folder, and renames into place only what has the right digest."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:
        path = fetch(jar, Path(scratch))
        if (found := _sha256(path)) != jar.sha256:
            raise SetupError(f"{jar} as fetched has SHA-256 {found}, but {jar.sha256} is locked: refused, nothing was kept")
        path.replace(folder / jar.name)


def _verified(jar: Jar, folder: Path) -> Path:
    """The jar's path, once its bytes are known to be right; wrong bytes are removed, so that the next start fetches anew."""
    path = folder / jar.name
    if (found := _sha256(path)) != jar.sha256:
        path.unlink()
        raise SetupError(
            f"{path} was damaged or tampered with: SHA-256 {found}, but {jar.sha256} is locked. "
            "The file is removed; start again to fetch it anew."
        )
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """Holds the cache's lock; the kernel lets go of it however the holder ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise SetupError(f"cannot write the cache folder {folder}: {error}. Set DAILIES_CACHE_DIR to another.") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
