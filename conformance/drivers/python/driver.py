"""Plays conformance scenarios through the package graceshut. See ../../README.md."""

import asyncio
import ctypes
import json
import os
import queue
import signal
import sys
import threading
import time

import graceshut

TRACE = int(os.environ["CONFORMANCE_TRACE_FD"])
KINDS = ("exec", "http", "delay", "inflight", "signal", "wasm")


def trace(what, name=None, **fields):
    line = {"what": what, **({} if name is None else {"name": name}), **fields}
    os.write(TRACE, (json.dumps(line) + "\n").encode())


def trace_error(name, error):
    trace("error", name, kind=error.kind)


class Place:
    """Where acts run: in a hook, or in main or the control thread (then without a context)."""

    def __init__(self, hook=None, ctx=None, is_async=False):
        self.hook, self.ctx, self.is_async = hook, ctx, is_async
        self.told, self.lock = False, threading.Lock()

    def tell_cancel(self):
        with self.lock:  # the end that follows must not overtake it
            if not self.told:
                trace("cancel", self.hook)
            self.told = True

    def begin(self):
        ctx = self.ctx
        remaining = ctx.remaining
        trace(
            "start", self.hook, phase=ctx.phase, context_name=ctx.name, reason=ctx.reason.kind, signal=ctx.reason.signal,
            message=ctx.reason.message, remaining_us=None if remaining is None else round(remaining * 1e6),
            cancelled=ctx.cancelled, abandoned=ctx.abandoned,
        )

    def end(self, how, message=None):
        trace("end", self.hook, how=how, message=message)


