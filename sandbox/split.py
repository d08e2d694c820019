"""Splits the snapshot into code without memory and the memory itself.

    split.py SNAPSHOT.wasm MODULE.wasm MEMORY.img

wizer leaves a module that imports WASI and carries its memory as data segments. MODULE.wasm has neither: each
imported function becomes one that traps, at the same index (the seal in seal.c has made all of them
unreachable), and the host gives its memory the contents of MEMORY.img, from byte 0 on, in whole pages of 64 KiB.
"""

import pathlib
import sys

TYPE, IMPORT, FUNCTION, MEMORY, CODE, DATA, DATA_COUNT = 1, 2, 3, 5, 10, 11, 12
PAGE = 65_536
PASSIVE = 1
I32_CONST, END, UNREACHABLE = 0x41, 0x0B, 0x00


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def bytes(self, length):
        self.at += length
        return self.data[self.at - length : self.at]

    def number(self, signed=False):
        """A LEB128 number."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value - (1 << shift) if signed and byte & 0x40 else value

    def name(self):
        return self.bytes(self.number()).decode()


def number(value):
    """`value` as unsigned LEB128."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def sections(module):
    reader = Reader(module)
    assert reader.bytes(8) == b"\0asm\1\0\0\0", "not a wasm module"
    while reader.at < len(module):
        kind = reader.byte()
        yield kind, reader.bytes(reader.number())


def imported_types(section):
    """The type of each imported function; nothing else may be imported."""
    reader = Reader(section)
    types = []
    for _ in range(reader.number()):
        reader.name(), reader.name()
        assert reader.byte() == 0, "the snapshot imports something that is no function"
        types.append(reader.number())
    return types


def prepend(section, entries):
    """A section that is a vector, with `entries` before its own."""
    reader = Reader(section)
    count = reader.number()
    return number(count + len(entries)) + b"".join(entries) + section[reader.at :]


def memory_pages(section):
    reader = Reader(section)
    assert reader.number() == 1, "the snapshot has not just one memory"
    reader.byte()
    return reader.number()


def memory_image(section, size):
    reader = Reader(section)
    image = bytearray(size)
    for _ in range(reader.number()):
        if reader.number() == PASSIVE:
            assert reader.number() == 0, "a passive data segment holds something"
            continue
        assert reader.byte() == I32_CONST
        start = reader.number(signed=True)
        assert reader.byte() == END
        contents = reader.bytes(reader.number())
        image[start : start + len(contents)] = contents
    assert len(image) == size, "a data segment ends outside the memory"
    return image


def split(snapshot):
    parts = dict(section for section in sections(snapshot) if section[0] != 0)
    types = imported_types(parts.pop(IMPORT))
    parts[FUNCTION] = prepend(parts[FUNCTION], [number(type) for type in types])
    # A body: its length, no locals, `unreachable`, `end`.
    parts[CODE] = prepend(parts[CODE], [bytes([3, 0, UNREACHABLE, END])] * len(types))
    image = memory_image(parts.pop(DATA), memory_pages(parts[MEMORY]) * PAGE)
    parts.pop(DATA_COUNT, None)
    module = b"\0asm\1\0\0\0"
    for kind, contents in parts.items():
        module += bytes([kind]) + number(len(contents)) + contents
    return module, image


def main():
    snapshot, module, image = map(pathlib.Path, sys.argv[1:])
    code, memory = split(snapshot.read_bytes())
    module.write_bytes(code)
    image.write_bytes(memory)


main()
