import signal

import pytest


def test_a_forked_child_is_disarmed(child):
    c = child(
        """
        def mine(signo, frame): pass
        signal.signal(signal.SIGHUP, mine)
        gs = graceshut.install(grace=10)
        gs.hook("flush", lambda: print("parent flush"), name="f")
        handle = gs.hook("close", lambda: None, name="c")
        pid = os.fork()
        if pid == 0:
            kinds = []
            for call in (lambda: gs.stop(), lambda: gs.wait(1), lambda: gs.hook("flush", print), lambda: gs.ready(),
                         lambda: handle.remove(), lambda: gs.uninstall(), lambda: gs.plan(), lambda: gs.stopping.wait(1),
                         lambda: gs.on_reload(print), lambda: gs.on_event(print)):
                try: call(); kinds.append("nothing")
                except graceshut.Error as e: kinds.append(e.kind)
            assert set(kinds) == {"closed"}, kinds
            assert graceshut.current() is None and gs.state == "idle"
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL and signal.getsignal(signal.SIGHUP) is mine
            print("child checked")
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
        _, status = os.waitpid(pid, 0)
        print("child", os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status))
        print("ready")
        sys.exit(gs.wait())
        """
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.lines == ["child checked", "child 15", "ready", "parent flush"], c.words()


def test_install_in_the_child(child):
    c = child(
        """
        gs = graceshut.install(grace=10, report="none")
        gs.hook("flush", lambda: print("parent flush"), name="f")
        if os.fork() == 0:
            mine = graceshut.install(grace=7, report="none")
            assert mine is not gs
            mine.hook("flush", lambda: print("child flush"), name="f")
            mine.stop()
            sys.exit(mine.wait())
        print("child left with", os.waitstatus_to_exitcode(os.wait()[1]))
        print("ready")
        sys.exit(gs.wait())
        """,
        {"GRACESHUT_REPORT": "none"},
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.lines == ["child flush", "child left with 0", "ready", "parent flush"], c.words()


@pytest.mark.parametrize("ignored", [False, True], ids=["INT open", "INT ignored at the start"])
def test_a_worker_that_c_code_forked(child, ignored):
    """uWSGI's workers: Python is told nothing of the fork, the first request installs on whichever thread serves it, the main thread
    sleeps in C, and the worker's own handler is native and leaves at once."""
    c = child(
        f"""
        import ctypes
        if {ignored}: signal.signal(signal.SIGINT, signal.SIG_IGN)
        libc = ctypes.CDLL(None)
        gs = graceshut.install(grace=6)
        gs.hook("flush", lambda: print("parent flush"), name="f")
        r, w = os.pipe()
        pid = libc.fork()
        if pid == 0:
            import graceshut.wsgi
            libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
            libc.signal(signal.SIGINT, ctypes.cast(libc.exit, ctypes.c_void_p))
            begun = threading.Event()
            def app(environ, start):
                begun.set()
                time.sleep(environ["seconds"])
                start("200 OK", [])
                return [b"ok"]
            app = graceshut.wsgi.Middleware(app)
            def serve(seconds):
                answer = app({{"PATH_INFO": "/", "seconds": seconds}}, lambda *_: None)
                print("answered", *answer)
                answer.close()
            first = threading.Thread(target=serve, args=(0,))
            first.start(); first.join()
            begun.clear()
            threading.Thread(target=serve, args=(0.5,)).start()
            begun.wait()
            os.write(w, b"!")
            lock = (ctypes.c_char * 64)()
            libc.pthread_mutex_lock(lock); libc.pthread_mutex_lock(lock)
        os.read(r, 1)
        began = time.monotonic()
        os.kill(pid, signal.SIGINT)
        print("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), time.monotonic() - began < 3)
        os._exit(0)
        """
    )
    c.end()
    assert c.lines == ["answered b'ok'", "answered b'ok'", "child 2 True"], c.words()
    assert c.report["outcome"] == "clean" and c.report["reason"]["signal"] == "INT", c.report


def test_children_inherit_nothing(child):
    c = child(
        """
        import subprocess
        gs = graceshut.install(grace=10)
        gs.hook("flush", lambda: subprocess.check_call(["sh", "-c", "grep SigBlk /proc/self/status"]), name="f")
        p = subprocess.run(["grep", "-E", "Sig(Blk|Ign|Cgt)", "/proc/self/status"], stdout=subprocess.PIPE, text=True)
        print(p.stdout.replace("\\t", " ").strip())
        print("ready")
        sys.exit(gs.wait())
        """
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.lines[0] == "SigBlk: " + "0" * 16, c.words()
    assert c.lines[-1].split() == ["SigBlk:", "0" * 16]


def test_multiprocessing_fork(child):
    c = child(
        """
        import multiprocessing
        def work(n): return n * n
        gs = graceshut.install(grace=10)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map(work, [1, 2, 3]))
        p = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,)); p.start()
        p.terminate(); p.join(10)
        print("terminated", p.exitcode)
        print("ready")
        sys.exit(gs.wait())
        """
    )
    c.ready().kill().end()
    assert c.rc == 0 and c.lines == ["[1, 4, 9]", "terminated -15", "ready"], c.words()


def test_parent_survives_its_signal_while_children_live(child):
    c = child(
        """
        import subprocess
        gs = graceshut.install(grace=10)
        p = subprocess.Popen(["sleep", "30"])
        gs.signal_hook("close", "TERM", pid=p.pid)
        print("ready")
        code = gs.wait()
        assert p.wait(10) == -15
        sys.exit(code)
        """
    )
    assert c.ready().kill(signal.SIGTERM).end().rc == 0, c.words()
