"""Speed and memory, each number paired with a peer's in one run. Never imported by the platform."""
