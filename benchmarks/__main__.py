"""Asks questions about speed and memory, each in a process of its own, and prints one table.

`uv run python -m benchmarks` asks all of them, `uv run python -m benchmarks tpi erosion` these two.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.answers import as_table
from benchmarks.asking import QUESTIONS, parser, write


def main() -> None:
    """Ask, show all answers, and fail if a question could not be answered."""
    command_line = parser(__doc__)
    command_line.add_argument("questions", nargs="*", help=f"some of {', '.join(QUESTIONS)}; all if none is named")
    command_line.add_argument("--list", action="store_true", help="only print the names of the questions")
    asked = command_line.parse_args()
    if unknown := sorted(set(asked.questions) - set(QUESTIONS)):
        command_line.error(f"no question is called {', '.join(unknown)}; there are {', '.join(QUESTIONS)}")
    if asked.list:
        print("\n".join(QUESTIONS))
        return
    questions = asked.questions or QUESTIONS
    options = ["--repeat", str(asked.repeat), "--folder", str(asked.folder)]
    options += [] if asked.size is None else ["--size", str(asked.size)]
    answers = {question: _ask(question, options) for question in questions}
    rows = [row for found in answers.values() for row in found or []]
    print(f"\n{as_table(rows)}")
    write(rows, asked.json)
    failed = [question for question, found in answers.items() if found is None]
    sys.exit(f"no answer to {', '.join(failed)}" if failed else 0)


def _ask(question: str, options: list[str]) -> list[dict[str, Any]] | None:
    """Return the answers to a question in their JSON form, None if its process failed."""
    print(f"\n{question}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "answers.json"
        command = [sys.executable, "-m", f"benchmarks.{question}", *options, "--json", str(file)]
        code = subprocess.run(command, check=False).returncode
        return None if code else json.loads(file.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
