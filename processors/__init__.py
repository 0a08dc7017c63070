"""Everything that understands media. Imports no Kafka client: every function runs and is tested on a file or an array."""
