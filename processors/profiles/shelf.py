"""Where profiles are: those that come with Dailies, and folders of one's own. A name is looked up and never becomes a path."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from processors.profiles.file import Problem, ProfileFile, refused
from processors.profiles.layers import is_path, load_layers
from processors.profiles.model import NAME, Profile
from schemas.errors import ProfileError

BUILT_IN = Path(__file__).parent
UNNAMED = "a profile's file is called in small letters, digits and hyphens: this one has no name"


@dataclass(frozen=True, slots=True)
class Shelf:
    """The profiles that can be named: Dailies' own, and the ``*.toml`` files of ``folders``, each called as its file is.

    A name that two have is an error, for no one's verdict should depend on which came first.
    """

    folders: tuple[Path, ...] = ()

    def names(self) -> tuple[str, ...]:
        """All names, in alphabetical order, whether or not their files can be used."""
        return tuple(sorted(self._files()))

    def problems(self) -> tuple[str, ...]:
        """Everything that is wrong with the folders and the profiles in them; Dailies' own are looked at, too."""
        found = [f"{folder}: there is no such folder" for folder in self.folders if not folder.is_dir()]
        strays = [p for folder in self.folders for p in _tomls(folder) if not re.fullmatch(NAME, p.stem)]
        found += [str(Problem(p, None, UNNAMED)) for p in strays]
        for name in self.names():
            try:
                self.load_named(name)
            except ProfileError as error:
                found += error.problems or (str(error),)
        return tuple(dict.fromkeys(found))

    def file(self, name: str) -> Path:
        """The file of a name. Raises ``ProfileError``."""
        files = self._files()
        if not re.fullmatch(NAME, name) or name not in files:
            raise ProfileError(f"there is no profile {name!r}; there are {', '.join(sorted(files))}")
        found = files[name]
        if len(found) > 1:
            places = " and ".join("Dailies itself" if path.parent == BUILT_IN else str(path) for path in found)
            raise ProfileError(
                f"two profiles are called {name!r}, of {places}: rename one", public=f"two profiles are called {name!r}"
            )
        return found[0]

    def load_named(self, name: str) -> Profile:
        """A profile by its name alone: for names that come from outside. Raises ``ProfileError``."""
        return self._load(self.file(name), name)

    def load(self, name_or_path: str | Path) -> Profile:
        """A profile by its name, or by the path of its file: a string with a slash or the suffix ``.toml`` is a path.

        Raises ``ProfileError``, with file, line and reason.
        """
        if isinstance(name_or_path, Path) or is_path(name_or_path):
            return load_layers(Path(name_or_path), self.file)
        return self.load_named(name_or_path)

    def _load(self, path: Path, name: str) -> Profile:
        profile = load_layers(path, self.file)
        if profile.name != name:
            file = ProfileFile.read(path)
            raise refused([file.problem(f"name: the file is called {name!r}, the profile {profile.name!r}", key="name")])
        return profile

    def _files(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for folder in (BUILT_IN, *dict.fromkeys(self.folders)):
            for path in _tomls(folder):
                if re.fullmatch(NAME, path.stem):
                    found.setdefault(path.stem, []).append(path)
        return found


def _tomls(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.toml") if path.is_file())


def several(profiles: Iterable[Profile]) -> tuple[Profile, ...]:
    """The profiles, each once. Raises ``ProfileError`` if two that differ have one name."""
    found: dict[str, Profile] = {}
    for profile in profiles:
        if found.setdefault(profile.name, profile) != profile:
            raise ProfileError(f"two of the profiles are called {profile.name!r}")
    return tuple(found.values())


_OWN = Shelf()


def names() -> tuple[str, ...]:
    """The profiles that come with Dailies."""
    return _OWN.names()


def load(name_or_path: str | Path) -> Profile:
    """As :meth:`Shelf.load`, without folders of one's own."""
    return _OWN.load(name_or_path)


def load_named(name: str) -> Profile:
    """As :meth:`Shelf.load_named`, without folders of one's own."""
    return _OWN.load_named(name)
