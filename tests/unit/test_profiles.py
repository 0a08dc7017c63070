"""Delivery profiles: what a profile file may say, and what the judge makes of facts."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import pytest

from processors import profiles
from processors.profiles import Profile, Rule
from processors.profiles.model import Condition
from schemas.errors import ProfileError
from schemas.events import AssetCoverage, ChunkCoverage, Coverage, Finding, Gap, Measurement, Verdict
from schemas.technical import Presentation, PresentationPart, Technical, TechnicalStream

RULE = """
[[rules]]
id = "a"
code = "{code}"
op = "{op}"
{limit}
outcome = "fail"
severity = "major"
overridable = true
"""
WHEN: dict[str, Any] = {"code": "audio.rms", "op": "<", "limit": 5.0, "unit": "dB"}
HEAD = 'name = "mine"\ntitle = "T"\nreference = "R"\n'


def measurement(id: str = "loudness.integrated", value: float | None = -23.0, **more: Any) -> Measurement:
    body = {"stream": "a0", "unit": "LUFS", "method": "m", "by": "p1", "reason": None if value is not None else "silent"}
    return Measurement(id=id, value=value, **{**body, **more})


def finding(code: str = "video.black", start: float = 10.0, end: float = 13.0, **more: Any) -> Finding:
    body: dict[str, Any] = {
        "id": f"f{code}{start}",
        "code": code,
        "category": "c",
        "term": "t",
        "stream": "v0",
        "clock": "v0",
        "start": round(start * 25),
        "end": round(end * 25),
        "start_seconds": start,
        "end_seconds": end,
        "value": end - start,
        "unit": "s",
        "text": "x",
        "by": "p1",
    }
    return Finding(**{**body, **more})


def technical(*kinds: str) -> Technical:
    streams = [
        TechnicalStream(id=f"{k[0]}{i}", index=i, kind=k.removeprefix("-"), decision="analysed") for i, k in enumerate(kinds)
    ]
    return Technical(container="mov", duration=60.0, streams=tuple(streams))


AV = Technical(
    container="mov",
    duration=60.0,
    streams=(
        TechnicalStream(id="v0", index=0, kind="video", decision="analysed"),
        TechnicalStream(id="v1", index=1, kind="video", decision="skipped", reason="not the best video"),
        TechnicalStream(id="a0", index=2, kind="audio", decision="analysed"),
        TechnicalStream(id="a1", index=3, kind="audio", decision="analysed"),
    ),
)
WHOLE = AssetCoverage(
    video_frames=None,
    streams={name: Coverage(expected=10, decoded=10, analysed=10) for name in ("v0", "a0", "a1")},
    chunks=ChunkCoverage(expected=1, ok=1, failed=0, skipped=0),
)


def holed(stream: str) -> AssetCoverage:
    streams = {**WHOLE.streams, stream: Coverage(expected=10, decoded=8, analysed=8, missing=2)}
    gap = Gap(stream=stream, clock=stream, start=0, end=2, reason="lost")
    return WHOLE.model_copy(update={"streams": streams, "gaps": (gap,)})


def judge(profile: Profile | str, measurements: Any = (), findings: Any = (), **more: Any) -> Verdict:
    body: dict[str, Any] = {"coverage": WHOLE, "technical": AV, "status": "complete", **more}
    loaded = profiles.load(profile) if isinstance(profile, str) else profile
    return profiles.judge(loaded, measurements=measurements, findings=findings, **body)


def outcomes(verdict: Verdict) -> dict[tuple[str, str | None], str]:
    return {(r.rule, r.stream): r.outcome for r in verdict.rules}


def loud(integrated: float | None, peak: float | None = -3.0, stream: str = "a0") -> list[Measurement]:
    return [
        measurement(value=integrated, stream=stream),
        measurement("loudness.true_peak", peak, unit="dBTP", stream=stream),
    ]


def test_all_profiles_load_and_carry_their_files_digest() -> None:
    assert {"ebu-r128", "feature-picture"} <= set(profiles.names())
    folder = Path(profiles.__file__).parent
    for name in profiles.names():
        profile = profiles.load(name)
        assert profile.name == name
        assert profile.sha256 == hashlib.sha256((folder / f"{name}.toml").read_bytes()).hexdigest()


@pytest.mark.parametrize("value", [-23.0, -22.8, -23.2])
def test_loudness_on_the_limit_passes(value: float) -> None:
    verdict = judge("ebu-r128", loud(value) + loud(-23.0, stream="a1"))
    assert verdict.outcome == "pass"
    assert {r.outcome for r in verdict.rules} == {"pass"}
    assert verdict.rules[0].measured == value


@pytest.mark.parametrize("value", [-22.79, -23.21, -30.0, 0.0])
def test_loudness_off_the_limit_fails_for_its_stream_alone(value: float) -> None:
    verdict = judge("ebu-r128", loud(value) + loud(-23.0, stream="a1"))
    assert verdict.outcome == "fail"
    assert outcomes(verdict) == {
        ("programme-loudness", "a0"): "fail",
        ("programme-loudness", "a1"): "pass",
        ("true-peak", "a0"): "pass",
        ("true-peak", "a1"): "pass",
    }


def test_live_production_may_differ_by_one() -> None:
    assert judge("ebu-r128-live", loud(-22.0) + loud(-24.0, stream="a1")).outcome == "pass"
    assert judge("ebu-r128-live", loud(-21.9) + loud(-23.0, stream="a1")).outcome == "fail"


@pytest.mark.parametrize(("peak", "outcome"), [(-1.0, "pass"), (-0.9, "fail"), (1.2, "fail")])
def test_true_peak(peak: float, outcome: str) -> None:
    verdict = judge("ebu-r128", loud(-23.0, peak) + loud(-23.0, stream="a1"))
    assert outcomes(verdict)["true-peak", "a0"] == outcome


@pytest.mark.parametrize(
    ("measured", "reason"),
    [
        ([], "not measured"),
        ([measurement(value=None)], "silent"),
        ([measurement(value=-23.0, reliable=False, reason="under 60 s")], "under 60 s"),
        ([measurement(value=-40.0, reliable=False)], "the measurement is not reliable"),
        ([measurement(value=-23.0, unit="LU")], "measured in LU, not in LUFS"),
    ],
)
def test_what_is_not_known_is_not_evaluated(measured: list[Measurement], reason: str) -> None:
    verdict = judge("ebu-r128", measured)
    result = verdict.rules[0]
    assert (result.rule, result.stream, result.outcome, result.reason) == ("programme-loudness", "a0", "not_evaluated", reason)
    assert verdict.outcome == "not_evaluated"


def test_of_several_presentations_the_worst_counts() -> None:
    several = [measurement(value=v, presentation=f"p{i}") for i, v in enumerate((-23.0, -21.0, -22.0))]
    result = judge("ebu-r128", several).rules[0]
    assert (result.outcome, result.measured) == ("fail", -21.0)
    result = judge("ebu-r128", [several[0], measurement(value=None, presentation="p3")]).rules[0]
    assert result.outcome == "not_evaluated"


def test_nothing_passes_on_partial_coverage_but_what_is_certain_fails() -> None:
    facts = loud(-23.0, 0.5) + loud(-20.0, -3.0, "a1")
    verdict = judge("ebu-r128", facts, coverage=holed("a0"), status="incomplete")
    assert outcomes(verdict) == {
        ("programme-loudness", "a0"): "not_evaluated",
        ("programme-loudness", "a1"): "fail",
        ("true-peak", "a0"): "fail",
        ("true-peak", "a1"): "not_evaluated",
    }
    assert all(r.reason for r in verdict.rules if r.outcome == "not_evaluated")


def test_the_integrated_figure_of_a_stream_with_a_hole_does_not_fail() -> None:
    verdict = judge("ebu-r128", loud(-15.0), coverage=holed("a0"), status="incomplete")
    assert outcomes(verdict)["programme-loudness", "a0"] == "not_evaluated"


def test_unprocessable_assets_are_not_judged() -> None:
    verdict = judge("ebu-r128", technical=Technical(container=None, duration=None), status="unprocessable")
    assert verdict.outcome == "not_evaluated"
    assert [r.stream for r in verdict.rules] == [None, None]


def test_a_profile_for_what_is_not_there() -> None:
    verdict = judge("feature-picture", technical=technical("audio"))
    by_rule = {r.rule: r for r in verdict.rules}
    assert by_rule["no-long-black"].reason == "there is no analysed video stream"
    assert by_rule["no-long-black"].outcome == "not_evaluated"


def test_black_is_for_review_above_its_limit_and_named() -> None:
    short, long = finding(start=5.0, end=7.0), finding(start=10.0, end=12.04)
    verdict = judge("feature-picture", findings=[short, long])
    result = verdict.rules[0]
    assert (result.outcome, result.measured, result.findings) == ("review", pytest.approx(2.04), (long.id,))
    assert verdict.outcome == "review"
    result = judge("feature-picture", findings=[short]).rules[0]
    assert (result.outcome, result.measured, result.findings) == ("pass", 2.0, ())


def test_black_at_the_head_counts_unless_it_belongs_to_a_leader() -> None:
    black = finding(start=0.0, end=2.5)
    assert judge("feature-picture", findings=[black]).rules[0].outcome == "review"
    bars, slate = finding("video.bars", 0.0, 5.0), finding("video.slate", 8.0, 11.0)
    between, after, inside = finding(start=5.0, end=8.0), finding(start=11.0, end=14.0), finding(start=30.0, end=33.0)
    frozen_bars = finding("video.freeze", 0.0, 5.0)
    found = [bars, slate, between, after, inside, frozen_bars]
    known = judge("feature-picture", findings=found)
    assert known.rules[0].findings == (inside.id,)
    assert {r.rule: r.outcome for r in known.rules[1:4]} == {
        "no-freeze": "pass",
        "no-bars-inside": "pass",
        "no-slate-inside": "pass",
    }
    stray = judge("feature-picture", findings=[*found, finding("video.bars", 40.0, 42.0)])
    assert [r.outcome for r in stray.rules if r.rule == "no-bars-inside"] == ["review"]


def test_no_finding_allowed_counts_them() -> None:
    frozen = [finding("video.freeze", 10.0, 13.0), finding("video.freeze", 20.0, 23.0)]
    result = judge("feature-picture", findings=frozen).rules[1]
    assert (result.outcome, result.measured, result.unit) == ("review", 2.0, "count")
    assert result.findings == tuple(f.id for f in frozen)


def test_what_no_task_looked_for_does_not_pass() -> None:
    result = judge("feature-picture", examined={"video.black"})
    assert [r.outcome for r in result.rules] == ["pass"] + ["not_evaluated"] * (len(result.rules) - 1)


def test_findings_of_other_streams_do_not_count() -> None:
    assert judge("feature-picture", findings=[finding(stream="v1")]).rules[0].outcome == "pass"


def test_the_worst_rule_is_the_verdict() -> None:
    error = finding("video.decode_error", 1.0, 2.0, value=3.0, unit="frames")
    assert judge("feature-picture", findings=[error, finding()]).outcome == "fail"
    assert judge("feature-picture", findings=[error], status="incomplete", coverage=holed("v0")).outcome == "fail"


def test_a_finding_of_unknown_size_is_for_a_person() -> None:
    unknown = finding(value=None, unit=None, start=3.0, end=3.5)
    share = rule(code="video.black", op="<=", limit=2.0, tolerance=None, unit="%", outcome="review")
    assert judge(of(share), findings=[unknown]).outcome == "review"
    assert judge("feature-picture", findings=[unknown]).rules[0].outcome == "pass"


def test_flashing_fails_at_once() -> None:
    flash = finding("video.flash.red", 10.0, 11.0, value=3.5, unit="flashes/s")
    (said,) = profiles.react(profiles.load("feature-picture"), flash)
    assert (said.outcome, said.suggested_action, said.finality) == ("fail", "hold", "irrevocable")
    assert judge("feature-picture", findings=[flash]).outcome == "fail"


def test_reactions_do_not_pass_and_say_what_is_final() -> None:
    profile = profiles.load("feature-picture")
    (growing,) = profiles.react(profile, finding(start=10.0, end=11.0))
    assert (growing.outcome, growing.suggested_action, growing.finality) == ("not_evaluated", "none", "provisional")
    (long,) = profiles.react(profile, finding(start=10.0, end=12.5))
    assert (long.outcome, long.suggested_action, long.finality) == ("review", "review", "irrevocable")
    (head,) = profiles.react(profile, finding(start=0.0, end=2.5))
    assert (head.outcome, head.finality) == ("review", "provisional")
    (leader,) = profiles.react(profile, finding(start=5.0, end=8.0), [finding("video.bars", 0.0, 5.0)])
    assert leader.outcome == "not_evaluated"
    (freeze,) = profiles.react(profile, finding("video.freeze"))
    assert (freeze.outcome, freeze.finality) == ("review", "provisional")
    (error,) = profiles.react(profile, finding("video.decode_error"))
    assert (error.outcome, error.suggested_action, error.finality) == ("fail", "hold", "irrevocable")
    assert profiles.react(profile, finding("audio.silence")) == ()


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_a_profile_of_ones_own(tmp_path: Path) -> None:
    text = HEAD + RULE.format(code="loudness.range", op="<=", limit='limit = 18\nunit = "LU"')
    path = write(tmp_path, text)
    profile = profiles.load(str(path))
    assert profile.rules[0].limit == 18.0
    assert profile == profiles.load(path)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (HEAD + "[[rules]\n", 4, "Expected"),
        (HEAD.replace("title", "titel"), 1, "title: Field required"),
        (HEAD, 1, "rules: "),
        (HEAD + RULE.format(code="video.smell", op="none", limit=""), 5, "no measurement and no finding 'video.smell'"),
        (HEAD + RULE.format(code="video.black", op="==", limit=""), 8, "op: "),
        (HEAD + RULE.format(code="video.black", op=">=", limit='limit = 1.0\nunit = "s"'), 5, "a rule on findings"),
        (HEAD + RULE.format(code="video.black", op="<=", limit=""), 5, "a limit is needed"),
        (HEAD + RULE.format(code="video.black", op="<=", limit="limit = 1.0"), 5, "needs a unit"),
        (HEAD + RULE.format(code="video.black", op="<=", limit='limit = true\nunit = "s"'), 9, "limit: "),
        (HEAD + RULE.format(code="audio.rms", op="within", limit='limit = 1.0\nunit = "dB"'), 5, "needs a tolerance"),
        (HEAD + RULE.format(code="audio.rms", op="none", limit=""), 5, "is for findings"),
        (HEAD + RULE.format(code="video.black", op="none", limit="lmit = 2.0"), 9, "lmit: "),
        (HEAD + RULE.format(code="video.black", op="none", limit="") * 2, 15, "two rules are called 'a'"),
        (HEAD + 'sha256 = "x"\n' + RULE.format(code="video.black", op="none", limit=""), 4, "leave it out"),
    ],
)
def test_errors_say_file_line_and_reason(tmp_path: Path, text: str, line: int, reason: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ProfileError) as caught:
        profiles.load(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert reason in str(caught.value)


def test_unknown_names_and_files(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"there are .*ebu-r128"):
        profiles.load("no-such-profile")
    with pytest.raises(ProfileError, match="No such file"):
        profiles.load(tmp_path / "nothing.toml")
    with pytest.raises(ProfileError, match="no profile"):
        profiles.load_named("../../etc/passwd")
    with pytest.raises(ProfileError, match="no profile"):
        profiles.load_named(str(write(tmp_path, HEAD)))
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ProfileError, match="UTF-8"):
        profiles.load(tmp_path / "bytes.toml")


@pytest.mark.parametrize(("value", "broken"), [(-1.0, False), (-0.99, True), (None, False)])
def test_a_peak_that_is_too_high_already_is_final(value: float | None, broken: bool) -> None:
    figure = measurement("loudness.true_peak", value, unit="dBTP")
    found = profiles.react_to_figure(profiles.load("ebu-r128"), figure)
    assert [(r.outcome, r.finality, r.suggested_action, r.measured) for r in found] == (
        [("fail", "irrevocable", "hold", value)] if broken else []
    )


def test_a_figure_that_may_still_mend_is_no_reaction() -> None:
    assert profiles.react_to_figure(profiles.load("ebu-r128"), measurement(value=-5.0)) == ()
    unreliable = measurement("loudness.true_peak", 3.0, unit="dBTP", reliable=False, reason="lost")
    assert profiles.react_to_figure(profiles.load("ebu-r128"), unreliable) == ()


def rule(**more: Any) -> Rule:
    body = {"id": "a", "code": "loudness.integrated", "op": "within", "limit": -23.0, "tolerance": 1.0, "unit": "LUFS"}
    return Rule.model_validate({**body, "outcome": "fail", "severity": "major", "overridable": True, **more})


def of(*rules: Rule) -> Profile:
    return Profile(name="p", title="t", reference="r", sha256="0", rules=rules)


TWO = AV.model_copy(
    update={
        "presentations": (
            Presentation(
                id="p0",
                streams=(PresentationPart(stream="a0", channels=(0,)), PresentationPart(stream="a1", channels=(0,))),
                source="inferred",
                reason="x",
            ),
            Presentation(id="p1", streams=(PresentationPart(stream="a1", channels=(1, 2)),), source="mca", reason="x"),
        )
    }
)


def test_a_rule_per_presentation_has_a_result_of_each() -> None:
    """Two tracks that are one programme have one figure, at the first of them: the second one lacks none."""
    figures = [measurement(value=-20.0, presentation="p0"), measurement(value=-23.0, presentation="p1", stream="a1")]
    verdict = judge(of(rule(per="presentation")), figures, technical=TWO)
    assert [(r.stream, r.presentation, r.outcome) for r in verdict.rules] == [("a0", "p0", "fail"), ("a1", "p1", "pass")]
    missing = judge(of(rule(per="presentation")), figures[:1], technical=TWO)
    assert [(r.presentation, r.outcome, r.reason) for r in missing.rules][1] == ("p1", "not_evaluated", "not measured")
    assert outcomes(judge(of(rule()), figures[:1], technical=TWO))["a", "a1"] == "not_evaluated"


def test_a_stream_that_is_in_no_presentation_is_judged_by_itself() -> None:
    alone = TWO.model_copy(update={"presentations": TWO.presentations[1:]})
    verdict = judge(of(rule(per="presentation")), [measurement(value=-20.0)], technical=alone)
    assert [(r.stream, r.presentation, r.outcome) for r in verdict.rules] == [
        ("a1", "p1", "not_evaluated"),
        ("a0", None, "fail"),
    ]


def test_a_presentation_with_a_hole_in_any_of_its_streams_is_not_judged_by_figures_of_the_whole() -> None:
    figures = [measurement(value=-20.0, presentation="p0")]
    verdict = judge(of(rule(per="presentation")), figures, technical=TWO, coverage=holed("a1"), status="incomplete")
    assert (verdict.rules[0].outcome, verdict.rules[0].reason) == ("not_evaluated", "not everything was analysed of p0")


@pytest.mark.parametrize(
    ("beside", "outcome", "said"),
    [
        ([("audio.rms", 3.0, {})], "fail", None),
        ([("audio.rms", 5.0, {})], "pass", "does not apply: it is for audio.rms < 5 dB, and measured is 5"),
        ([], "not_evaluated", "audio.rms: not measured"),
        ([("audio.rms", None, {"reason": "silent"})], "not_evaluated", "audio.rms: silent"),
        ([("audio.rms", 3.0, {"reliable": False, "reason": "short"})], "not_evaluated", "audio.rms: short"),
        ([("audio.rms", 3.0, {"unit": "V"})], "not_evaluated", "audio.rms: measured in V, not in dB"),
        (
            [("audio.rms", 3.0, {}), ("audio.rms", 6.0, {})],
            "pass",
            "does not apply: it is for audio.rms < 5 dB, and measured is 3, 6",
        ),
    ],
)
def test_a_rule_with_a_condition_applies_where_it_holds(beside: list[Any], outcome: str, said: str | None) -> None:
    figures = [measurement(code, value, **{"unit": "dB", **more}) for code, value, more in beside]
    conditional = rule(when={"code": "audio.rms", "op": "<", "limit": 5.0, "unit": "dB"})
    result = judge(of(conditional), [measurement(value=-10.0), *figures], technical=technical("audio")).rules[0]
    assert (result.outcome, result.reason) == (outcome, said)


def test_a_condition_of_what_was_not_seen_whole_lets_nothing_pass() -> None:
    conditional = rule(when={"code": "audio.rms", "op": ">=", "limit": 5.0, "unit": "dB"})
    figures = [measurement(value=-10.0), measurement("audio.rms", 1.0, unit="dB")]
    verdict = judge(of(conditional), figures, technical=technical("audio"), coverage=holed("a0"), status="incomplete")
    assert (verdict.outcome, verdict.rules[0].reason) == ("not_evaluated", "not everything was analysed of a0")


@pytest.mark.parametrize(
    ("value", "outcome"), [(24.0, "pass"), (23.976, "pass"), (25.04, "pass"), (25.06, "fail"), (30.0, "fail")]
)
def test_one_of_several_values(value: float, outcome: str) -> None:
    rates = rule(code="video.si", op="one_of", limit=None, values=(23.976, 24.0, 25.0), tolerance=0.05, unit="fps")
    result = judge(of(rates), [measurement("video.si", value, unit="fps", stream="v0")], technical=technical("video")).rules[0]
    assert (result.outcome, result.values, result.limit) == (outcome, (23.976, 24.0, 25.0), None)


def test_advice_is_named_and_decides_nothing() -> None:
    advice = rule(id="b", outcome="review", severity="info", limit=-30.0)
    verdict = judge(of(rule(), advice), [measurement()], technical=technical("audio"))
    assert (verdict.outcome, outcomes(verdict)["b", "a0"]) == ("pass", "review")
    unknown = judge(
        of(rule(), advice.model_copy(update={"code": "loudness.range"})), [measurement()], technical=technical("audio")
    )
    assert (unknown.outcome, outcomes(unknown)["b", "a0"]) == ("pass", "not_evaluated")
    assert judge(of(advice), [measurement()], technical=technical("audio")).outcome == "pass"
    assert judge(of(advice), technical=technical("audio"), status="incomplete").outcome == "not_evaluated"


def test_advice_asks_nobody_to_hold_anything() -> None:
    flash = finding("video.flash.red", 10.0, 11.0)
    loud = rule(code="video.flash.red", op="none", limit=None, tolerance=None, unit=None, severity="info")
    assert [r.suggested_action for r in profiles.react(of(loud), flash)] == ["none"]
    peak = measurement("loudness.true_peak", 0.5, unit="dBTP")
    limit = rule(code="loudness.true_peak", op="<=", limit=-1.0, tolerance=None, unit="dBTP")
    assert [r.suggested_action for r in profiles.react_to_figure(of(limit), peak)] == ["hold"]
    conditional = limit.model_copy(update={"when": Condition(code="audio.rms", op="<", limit=5.0, unit="dB")})
    assert profiles.react_to_figure(of(conditional), peak) == ()


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"op": "one_of"}, "values are needed"),
        ({"op": "one_of", "values": (1.0,)}, "except with the ops"),
        ({"values": (1.0,)}, "values are needed"),
        ({"code": "video.si", "per": "presentation"}, "measurements of sound"),
        ({"code": "video.black", "op": "none", "limit": None, "when": WHEN}, "rules on measurements"),
        ({"when": WHEN | {"code": "video.black"}}, "there is no measurement 'video.black'"),
        ({"when": WHEN | {"op": "="}}, "when.op"),
    ],
)
def test_rules_that_say_nothing(more: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        rule(**more)


def test_thousands_of_findings_take_no_time() -> None:
    """A second stands for what took minutes when each finding looked for the leader anew."""
    codes = ("video.black", "video.freeze", "video.bars", "video.slate", "video.decode_error")
    many = [finding(codes[n % 5], 10.0 + 3 * n, 12.5 + 3 * n) for n in range(5000)]
    begun = time.process_time()
    verdict = judge("feature-picture", findings=many)
    assert time.process_time() - begun < 1.0
    assert [r.measured for r in verdict.rules[1:4]] == [1000.0, 1000.0, 1000.0]
