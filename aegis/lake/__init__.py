"""The versioned store: tables and their schemas, snapshots, reading and writing."""
