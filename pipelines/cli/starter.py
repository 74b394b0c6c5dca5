"""`navette init`: a small project that runs, written into a new or empty folder."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from mappings.errors import ConfigurationError

RENAMED = {"gitignore": ".gitignore"}  # a .gitignore inside the package would hide files of the package itself


def write_starter(folder: Path) -> list[Path]:
    """Writes the project; returns its files. Raises ConfigurationError for a folder that holds anything already."""
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder} is a file", todo="name a new or empty folder")
    written = []
    try:
        if folder.is_dir() and any(folder.iterdir()):
            raise ConfigurationError(
                f"{folder} is not empty, and nothing in it was touched", todo="name a new or empty folder"
            )
        with as_file(files("pipelines.cli") / "starter_project") as model:
            for source in sorted(path for path in model.rglob("*") if path.is_file()):
                place = source.relative_to(model)
                target = folder / place.with_name(RENAMED.get(place.name, place.name))
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read_bytes())
                written.append(target)
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be written: {error.strerror or error}", todo="name a folder that you may write to"
        ) from error
    return written
