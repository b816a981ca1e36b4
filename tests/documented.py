"""Lines that a page tells users to type, for the tests that run them."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def documented(page: str, name: str) -> str:
    """Return the fenced block of docs/PAGE that follows the line `<!-- tested: NAME -->`."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    blocks = re.findall(rf"^<!-- tested: {re.escape(name)} -->\n```\w*\n(.*?)^```$", text, re.M | re.S)
    assert len(blocks) == 1, f"docs/{page} has {len(blocks)} blocks after <!-- tested: {name} -->"
    return blocks[0]
