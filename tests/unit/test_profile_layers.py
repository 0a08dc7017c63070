"""Profiles in layers: what a layer may change, what it may not, and where profiles are looked for."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from processors import profiles
from processors.profiles import Profile, Shelf
from processors.profiles.layers import weakened
from processors.profiles.model import Rule
from schemas.errors import ProfileError
from streams.settings import Settings

BASE = """\
name = "base"
title = "House"
reference = "R1"

[[rules]]
id = "loud"
code = "loudness.integrated"
op = "within"
limit = -23
tolerance = 1.0
unit = "LUFS"
outcome = "fail"
severity = "major"
overridable = true

[[rules]]
id = "peak"
code = "loudness.true_peak"
op = "<="
limit = -1.0
unit = "dBTP"
outcome = "fail"
severity = "major"
overridable = false
"""
STORE = """\
name = "store"
extends = "base.toml"
title = "Store"

[[rules]]
id = "peak"
limit = -2

[[rules]]
id = "no-freeze"
code = "video.freeze"
op = "none"
outcome = "review"
severity = "minor"
overridable = true
"""
TITLE = """\
name = "title"
extends = "./store.toml"
disable = ["no-freeze"]

[[rules]]
id = "loud"
tolerance = 2
severity = "minor"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("base", BASE), ("store", STORE), ("title", TITLE)):
        (tmp_path / f"{name}.toml").write_text(text)
    return tmp_path


def refusal(path: Path, shelf: Shelf | None = None) -> ProfileError:
    with pytest.raises(ProfileError) as caught:
        (shelf or Shelf()).load(path)
    return caught.value


def layer(folder: Path, text: str, name: str = "mine") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text if text.startswith("name") else f'name = "{name}"\nextends = "base.toml"\n{text}')
    return path


def test_layers_change_add_and_take_away(folder: Path) -> None:
    profile = profiles.load(folder / "title.toml")
    assert (profile.name, profile.title, profile.reference) == ("title", "Store", "R1")
    assert [(r.id, r.limit, r.tolerance, r.severity, r.layers) for r in profile.rules] == [
        ("loud", -23.0, 2.0, "minor", ("base", "title")),
        ("peak", -2.0, None, "major", ("base", "store")),
    ]
    assert [one.name for one in profile.layers] == ["base", "store", "title"]
    assert "no-freeze" in {r.id for r in profiles.load(folder / "store.toml").rules}


def test_a_layer_that_takes_a_rule_away_may_be_followed_by_one_that_brings_another(folder: Path) -> None:
    rule = 'id = "no-freeze"\ncode = "video.freeze"\nop = "<="\nlimit = 5\nunit = "s"\n'
    more = 'outcome = "review"\nseverity = "info"\noverridable = true\n'
    path = layer(folder, f'name = "mine"\nextends = "title.toml"\n[[rules]]\n{rule}{more}')
    assert profiles.load(path).rules[-1].layers == ("mine",)


