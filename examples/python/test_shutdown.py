import graceshut


def test_buffers_are_written():
    written = []
    with graceshut.installed(grace=2) as gs:
        gs.hook("flush", lambda: written.append(True), name="buffers")
        gs.stop("test")
        gs.wait(timeout=5)
        report = gs.report()
    assert written and report["outcome"] == "clean"
    assert graceshut.current() is None
