"""What a benchmark says of the machine that it ran on."""

import platform
from pathlib import Path


def processor() -> str:
    """Return the processor's name, or its architecture where the system does not tell."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    return model or platform.processor() or platform.machine()
