"""Compiles the standard library and the guest's own modules for the snapshot.

    freeze.py LIB GUEST OUT: one file a module in OUT, named by the module; a package's ends in `.__init__`.

Run by the native build of the same CPython. File names are relative, so that no build path gets in.
"""

import marshal
import pathlib
import sys

SKIPPED = {"__phello__", "idlelib", "lib2to3", "ensurepip", "test", "tkinter", "turtledemo", "venv", "site-packages",
           "asyncio", "concurrent", "ctypes", "curses", "dbm", "distutils", "multiprocessing", "pydoc_data", "sqlite3",
           "unittest", "wsgiref", "xmlrpc"}


def compile_tree(root, out):
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if relative.parts[0] in SKIPPED or not all(part.isidentifier() for part in relative.with_suffix("").parts):
            continue
        name = ".".join(relative.with_suffix("").parts)
        code = compile(path.read_bytes(), relative.as_posix(), "exec", dont_inherit=True, optimize=0)
        (out / name).write_bytes(marshal.dumps(code))


def main():
    lib, guest, out = map(pathlib.Path, sys.argv[1:])
    compile_tree(lib, out)
    for name in ("prelude", "iofold"):
        code = compile((guest / f"{name}.py").read_bytes(), f"{name}.py", "exec", dont_inherit=True)
        (out / name).write_bytes(marshal.dumps(code))


main()
