"""A page for each command, read off the command tree when the site is built: `reference/commands/*.md`."""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cyclopts
from docstring_parser import parse
from sphinx.application import Sphinx
from sphinx.config import Config

from darts.cli import app as darts_app
from darts.command_line.examples import examples_of
from darts.command_line.helping import plain

FOLDER = Path(__file__).resolve().parents[1] / "reference" / "commands"
COMMON = "Options of every command"


def names(tree: cyclopts.App, before: tuple[str, ...] = ()) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the words of each command below an app, beside what is the same where two names mean one command."""
    for name in tree:
        below = tree[name]
        if name.startswith("-"):
            continue
        if below.default_command is not None:
            yield id(below), (*before, name)
        yield from names(below, (*before, name))


def commands() -> dict[tuple[str, ...], list[tuple[str, ...]]]:
    """Return all commands by their first and shortest name, each with its other names."""
    of_one: dict[int, list[tuple[str, ...]]] = {}
    for command, words in names(darts_app):
        of_one.setdefault(command, []).append(words)
    found = (sorted(of_command, key=len) for of_command in of_one.values())
    return {first: others for first, *others in sorted(found)}


def page(words: tuple[str, ...], others: Iterable[tuple[str, ...]] = ()) -> str:
    """Return the page of a command, in Markdown."""
    command = " ".join(("darts", *words))
    lines = [f"# `{command}`", "", *description(words), ""]
    if also := ", ".join(f"`darts {' '.join(other)}`" for other in others):
        lines += [f"The same command: {also}.", ""]
    lines += ["```text", f"{command} {usage(words)}".strip(), "```", ""]
    if examples := examples_of(" ".join(words)):
        lines += ["For instance", "", "```text", *examples, "```", ""]
    for panel in panels(words):
        lines += [f"## {panel.title}", "", "| option | value | default | meaning |", "|---|---|---|---|"]
        lines += [row(plain(entry)) for entry in panel.entries]
        lines += [""]
    lines += ["[Options of every command](options.md) come on top: the config file, the log, how much is shown.", ""]
    return "\n".join(lines)


def options_page() -> str:
    """Return the page of what every command takes."""
    lines = ["# Options of every command", "", "They stand anywhere on the command line.", ""]
    lines += ["| option | value | default | meaning |", "|---|---|---|---|"]
    for panel in (panel for _, panel in darts_app.meta._assemble_help_panels([], "markdown") if panel.title == COMMON):  # noqa: SLF001
        lines += [row(plain(entry)) for entry in panel.entries]
    return "\n".join([*lines, ""])


@cache
def panels(words: tuple[str, ...]) -> list[Any]:
    """Return the panels of the help of a command that have parameters."""
    found = (panel for _, panel in darts_app._assemble_help_panels(list(words), "markdown"))  # noqa: SLF001
    return [panel for panel in found if panel.format == "parameter" and panel.entries and panel.title != COMMON]


def description(words: tuple[str, ...]) -> list[str]:
    """Return what a command does, from the docstring of its function; the lines of the help where it has none."""
    app = darts_app
    for word in words:
        app = app[word]
    told = parse(app.default_command.__doc__ or "")
    texts = [text for text in (told.short_description or app.help, told.long_description) if text]
    if told.returns is not None and told.returns.description:
        texts.append(f"What comes out: {' '.join(told.returns.description.split())}")
    return "\n\n".join(texts).splitlines()


def usage(words: tuple[str, ...]) -> str:
    """Return what is typed after the name of a command."""
    entries = [entry for panel in panels(words) for entry in panel.entries]
    places = [entry.positional_label for entry in entries if entry.positional_label]
    return " ".join([*places, "[OPTIONS]"] if len(entries) > len(places) else places)


def row(entry: Any) -> str:
    """Return the row of a parameter."""
    names = [*entry.positive_names, *entry.positive_shorts, *entry.negative_names, *entry.negative_shorts]
    names = [name for name in names if not name.startswith("--empty-")] or list(entry.positive_names)
    shown = ", ".join(f"`{name}`" for name in [entry.positional_label, *names] if name)
    default = "" if entry.default in (None, "") else f"`{entry.default}`"
    cells = [shown, value(entry), default, meaning(entry) + (" (required)" if entry.required else "")]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def value(entry: Any) -> str:
    """Return what may be given: the choices, or a word for it; nothing for a switch."""
    choices = ", ".join(f"`{choice}`" for choice in entry.choices or ())
    return choices or (f"`{entry.metavar}`" if entry.metavar else "")


def meaning(entry: Any) -> str:
    """Return the help of a parameter in one line, as it was before it was made ready for a terminal."""
    shown = getattr(entry.description, "primary_renderable", entry.description)
    return " ".join(str(getattr(shown, "markup", shown) or "").split())


def write_pages(app: Sphinx, config: Config) -> None:  # noqa: ARG001  (the signature of the event)
    """Write all pages, those that changed alone, and remove those of commands that are no more."""
    FOLDER.mkdir(exist_ok=True)
    texts = {FOLDER / f"{'-'.join(words)}.md": page(words, others) for words, others in commands().items()}
    texts[FOLDER / "options.md"] = options_page()
    for path, text in texts.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for old in set(FOLDER.glob("*.md")) - set(texts):
        old.unlink()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the writing of pages, before Sphinx looks which there are."""
    app.connect("config-inited", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
