"""What other programs count in a file: ffprobe decodes it, mediainfo reads what the container says."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 300
MEDIAINFO_KINDS = {"Video": "video", "Audio": "audio"}


@dataclass(frozen=True, slots=True)
class Told:
    """What mediainfo says of one stream: frames or samples, and seconds; ``None`` where it says nothing."""

    units: int | None
    seconds: float | None


def ffprobe_units(path: Path) -> dict[int, int] | None:
    """Frames (video) or samples (sound) that ffprobe decodes, by stream index; ``None`` without ffprobe.

    Raises ``RuntimeError`` if ffprobe does not read the file.
    """
    binary = shutil.which("ffprobe")
    if binary is None:
        return None
    streams = _ffprobe(binary, path, ["-show_entries", "stream=index,codec_type"])["streams"]
    return {s["index"]: _units(binary, path, s["index"]) for s in streams if s.get("codec_type") in ("video", "audio")}


def _units(binary: str, path: Path, index: int) -> int:
    """Of one stream alone: in a file that is cut short, the first stream to end would end the reading of all."""
    frames = _ffprobe(binary, path, ["-select_streams", str(index), "-show_entries", "frame=media_type,nb_samples"])["frames"]
    return sum(int(frame.get("nb_samples", 0)) if frame.get("media_type") == "audio" else 1 for frame in frames)


def _ffprobe(binary: str, path: Path, options: list[str]) -> dict[str, list[dict[str, Any]]]:
    done = subprocess.run([binary, "-v", "quiet", *options, "-of", "json", str(path)], capture_output=True, timeout=SECONDS)
    if done.returncode != 0:
        raise RuntimeError(f"ffprobe ends with {done.returncode} on {path.name}")
    return {"streams": [], "frames": [], **json.loads(done.stdout or b"{}")}


def mediainfo_units(path: Path) -> dict[tuple[str, int], Told] | None:
    """What mediainfo says, by kind and number among the streams of that kind; ``None`` without mediainfo."""
    binary = shutil.which("mediainfo")
    if binary is None:
        return None
    done = subprocess.run([binary, "--Output=JSON", str(path)], capture_output=True, timeout=SECONDS, check=True)
    tracks = (json.loads(done.stdout).get("media") or {}).get("track", [])
    numbers: Counter[str] = Counter()
    found = {}
    for track in tracks:
        kind = MEDIAINFO_KINDS.get(track.get("@type", ""))
        if kind is not None:
            count = track.get("FrameCount" if kind == "video" else "SamplingCount")
            found[kind, numbers[kind]] = Told(int(count) if count else None, _seconds(track.get("Duration")))
            numbers[kind] += 1
    return found


def _seconds(text: str | None) -> float | None:
    return float(text) if text else None
