"""The local stack: a real Apache Kafka without installation, and the processes of every role beside it."""

from streams.local.session import stack_up

__all__ = ["stack_up"]
