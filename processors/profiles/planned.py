"""Profiles in plans: an asset is judged by what its plan carries, whatever has become of the files since."""

from __future__ import annotations

from pydantic import ValidationError

from processors.profiles.model import Profile
from processors.profiles.shelf import load_named
from schemas.errors import ProfileError
from schemas.plan import Plan
from schemas.profiles import ProfileData


def carried(profile: Profile) -> ProfileData:
    """The profile as a plan carries it."""
    return ProfileData.model_validate(profile.model_dump())


def planned(plan: Plan, name: str) -> Profile:
    """The profile of that name that an asset is judged by.

    A plan of a version that carried names alone means the profile that comes with Dailies. Raises ``ProfileError`` if
    there is none, or if the plan's is of a version that knows more than this one.
    """
    data = next((profile for profile in plan.judged_by if profile.name == name), None)
    if data is None:
        return load_named(name)
    try:
        return Profile.model_validate(data.model_dump())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ProfileError(f"the plan's profile {name!r} cannot be read here: {where}: {first['msg']}") from error
