"""A real OpenSearch on loopback, for `--store opensearch`: the sink passes what it is asked to write on to it."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import time
import urllib.request

from broker import free_port, started

HERE = pathlib.Path(__file__).resolve().parent
STARTS_WITHIN = 120.0


class OpenSearch:
    """Starts it from the jars in ``lib``, with its files in ``folder``. Use as a context manager."""

    def __init__(self, lib: pathlib.Path, folder: pathlib.Path) -> None:
        self.lib, self.folder = lib, folder
        self.port = free_port()
        self.address = "http://127.0.0.1:%d" % self.port

    def __enter__(self) -> OpenSearch:
        for name in ("config", "data", "modules", "plugins", "classes"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        logging = self.folder / "config" / "log4j2.properties"
        shutil.copy(HERE / "store" / "log4j2.properties", logging)
        classes = self.folder / "classes"
        subprocess.run(["javac", "-nowarn", "-cp", "%s/*" % self.lib, "-d", classes, HERE / "store" / "Store.java"], check=True)
        java = ["java", "-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-Dopensearch.path.home=%s" % self.folder, "-Dlog4j2.disable.jmx=true"]
        java += ["-Dlog4j2.configurationFile=%s" % logging, "-cp", "%s:%s/*" % (classes, self.lib), "Store", str(self.folder)]
        self.log = (self.folder / "store.log").open("wb")
        self.process = started(subprocess.Popen([*java, str(self.port), str(free_port())], stdout=self.log, stderr=self.log))
        until = time.monotonic() + STARTS_WITHIN
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                self.__exit__()
                raise RuntimeError("OpenSearch did not start: see %s" % (self.folder / "store.log"))
            time.sleep(0.3)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        self.log.close()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.address, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def bulk(self, index: str, lines: bytes) -> bool:
        """Passes a bulk request on; whether all of it was taken."""
        asked = urllib.request.Request("%s/%s/_bulk" % (self.address, index), lines, {"Content-Type": "application/x-ndjson"})
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return not json.load(answer)["errors"]
        except OSError:
            return False

    def count(self, index: str) -> int:
        """Documents that a search finds, after a refresh."""
        refresh = urllib.request.Request("%s/%s/_refresh" % (self.address, index), method="POST")
        urllib.request.urlopen(refresh, timeout=60).close()
        with urllib.request.urlopen("%s/%s/_count" % (self.address, index), timeout=60) as answer:
            return json.load(answer)["count"]