def test_the_digest_covers_every_layer_and_can_be_made_by_hand(folder: Path) -> None:
    def digest() -> str:
        return profiles.load(folder / "title.toml").sha256

    before = digest()
    files = [hashlib.sha256((folder / f"{name}.toml").read_bytes()).hexdigest() for name in ("base", "store", "title")]
    assert before == hashlib.sha256("".join(f"{file}\n" for file in files).encode()).hexdigest()
    assert [one.sha256 for one in profiles.load(folder / "title.toml").layers] == files
    (folder / "base.toml").write_text(BASE + "# touched\n")
    assert digest() != before
    (folder / "base.toml").write_text(BASE)
    assert digest() == before


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('disable = ["peak"]', 3, "disable: rule 'peak' of base is not overridable"),
        ('disable = ["peek"]', 3, "no layer below has a rule 'peek'; there are loud, peak"),
        ('disable = "peak"', 3, "a list of rules' ids"),
        ('disable = ["loud"]\n[[rules]]\nid = "loud"\nlimit = -24\n', 5, "the same layer disables 'loud'"),
        ('[[rules]]\nid = "peak"\noverridable = true', 5, "overridable: rule 'peak' of base is not overridable, and stays so"),
        ('[[rules]]\nid = "peak"\nlimit = -0.5', 5, "limit: rule 'peak' of base is not overridable, and '<= -0.5 dBTP' allows"),
        ('[[rules]]\nid = "peak"\ntolerance = 0.1', 5, "tolerance: "),
        ('[[rules]]\nid = "peak"\n\nseverity = "info"', 6, "severity: "),
        ('[[rules]]\nid = "peak"\noutcome = "review"', 5, "outcome: "),
        ('[[rules]]\nid = "peak"\ncode = "audio.peak"', 5, "code: "),
        ('[[rules]]\nid = "peak"\nop = ">="', 5, "op: "),
        ('[[rules]]\nid = "peak"\nwhen = {code = "audio.rms", op = "<", limit = 1, unit = "dB"}', 5, "when: "),
        ('[[rules]]\nid = "peek"\nlimit = -2', 3, "code: Field required (no layer below has a rule of this id"),
        ('[[rules]]\nid = "loud"\nlimit = "x"', 5, "limit: "),
        ('[[rules]]\nid = "loud"\nlimit = nan', 5, "limit: Input should be a finite number"),
        ('[[rules]]\nid = "loud"\ntolerance = inf', 5, "tolerance: Input should be a finite number"),
        ('[[rules]]\nid = "loud"\nop = "<="\ndisable = ["x"]', 6, "disable: it belongs above the first [[rules]]"),
        ('[[rules]]\nid = "loud"\nlayers = []', 5, "layers: "),
        (
            '[[rules]]\nid = "loud"\n[rules.when]\ncode = "audio.smell"\nop = "<"\nlimit = 1\nunit = "dB"',
            5,
            "when: there is no",
        ),
        ("titel = 1", 3, "titel: a profile has no such key"),
        ("[rules]\na = 1", 3, "rules: a list of tables"),
        ('disable = ["loud"', 3, "Unclosed array"),
    ],
)
def test_what_a_layer_cannot_do_is_said_with_file_line_and_reason(folder: Path, text: str, line: int, reason: str) -> None:
    path = layer(folder, text)
    assert str(refusal(path)).startswith(f"{path}:{line}: ")
    assert reason in str(refusal(path))


def test_an_error_of_a_layer_below_names_its_file(folder: Path) -> None:
    (folder / "base.toml").write_text(BASE.replace("limit = -1.0", 'limit = "loud"'))
    assert str(refusal(folder / "title.toml")).startswith(f"{folder / 'base.toml'}:20: limit: ")


def test_everything_that_is_wrong_is_known(folder: Path) -> None:
    error = refusal(layer(folder, 'disable = ["peak", "peek"]\n[[rules]]\nid = "loud"\nop = "none"\nseverity = "grave"'))
    assert len(error.problems) == 3
    assert str(error) == f"{error.problems[0]} (and 2 more)"
    assert str(folder) in str(error)
    assert error.public == "mine.toml:3: disable: rule 'peak' of base is not overridable (and 2 more)"


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        ('"nothing.toml"', "there is no file"),
        ('"nothing"', "there is no profile 'nothing'"),
        ('"store"', "there is no profile 'store'; there are"),
        ('"/etc/passwd.toml"', "a path is relative to this file"),
        ('["a", "b"]', "the name or the relative path of one profile"),
        ('"mine.toml"', "a profile cannot extend itself: mine -> mine"),
        ('"./sub/../mine.toml"', "a profile cannot extend itself: mine -> mine"),
    ],
)
def test_a_base_that_is_none(folder: Path, base: str, reason: str) -> None:
    (folder / "sub").mkdir()
    path = layer(folder, f'name = "mine"\ntitle = "T"\nextends = {base}\n')
    assert str(refusal(path)).startswith(f"{path}:3: extends: ")
    assert reason in str(refusal(path))


