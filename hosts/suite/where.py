"""Where the packages and graceshut's own artifacts are, and which versions."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import re
import shutil
import subprocess


class Where:
    """`home` is target/hosts, where the Makefile installed everything; `node` the folder of Node's packages; `stage` the C library's prefix."""

    def __init__(self, home: pathlib.Path, node: pathlib.Path, stage: pathlib.Path) -> None:
        self.home, self.node, self.stage = home.resolve(), node.resolve(), stage.resolve()

    def program(self, language: str, word: str) -> str:
        """The full path of a command's first word."""
        folders = {"python": self.home / "venv" / "bin", "node": self.node / "node_modules" / ".bin", "c": self.home / "venv" / "bin"}
        own = folders[language] / word if language in folders else None
        return str(own) if own and own.exists() else shutil.which(word) or word

    def env(self, language: str) -> dict[str, str]:
        path = os.pathsep.join((str(self.home / "venv" / "bin"), str(self.node / "node_modules" / ".bin"), os.environ["PATH"]))
        made = {"PATH": path, "STAGE": str(self.stage), "VIRTUAL_ENV": str(self.home / "venv")}
        made["PKG_CONFIG_PATH"] = str(self.stage / "lib" / "pkgconfig")
        if language == "java":
            made["CLASSPATH"] = self.class_path
        return made

    @functools.cached_property
    def class_path(self) -> str:
        return os.pathsep.join((str(self.home / "java" / "classes"), str(self.home / "java" / "lib" / "*")))

    @functools.cached_property
    def _python(self) -> dict[str, str]:
        text = subprocess.run(
            [self.home / "venv" / "bin" / "pip", "list", "--format", "json"], capture_output=True, text=True, check=True
        ).stdout
        return {one["name"].lower(): one["version"] for one in json.loads(text)}

    @functools.cached_property
    def _go(self) -> str:
        file = self.home / "go" / "go.mod"
        return file.read_text() if file.exists() else ""

    def version(self, language: str, package: str) -> str:
        """As installed, `?` where that cannot be told. `NAME=WORD,WORD`: what a command says of itself."""
        _, _, command = package.partition("=")
        if command:
            made = subprocess.run(command.split(","), capture_output=True, text=True)
            number = re.search(r"\d+(\.\d+)+", made.stdout + made.stderr)
            return number.group() if number else "?"
        if language == "python":
            return self._python.get(package.lower(), "?")
        if language == "node":
            file = self.node / "node_modules" / package / "package.json"
            return json.loads(file.read_text())["version"] if file.exists() else "?"
        if language == "go":
            number = re.search(r"%s v(\S+)" % re.escape(package), self._go)
            return number.group(1) if number else "?"
        if language == "java":
            jars = sorted((self.home / "java" / "lib").glob(package + "-[0-9]*.jar"))
            return jars[0].stem[len(package) + 1:] if jars else "?"
        return "?"
