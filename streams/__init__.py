"""Everything that speaks Kafka."""
