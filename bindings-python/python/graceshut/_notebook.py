"""In a Jupyter kernel SIGINT is how a cell is interrupted, not how the kernel is stopped."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def adapted(options: dict[str, Any]) -> dict[str, Any]:
    """``options``, with INT left to the kernel unless they name it."""
    app = getattr(sys.modules.get("ipykernel.kernelapp"), "IPKernelApp", None)
    if app is None or not app.initialized():
        return options
    signals = dict(options.get("signals") or {})
    if not any(str(name).upper() in ("INT", "SIGINT", "2") or name == 2 for name in signals):
        signals["INT"] = "default"
    return {**options, "signals": signals}