def test_a_circle_of_several_is_noticed(folder: Path) -> None:
    (folder / "base.toml").write_text('extends = "title.toml"\n' + BASE)
    error = refusal(folder / "title.toml")
    assert str(error).startswith(f"{folder / 'base.toml'}:1: ")
    assert "title -> store -> base -> title" in str(error)


def test_a_base_beside_the_file_is_pointed_out(folder: Path) -> None:
    path = layer(folder, 'name = "mine"\nextends = "store"\n')
    assert "the file beside this one is 'store.toml'" in str(refusal(path))


def test_a_layer_needs_a_name_of_its_own_and_something_must_be_left(folder: Path) -> None:
    assert "a profile that it extends is called 'base', too" in str(
        refusal(layer(folder, BASE.replace('"R1"', '"R1"\nextends = "store.toml"')))
    )
    bare = layer(folder, BASE.replace("overridable = false", "overridable = true"), "bare")
    bare.write_text(bare.read_text().replace('"base"', '"bare"'))
    path = layer(folder, 'name = "mine"\nextends = "bare.toml"\ndisable = ["loud", "peak"]')
    assert str(refusal(path)).startswith(f"{path}:3: rules: a profile needs at least one")


def test_a_profile_extends_one_of_dailies_by_name(folder: Path) -> None:
    path = layer(folder, 'name = "mine"\nextends = "ebu-r128"\n[[rules]]\nid = "true-peak"\nlimit = -3')
    profile = profiles.load(path)
    assert {r.id: r.limit for r in profile.rules} == {"programme-loudness": -23.0, "true-peak": -3.0}
    assert profile.layers[0] == profiles.load("ebu-r128").layers[0]


FIXED = {"id": "a", "code": "loudness.range", "unit": "LU", "outcome": "review", "severity": "minor", "overridable": False}


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ({"op": "<=", "limit": 10.0}, {"limit": 9.0}, None),
        ({"op": "<=", "limit": 10.0}, {"limit": 10.0, "outcome": "fail", "severity": "blocker"}, None),
        ({"op": "<=", "limit": 10.0}, {"op": "within", "limit": 8.0, "tolerance": 2.0}, None),
        ({"op": "<=", "limit": 10.0}, {"op": "within", "limit": 8.0, "tolerance": 3.0}, "op"),
        ({"op": ">=", "limit": 10.0}, {"limit": 9.0}, "limit"),
        ({"op": ">=", "limit": 10.0}, {"limit": 11.0, "tolerance": 1.0}, None),
        ({"op": "within", "limit": 8.0, "tolerance": 2.0}, {"tolerance": 1.0}, None),
        ({"op": "within", "limit": 8.0, "tolerance": 2.0}, {"limit": 8.5}, "limit"),
        (
            {"op": "within", "limit": 8.0, "tolerance": 2.0},
            {"op": "one_of", "limit": None, "tolerance": None, "values": (6.0, 10.0)},
            None,
        ),
        ({"op": "one_of", "values": (1.0, 2.0)}, {"values": (1.0,)}, None),
        ({"op": "one_of", "values": (1.0, 2.0)}, {"values": (1.0, 3.0)}, "values"),
        ({"op": "<=", "limit": 10.0}, {"unit": "dB"}, "unit"),
        ({"op": "<=", "limit": 10.0}, {"per": "presentation"}, "per"),
    ],
)
def test_what_is_weaker(before: dict[str, object], after: dict[str, object], key: str | None) -> None:
    was, now = Rule.model_validate({**FIXED, **before}), Rule.model_validate({**FIXED, **before, **after})
    weak = weakened(was, now)
    assert (weak and weak[0]) == key


def test_none_of_a_finding_is_more_than_any_limit_on_it() -> None:
    some = Rule.model_validate({**FIXED, "code": "video.black", "op": "<=", "limit": 2.0, "unit": "s"})
    none = Rule.model_validate({**FIXED, "code": "video.black", "op": "none", "unit": None})
    scoped = none.model_copy(update={"scope": "programme"})
    assert weakened(some, none) is None
    assert (weakened(none, some.model_copy(update={"unit": None})) or ("",))[0] == "op"
    assert (weakened(none, scoped) or ("",))[0] == "scope"
    assert weakened(scoped, none) is None


