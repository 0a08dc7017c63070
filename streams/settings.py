"""All settings, in one class: flags first, then ``DAILIES_*`` variables, then a TOML file, then these defaults."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from processors.limits import MediaLimits
from processors.policy import SourcePolicy

if TYPE_CHECKING:
    from processors.profiles.shelf import Shelf

GIB = 1 << 30


class Settings(BaseSettings):
    """Settings of every role and command."""

    model_config = SettingsConfigDict(env_prefix="DAILIES_", toml_file="dailies.toml", extra="ignore", frozen=True)

    data_dir: Path = Field(Path(".dailies"), description="Folder of the local stack: Kafka's data, logs, state, sidecars.")
    bootstrap: str | None = Field(None, description="Bootstrap servers of an existing cluster; else the local stack's.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How clients speak with the brokers of `bootstrap`."
    )
    kafka_sasl_mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] | None = Field(
        None, description="How clients log in; SCRAM-SHA-512 by default."
    )
    kafka_sasl_username: str | None = Field(None, description="Who logs in.")
    kafka_sasl_password: SecretStr | None = Field(None, description="The password; rather name a file.")
    kafka_sasl_password_file: Path | None = Field(None, description="A file with the password alone.")
    kafka_ca_file: Path | None = Field(None, description="PEM file of the authorities of the brokers; else the machine's.")
    kafka_cert_file: Path | None = Field(None, description="PEM file of the client's certificate with its chain (mTLS).")
    kafka_key_file: Path | None = Field(None, description="PEM file of its private key.")
    kafka_key_password_file: Path | None = Field(None, description="A file with what the private key is encrypted with.")
    sidecar_uri: str | None = Field(None, description="Where Parquet sidecars go (fsspec); the data folder by default.")
    roots: tuple[str, ...] = Field((), description="Folders or URI prefixes that sources must lie under; empty: anywhere.")
    schemes: tuple[str, ...] = Field(("file", "s3", "https"), description="URI schemes that may be read.")
    s3_endpoints: dict[str, str] = Field(
        {}, description="URLs of stores that speak S3, by the scheme of the URIs whose objects they hold (gs, az, s3)."
    )
    profiles: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="Folders with profiles of one's own (TOML); in the environment a path, several with : between, or JSON."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where networks run.")
    decoders: int = Field(0, description="Decode children per decoder process; 0: one per core.")
    chunk_budget_bytes: int = Field(4 * GIB, description="Bytes of chunks that may wait in Kafka, all decoders together.")
    attempts: int = Field(3, description="How often a job or chunk is tried before it goes to the dead letters.")
    probe_seconds: float = Field(600, description="Wall-clock limit of probing one asset, in seconds.")
    probe_memory_bytes: int = Field(2 * GIB, description="Memory limit of the probing child.")
    decode_memory_bytes: int = Field(4 * GIB, description="Memory limit of a decode child.")
    decode_stall_seconds: float = Field(60, description="A decode child that gives nothing for so long is ended.")
    probe_cpu_seconds: float = Field(300, description="CPU time that probing one asset may take, in seconds.")
    decode_cpu_seconds: float = Field(60, description="CPU time that a decode child may take from one result to the next.")
    max_streams: int = Field(256, description="Streams of an asset; more: unprocessable, too_many_streams.")
    max_side: int = Field(16_384, description="Pixels a side of a picture; more: too_large.")
    max_pixels: int = Field(1 << 26, description="Pixels of a picture; more: too_large.")
    max_seconds: float = Field(48 * 3600, description="Seconds that a stream plays; more: too_long.")
    max_frames: int = Field(20_000_000, description="Pictures of a stream; more: too_many_frames.")
    max_channels: int = Field(64, description="Channels of a sound stream; more: too_many_channels.")
    max_sample_rate: int = Field(768_000, description="Samples a second of a sound stream; more: sample_rate_too_high.")
    max_changes: int = Field(1000, description="Changes of size or format in one decode job; more: too_many_changes.")
    repair_look_seconds: float = Field(5, description="How often the aggregator looks for lost results.")
    repair_after_seconds: float = Field(60, description="How long after a result is known to be lost its job is issued again.")
    instance_id: str | None = Field(
        None, description="This process's lasting name in its consumer group: it keeps its partitions over a restart."
    )
    state_file: Path | None = Field(None, description="Where a role writes its state for `dailies status`.")
    health_bind: str = Field("127.0.0.1", description="Address where a role answers /live, /ready and /metrics.")
    health_port: int = Field(0, ge=0, le=65535, description="Port of the same; 0: a free one, written into the state file.")
    patience_seconds: float = Field(300, gt=0, description="A role that has work and does none for so long is not alive.")
    watchdog_seconds: float = Field(
        60,
        ge=0,
        description="`up` starts a role again that gives no answer, or says that it is not alive, for so long; 0: never.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, environment, TOML file, secrets; no dot-env files."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls), file_secret_settings

    @field_validator("profiles", mode="before")
    @classmethod
    def _folders(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return json.loads(value) if value.lstrip().startswith("[") else [part for part in value.split(os.pathsep) if part]

    def source_policy(self) -> SourcePolicy:
        """What may be read, and where it lies."""
        return SourcePolicy(self.schemes, self.roots, endpoints=tuple(sorted(self.s3_endpoints.items())))

    def shelf(self) -> Shelf:
        """The profiles that can be named."""
        from processors.profiles.shelf import Shelf  # brings all events' models, which other commands do without

        return Shelf(tuple(folder.expanduser() for folder in self.profiles))

    def media_limits(self) -> MediaLimits:
        """What one asset may ask for."""
        return MediaLimits(
            streams=self.max_streams,
            side=self.max_side,
            pixels=self.max_pixels,
            seconds=self.max_seconds,
            frames=self.max_frames,
            channels=self.max_channels,
            sample_rate=self.max_sample_rate,
            changes=self.max_changes,
        )

    def sidecars(self) -> str:
        """Where sidecars go."""
        return self.sidecar_uri or (self.data_dir.resolve() / "sidecar").as_uri()
