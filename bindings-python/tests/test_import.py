import subprocess
import sys


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True).stdout


def test_importing_does_nothing():
    out = run(
        "def look():\n"
        "    return [l for l in open('/proc/self/status') if l.startswith(('SigCgt', 'SigBlk', 'SigIgn', 'Threads'))]\n"
        "before = look()\nimport sys, signal; t = signal.getsignal(15)\nimport graceshut\n"
        "print(before == look(), graceshut.current(), sorted(m for m in ('asyncio', 'logging', 'inspect', 'typing', 'json', "
        "'threading') if m in sys.modules))"
    )
    assert out.strip() in ("True None []", "True None ['threading']"), out


def test_import_is_quick():
    # CPU time, which a busy machine does not lengthen.
    times = []
    for _ in range(7):
        code = "import sys, time; t = time.process_time(); import graceshut; print(time.process_time() - t)"
        times.append(float(run(code)))
    assert sorted(times)[0] < 0.010, times
