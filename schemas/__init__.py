"""What is on the wire: clocks, chunks, cells, manifests, plans and events. Imports neither processors nor streams."""
