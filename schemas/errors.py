"""Every error that Dailies raises on purpose, in one tree.

::

    DailiesError
    ├── WireError            a message that does not have the form its topic promises
    ├── Unprocessable        an asset that cannot be analysed; carries a machine-readable ``reason``
    │   ├── SourceRefused    the URI policy forbids it (scheme, root, private address)
    │   ├── SourceMissing    there is nothing at the URI, or it may not be read
    │   ├── SourceChanged    the object's version is no longer the one that was planned
    │   └── OtherVersion     a task is asked for in a version that this process does not have
    ├── ChildError           a child process did not deliver; an attempt is used up
    │   ├── ChildCrashed     it ended by a signal or without an answer
    │   ├── ChildTimeout     it outlasted its wall-clock limit
    │   └── ChildOutOfMemory it outgrew its memory limit
    ├── DeliveryFailed       Kafka did not take a record that had to be written
    ├── ProfileError         a delivery profile that cannot be used; says line and reason
    └── SetupError           the machine or the local stack lacks something; says what to do
        ├── BrokerError      Kafka could not be started or reached
        └── PortTaken        an asked-for port is in use
"""

from __future__ import annotations


class DailiesError(Exception):
    """Base of all errors raised on purpose."""


class WireError(DailiesError):
    """A message does not have the form that its topic promises."""


class Unprocessable(DailiesError):
    """An asset that cannot be analysed.

    ``reason`` is a short machine-readable word such as ``no_streams``; the message is for people.
    """

    reason = "unprocessable"

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class SourceRefused(Unprocessable):
    """The URI policy forbids this source."""

    reason = "source_refused"


class SourceMissing(Unprocessable):
    """Nothing is at the URI, or it may not be read."""

    reason = "source_missing"


class SourceChanged(Unprocessable):
    """The object's version is no longer the one that was planned."""

    reason = "source_changed"


class OtherVersion(Unprocessable):
    """A task is asked for in a version that this process does not have: another one may."""

    reason = "task_version"


class ChildError(DailiesError):
    """A child process did not deliver."""

    reason = "child_failed"


class ChildCrashed(ChildError):
    """A child ended by a signal or without an answer."""

    reason = "child_crashed"


class ChildTimeout(ChildError):
    """A child outlasted its wall-clock limit."""

    reason = "child_timeout"


class ChildOutOfMemory(ChildError):
    """A child outgrew its memory limit."""

    reason = "child_out_of_memory"


class DeliveryFailed(DailiesError):
    """Kafka did not take a record that had to be written: whatever caused it must not be committed."""


class ProfileError(DailiesError):
    """A delivery profile that cannot be used.

    ``problems`` are all that are known of its files, each with file, line and reason: none where there is no such profile.
    ``public`` is the message without this machine's folders.
    """

    def __init__(self, message: str, *, problems: tuple[str, ...] = (), public: str | None = None) -> None:
        super().__init__(message)
        self.problems = problems
        self.public = public or message


class SetupError(DailiesError):
    """The machine or the local stack lacks something; the message says what to do."""


class BrokerError(SetupError):
    """Kafka could not be started or reached."""


class PortTaken(SetupError):
    """An asked-for port is in use."""