class Driver:
    def __init__(self, scenario):
        self.scenario = scenario
        self.handles = {}
        self.units = {}
        self.for_main = queue.Queue()

    # ---- acts

    async def play(self, acts, place):
        for act in acts:
            await self.act(act, place)

    async def act(self, act, place):
        word = act["do"]
        if word in ("sleep", "sleep_through", "until_cancelled"):
            await self.pause(word, act["ms"] / 1000, place)
        elif word == "never":
            await self.pause("sleep_through", 3600, place)
        elif word == "fail":
            raise RuntimeError(act["message"])
        elif word == "cancelled":
            raise asyncio.CancelledError
        elif word == "exit":
            trace("exit")
            sys.exit(act["code"])
        else:
            getattr(self, "do_" + word)(act, place)

    async def pause(self, word, seconds, place):
        """Sync hooks sleep in their thread, coroutines in their loop; only coroutines really await here."""
        if not place.is_async:
            if place.ctx is None or word == "sleep_through":
                time.sleep(seconds)
            elif place.ctx.wait_cancelled(seconds):
                place.tell_cancel()
                if word == "sleep":
                    raise asyncio.CancelledError
            return
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                await asyncio.sleep(left)
            except asyncio.CancelledError:
                place.tell_cancel()
                if word == "sleep":
                    raise
                if word == "until_cancelled":
                    return

    def do_mark(self, act, _):
        trace("mark", act["name"])

    def do_spin(self, act, _):
        until, n = time.monotonic() + act["ms"] / 1000, 0
        while time.monotonic() < until:
            n += 1

    def do_block(self, act, _):
        ctypes.CDLL(None).usleep(act["ms"] * 1000)

    def do_hold(self, act, _):
        trace("held")
        libc = ctypes.PyDLL(None)  # keeps the GIL
        # A lock is waited for through every signal, where a sleep would end and Python code would run. All zeroes is an open one.
        lock = ctypes.create_string_buffer(64)
        libc.pthread_mutex_lock(lock)
        until = time.time() + act["ms"] / 1000
        libc.pthread_mutex_timedlock(lock, (ctypes.c_long * 2)(int(until), int(until % 1 * 1e9)))

    def do_fatal(self, act, _):
        trace("fatal")
        os._exit(4) if act["how"] == "_exit" else os.abort()

    def do_stop(self, act, _):
        trace("stop")
        try:
            grace = act["grace_ms"]
            gs.stop(act["reason"], None if grace is None else grace / 1000)
        except graceshut.Error as e:
            trace_error("stop", e)

    def do_register(self, act, _):
        if self.add(act["hook"]):
            trace("registered", act["hook"]["name"])

    def do_remove(self, act, _):
        try:
            trace("removed", act["name"], answer=self.handles[act["name"]].remove())
        except graceshut.Error as e:
            trace_error(act["name"], e)

    def do_extend(self, act, place):
        trace("extended", place.hook, granted_us=round(place.ctx.extend(act["ms"] / 1000) * 1e6))

    def do_progress(self, act, place):
        place.ctx.progress(act["done"], act["total"])

    def do_log(self, act, place):
        place.ctx.log(act["message"])

    def do_remaining(self, _, place):
        trace("remaining", place.hook, us=round(place.ctx.remaining * 1e6))

    def do_caught(self, act, _):
        with open("/proc/self/status") as status:
            trace("caught", act["name"], value=next(line for line in status if line.startswith("SigCgt")).split()[1])

    def do_abandoned(self, _, place):
        trace("abandoned", place.hook, names=place.ctx.abandoned)

    def group(self, name):
        return gs if name is None else gs.group(name)

    def do_enter(self, act, _):
        group = self.group(act["group"])
        if group.enter():
            self.units[act["as"]] = group
            trace("entered", act["as"])
        else:
            trace("refused", act["as"])

    def do_part(self, act, _):
        group = self.units[act["of"]]
        group.enter_part()
        self.units[act["as"]] = group
        trace("entered", act["as"])

    def do_leave(self, act, _):
        trace("left", act["of"])
        self.units[act["of"]].leave()

    def do_count(self, act, _):
        trace("count", value=graceshut_count(self.group(act["group"]), act["group"]))

    def do_word(self, *_):
        trace("word", value=2 if gs.draining else 1 if gs.stopping else 0)

    def do_state(self, *_):
        trace("state", gs.state.split("(")[0])

    def do_ready(self, *_):
        gs.ready()

    def do_install(self, act, _):
        global gs
        try:
            gs = graceshut.install(**(act["options"] or self.scenario["options"]))
            trace("installed")
        except graceshut.Error as e:
            trace_error("install", e)

    def do_uninstall(self, *_):
        try:
            gs.uninstall()
            trace("uninstalled")
        except graceshut.Error as e:
            trace_error("uninstall", e)

    def do_handle(self, act, _):
        def handler(*_):
            trace("handled")
            if act["ms"] is not None:
                timer = threading.Timer(act["ms"] / 1000, self.for_main.put, [{"do": "return"}])
                timer.daemon = True
                timer.start()

        signal.signal(signal.SIGTERM, handler)

    def do_wait(self, *_):
        try:
            gs.wait()
        except graceshut.Error as e:
            trace_error("wait", e)

    # ---- hooks

    def add(self, spec):
        common = {"name": spec["name"], "after": spec["after"], "optional": spec["optional"]}
        if spec["timeout_ms"] is not None:
            common["timeout"] = spec["timeout_ms"] / 1000
        try:
            self.handles[spec["name"]] = self.register(spec, common)
            return True
        except graceshut.Error as e:
            trace_error(spec["name"], e)
            return False

    def register(self, spec, common):
        phase = spec["phase"]
        kind = next((k for k in KINDS if k in spec), None)
        if kind is None:
            return gs.hook(phase, self.body_of(spec), **common)
        what = spec[kind]
        if kind == "exec":
            argv = what if isinstance(what, list) else what.pop("argv")
            return gs.exec_hook(phase, argv, **({} if isinstance(what, list) else what), **common)
        if kind == "http":
            return gs.http_hook(phase, what.pop("url"), **what, **common)
        if kind == "delay":
            return gs.delay_hook(phase, what, **common)
        if kind == "inflight":
            return gs.inflight_hook(phase, what, **common)
        if kind == "wasm":
            return gs.wasm(phase, what.pop("path"), **what, **common)
        return gs.signal_hook(phase, what.pop("signal", "TERM"), **what, **common)

    def body_of(self, spec):
        async def run(ctx, is_async):
            place = Place(spec["name"], ctx, is_async)
            place.begin()
            if not is_async:
                ctx.on_cancel(place.tell_cancel)
            try:
                await self.play(spec["steps"], place)
            except asyncio.CancelledError:
                place.end("cancelled")
                raise
            except SystemExit:
                place.end("exit")
                raise
            except Exception as e:
                place.end("failed", str(e))
                raise
            place.end("ok")

        async def coroutine(ctx):
            await run(ctx, True)

        def function(ctx):
            step_through(run(ctx, False))

        return coroutine if spec["form"] == "async" else function

    def add_reload(self, spec):
        def reload():
            trace("reload", spec["name"])
            step_through(self.play(spec["steps"], Place()))

        gs.on_reload(reload, name=spec["name"])

    def on_event(self, event):
        if event["event"] in self.scenario["watch_events"]:
            fields = {"hook": event.get("hook"), "message": event.get("message")}
            trace("event", event["event"], done=event.get("value"), total=event.get("total"), **fields)

    # ---- main

    def read_control(self):
        with open(int(os.environ["CONFORMANCE_CONTROL_FD"])) as control:
            for line in control:
                act = json.loads(line)
                if act["do"] in ("return", "exit", "raise", "hold"):
                    self.for_main.put(act)
                else:
                    step_through(self.act(act, Place()))

    def idle(self):
        while True:
            act = self.for_main.get()
            if act["do"] == "return":
                trace("return")
                return
            if act["do"] == "raise":
                trace("raise")
                raise RuntimeError(act["message"])
            step_through(self.act(act, Place()))

    def run(self):
        scenario = self.scenario
        if scenario["watch_events"]:
            gs.on_event(self.on_event)
        for spec in scenario["reloads"]:
            self.add_reload(spec)
        for spec in scenario["hooks"]:
            self.add(spec)
        threading.Thread(target=self.read_control, daemon=True).start()
        step_through(self.play(scenario["before"], Place()))
        if scenario["main"] == "idle":
            trace("ready")
            return self.idle()
        try:
            trace("ready")
            code = gs.wait()
        except KeyboardInterrupt:
            # Ctrl-C keeps its meaning in a program that is not yet in wait.
            code = gs.wait()
        trace("waited", code=code)
        step_through(self.play(scenario["after_wait"], Place()))
        sys.exit(code)


def graceshut_count(group, name):
    return group.in_flight


def step_through(coroutine):
    """Runs a coroutine that never really awaits, in this thread."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it awaited something")


if __name__ == "__main__":
    with open(os.environ["CONFORMANCE_SCENARIO"]) as file:
        driver = Driver(json.load(file))
    try:
        gs = graceshut.install(**driver.scenario["options"])
    except graceshut.Error as e:
        trace_error("install", e)
        sys.exit(3)
    driver.run()