def test_folders_are_looked_through_by_name(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    shelf = Shelf((folder, other))
    assert {"base", "store", "title", "ebu-r128"} <= set(shelf.names())
    assert shelf.load_named("title") == shelf.load(folder / "title.toml")
    assert shelf.file("title") == folder / "title.toml"
    layer(other, 'name = "mine"\nextends = "title"\n')
    assert [one.name for one in shelf.load("mine").layers] == ["base", "store", "title", "mine"]
    assert shelf.problems() == ()


@pytest.mark.parametrize("name", ["../title", "./title.toml", "title.toml", "/etc/passwd", "Title", "", "title\n", "sub/title"])
def test_names_from_outside_never_become_paths(folder: Path, name: str) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "title.toml").write_text(BASE)
    with pytest.raises(ProfileError, match="there is no profile"):
        Shelf((folder, folder / "sub" / "..")).load_named(name)


def test_a_name_that_two_have_is_nobodys(folder: Path) -> None:
    layer(folder, BASE, "ebu-r128")
    with pytest.raises(ProfileError, match="two profiles are called 'ebu-r128', of Dailies itself and") as caught:
        Shelf((folder,)).load_named("ebu-r128")
    assert str(folder) not in caught.value.public
    assert Shelf((folder,)).load_named("store").layers  # the others are as good as before


def test_what_is_wrong_in_folders_is_known_at_once(folder: Path) -> None:
    (folder / "Bad Name.toml").write_text(BASE)
    layer(folder, BASE, "other")
    (folder / "base.toml").write_text(BASE.replace("severity", "gravity", 1))
    found = Shelf((folder, folder / "nowhere")).problems()
    assert found[0] == f"{folder / 'nowhere'}: there is no such folder"
    assert "this one has no name" in found[1]
    assert f"{folder / 'other.toml'}:1: name: the file is called 'other', the profile 'base'" in found
    assert [p for p in found if "gravity" in p] == [f"{folder / 'base.toml'}:13: gravity: Extra inputs are not permitted"]


def test_two_profiles_of_one_name_cannot_judge_together(folder: Path) -> None:
    one = profiles.load(folder / "base.toml")
    assert profiles.several([one, one]) == (one,)
    with pytest.raises(ProfileError, match="two of the profiles are called 'base'"):
        profiles.several([one, one.model_copy(update={"title": "Another"})])


def test_a_plan_carries_a_profile_whole(folder: Path) -> None:
    profile = profiles.load(folder / "title.toml")
    data = profiles.carried(profile)
    again = type(data).model_validate_json(data.model_dump_json())
    assert Profile.model_validate(again.model_dump()) == profile


@pytest.mark.parametrize("said", ["{a}:{b}", '["{a}", "{b}"]'])
def test_the_setting_takes_several_folders(said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAILIES_PROFILES", said.format(a="/x/a", b="b"))
    assert Settings().profiles == (Path("/x/a"), Path("b"))
    monkeypatch.setenv("DAILIES_PROFILES", "")
    assert Settings().profiles == ()
    monkeypatch.delenv("DAILIES_PROFILES")
    Path("dailies.toml").write_text('profiles = ["/x/c"]\n')
    assert Settings().profiles == (Path("/x/c"),)


def test_the_guide_s_example_is_a_profile(tmp_path: Path) -> None:
    guide = (Path(profiles.__file__).parents[2] / "docs" / "profiles.md").read_text()
    path = tmp_path / "store.toml"
    path.write_text(guide.split("```toml\n", 1)[1].split("```", 1)[0])
    profile = profiles.load(path)
    assert (profile.rules[0].limit, profile.rules[-1].advice) == (5.0, True)
    assert profile.rules[-1].limited == "within 11 ± 7 LU"


def test_what_is_too_large_is_no_profile(tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    path.write_text("#" * 70_000)
    assert "no profile" in str(refusal(path))
