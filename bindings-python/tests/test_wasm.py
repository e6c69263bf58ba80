"""WebAssembly hooks. What they mean is tested in wasm/ and in every language by conformance; here: Python's way to say it."""

import pathlib

import pytest

import graceshut

#: Wants http granted, and fails in words without its configuration.
DEREGISTER = pathlib.Path(__file__).resolve().parents[2] / "examples" / "hooks" / "deregister.wasm"


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("GRACESHUT_WASM_CACHE", "off")


def refuse(kind, words, call):
    with pytest.raises(graceshut.Error) as caught:
        call()
    assert caught.value.kind == kind and words in str(caught.value), caught.value
    return caught.value


def test_what_is_refused_says_what_to_do(manual, tmp_path):
    (tmp_path / "text.wasm").write_text("no wasm")
    refuse("null", "wasm", lambda: manual.wasm("flush", None))
    refuse("bad_value", 'http = ["PUT 127.0.0.1:8500"]', lambda: manual.wasm("flush", DEREGISTER))
    refuse("bad_value", "text.wasm", lambda: manual.wasm("flush", tmp_path / "text.wasm"))
    assert isinstance(refuse("os", "nowhere.wasm", lambda: manual.wasm("flush", tmp_path / "nowhere.wasm")), OSError)
    refuse("bad_config", "16MiB", lambda: manual.wasm("flush", DEREGISTER, memory="16MB"))
    refuse("bad_config", "PUT 127.0.0.1:8500", lambda: manual.wasm("flush", DEREGISTER, http=["127.0.0.1:80"]))
    refuse("bad_value", "/nowhere", lambda: manual.wasm("flush", DEREGISTER, http=["PUT a:1"], dirs={"/in": "/nowhere"}))
    refuse("bad_time", "timeout", lambda: manual.wasm("flush", DEREGISTER, http=["PUT a:1"], timeout=-1))
    refuse("unknown_phase", "flsh", lambda: manual.wasm("flsh", DEREGISTER, http=["PUT a:1"]))
    with pytest.raises(TypeError, match="dir"):
        manual.wasm("flush", DEREGISTER, dir={})


def test_it_runs_with_what_it_was_given(manual):
    some = {"http": ("PUT 127.0.0.1:9",), "env": {"A": "1"}, "args": ["-v"], "dirs": {"/": pathlib.Path("/tmp")}, "memory": 1 << 20}
    manual.wasm("flush", DEREGISTER, **some, timeout=4)
    manual.wasm("flush", str(DEREGISTER), **some, name="other", after="deregister", config={"url": "nonsense"}, optional=True)
    manual.wasm("close", DEREGISTER, **some, name="removed").remove()
    manual.stop("test", grace=20)
    manual.wait(timeout=30)
    hooks = {h["name"]: h for phase in manual.report()["phases"] for h in phase["hooks"] if h["kind"] == "wasm"}
    assert sorted(hooks) == ["deregister", "other"]
    assert (hooks["deregister"]["outcome"], hooks["deregister"]["message"]) == ("failed", "returned 2: config.url is missing")
    assert hooks["other"]["outcome"] == "failed" and "config.url is missing" not in hooks["other"]["message"]
