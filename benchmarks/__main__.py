"""Runs cases, each in a process of its own, and prints one table of their results.

`uv run python -m benchmarks` runs all of them, `uv run python -m benchmarks tpi erosion` these two.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.lib.results import as_table
from benchmarks.lib.runner import CASES, parser, write


def main() -> None:
    """Run, show all results, and fail if a case did."""
    command_line = parser(__doc__)
    command_line.add_argument("cases", nargs="*", help=f"some of {', '.join(CASES)}; all if none is named")
    command_line.add_argument("--list", action="store_true", help="only print the names of the cases")
    options = command_line.parse_args()
    if unknown := sorted(set(options.cases) - set(CASES)):
        command_line.error(f"no case is called {', '.join(unknown)}; there are {', '.join(CASES)}")
    if options.list:
        print("\n".join(CASES))
        return
    arguments = ["--repeat", str(options.repeat), "--folder", str(options.folder)]
    arguments += [] if options.size is None else ["--size", str(options.size)]
    results = {name: _run(name, arguments) for name in options.cases or CASES}
    rows = [row for found in results.values() for row in found or []]
    print(f"\n{as_table(rows)}")
    write(rows, options.json)
    failed = [name for name, found in results.items() if found is None]
    sys.exit(f"no results of {', '.join(failed)}" if failed else 0)


def _run(name: str, arguments: list[str]) -> list[dict[str, Any]] | None:
    """Return the results of a case in their JSON form, None if its process failed."""
    print(f"\n{name}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "results.json"
        command = [sys.executable, "-m", f"benchmarks.cases.{name}", *arguments, "--json", str(file)]
        code = subprocess.run(command, check=False).returncode
        return None if code else json.loads(file.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
