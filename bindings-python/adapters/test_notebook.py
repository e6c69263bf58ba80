"""In a Jupyter kernel: an interrupt is the notebook's, TERM is ours."""

from __future__ import annotations

import os
import signal
import time

from conftest import versions

INSTALL = """
import graceshut, os
gs = graceshut.install(grace=5, report="none")
gs.hook("flush", lambda: open(%r, "w").write("flushed"), name="flush")
print(gs.state)
"""


def execute(client, code: str, limit: float = 20) -> dict:
    return client.execute_interactive(code, timeout=limit, output_hook=lambda message: None)["content"]


def test_interrupt_and_stop(tmp_path, row):
    from jupyter_client import KernelManager

    flushed = tmp_path / "flushed"
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(stdout=None, stderr=None)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=30)
        assert execute(client, INSTALL % str(flushed))["status"] == "ok"
        # Else the kernel throws away what it is sent for a moment after the error.
        client.execute("import time; print('asleep', flush=True); time.sleep(20)", stop_on_error=False)
        while client.get_iopub_msg(timeout=20)["msg_type"] != "stream":
            pass
        began = time.monotonic()
        manager.interrupt_kernel()
        reply = client.get_shell_msg(timeout=15)["content"]
        assert reply["status"] == "error" and reply["ename"] == "KeyboardInterrupt" and time.monotonic() - began < 5, reply
        assert execute(client, "assert gs.state == 'armed' and not gs.stopping")["status"] == "ok"
        assert execute(client, "assert graceshut.install(grace=5, report='none') is gs")["status"] == "ok"
        assert manager.is_alive() and not flushed.exists()
        os.kill(manager.provisioner.pid, signal.SIGTERM)
        until = time.monotonic() + 15
        while manager.is_alive():
            assert time.monotonic() < until, "the kernel does not end"
            time.sleep(0.02)
        assert flushed.read_text() == "flushed"
        status = manager.provisioner.process.wait(5)
        assert status == 0, status
    finally:
        client.stop_channels()
        if manager.has_kernel:
            manager.shutdown_kernel(now=True)
    row(
        {
            "name": "Jupyter kernel", "version": versions(["ipykernel"]), "line": "`graceshut.install()` in a cell",
            "signals": "kept; INT stays the notebook's", "hooks": "run", "lost_without": None, "lost": 0, "unit": None,
            "answered": None, "exit": str(status),
        }
    )
