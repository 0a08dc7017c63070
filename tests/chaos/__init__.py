"""The chaos suite: seeded faults against a running stack, and an oracle that proves that nothing is lost."""
