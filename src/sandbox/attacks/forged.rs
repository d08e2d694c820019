//! An eval that can read and write all of its guest's memory, by a forged object: what a hole in CPython would give.
//!
//! It needs no hole: bytecode is not checked, and loads a constant from wherever it is told. Behind it stand
//! the engine's bounds, the instance's end, and the host's reading of answers.

use super::{Act, Attack, Expect, Source, Trace};
use crate::domain::ErrorKind::Exception;
use crate::domain::Verdict::Pass;

/// The attacks of this theme.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "small integers are overwritten",
        act: forging(
            r"
            if int('7') + 1 != 8:
                return False, 'fooled'
            memory()[id(7) + 12] = 9
            return int('7') + 1 == 10, 'first'
            ",
        ),
        twin: forging("memory()[id(7) + 12] = 7\nreturn int('7') + 1 == 8, 'first'"),
        expect: Expect::Verdict(Pass, "first"),
    },
    Attack {
        name: "interned names that the runner uses are overwritten",
        act: forging(
            r"
            import sys
            name = sys.intern('verdict')
            at = id(name) + 20
            memory()[at:at + 7] = b'fooled!'
            return name == 'fooled!', 'first'
            ",
        ),
        twin: forging(
            "import sys\nat = id(sys.intern('verdict')) + 20\nreturn memory()[at:at + 7] == b'verdict', 'first'",
        ),
        expect: Expect::Verdict(Pass, "first"),
    },
    Attack {
        name: "all memory is searched for what other calls left",
        act: Act::Eval(
            Source::Forging(
                r"
                guest, at, found = memory(), 0, []
                end = id(bytes(1 << 16)) + (1 << 15)
                sought = b'canary' + b'-'
                while (at := guest.find(sought, at, end)) >= 0:
                    found.append(bytes(guest[at:at + 40]).decode('latin-1'))
                    at += 1
                return True, repr(found)
                ",
            ),
            Trace::AfterSecret,
        ),
        twin: forging(
            r"
            guest, at, found = memory(), 0, []
            end = id(bytes(1 << 16)) + (1 << 15)
            sought = b'on its' + b' way'
            while (at := guest.find(sought, at, end)) >= 0:
                found.append(bytes(guest[at:at + 40]).decode('latin-1'))
                at += 1
            return len(found) > 0, repr(found)
            ",
        ),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "memory that is given back is asked for again, and searched",
        act: Act::Eval(
            Source::Forging(
                r"
                kept = [trace['output_text'] * 1_000 for _ in range(100)]
                guest, at, found = memory(), id(kept[0]), []
                end = id(kept[-1]) + 1_000
                fresh = [[None] * 10_000 for _ in range(20)]
                sought = b'canary' + b'-'
                while (at := guest.find(sought, at, end)) >= 0:
                    found.append(bytes(guest[at:at + 40]).decode('latin-1'))
                    at += 1 << 12
                return True, repr(found[:40])
                ",
            ),
            Trace::AfterSecret,
        ),
        twin: forging(
            "kept = [trace['output_text'] * 1_000 for _ in range(100)]\nreturn memory().find(b'its way', id(kept[0])) > 0",
        ),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "memory behind the guest's own is read",
        act: forging("return True, str(memory()[1 << 28])"),
        twin: forging("return True, str(memory()[1 << 20])"),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "memory behind the guest's own is written, up to its farthest address",
        act: forging("memory()[(1 << 31) - 2] = 1\nreturn True"),
        twin: forging("memory()[id(7) + 12] = 7\nreturn True"),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "all memory is overwritten",
        act: forging(
            r"
            guest = memory()
            for at in range(0, 1 << 24, 4096):
                guest[at:at + 4096] = b'\xff' * 4096
            return True
            ",
        ),
        twin: forging(
            r"
            guest = memory()
            for at in range(0, 1 << 20, 4096):
                guest[at:at + 8] = bytes(guest[at:at + 8])
            return True
            ",
        ),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "a type's functions point to nowhere",
        act: forging(
            r"
            class Victim: pass
            at = id(Victim) + 44
            memory()[at:at + 4] = struct.pack('<I', 0x7ffffffe)
            return True, repr(Victim())
            ",
        ),
        twin: forging(
            r"
            class Victim: pass
            at = id(Victim) + 44
            memory()[at:at + 4] = bytes(memory()[at:at + 4])
            return True, repr(Victim())[:1]
            ",
        ),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "a type's repr is its hash: a number stands in for an object",
        act: forging(
            r"
            class Victim: pass
            at = id(Victim) + 44
            memory()[at:at + 4] = bytes(memory()[id(object) + 60:id(object) + 64])
            return True, repr(Victim())
            ",
        ),
        twin: forging(
            r"
            class Victim: pass
            at = id(Victim) + 44
            memory()[at:at + 4] = bytes(memory()[id(object) + 44:id(object) + 48])
            return True, repr(Victim())[:1]
            ",
        ),
        expect: Expect::OwnResult,
    },
    Attack {
        name: "an answer claims to be four gigabytes long",
        act: forging(
            r"
            import sys
            answer = sys._getframe(1).f_globals['OUT_OF_MEMORY']
            memory()[id(answer) + 8:id(answer) + 12] = b'\xff\xff\xff\xff'
            raise MemoryError
            ",
        ),
        twin: forging(
            r"
            import sys
            answer = sys._getframe(1).f_globals['OUT_OF_MEMORY']
            memory()[id(answer) + 8:id(answer) + 12] = struct.pack('<I', len(answer))
            return True
            ",
        ),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "an answer claims to be everything that the guest holds",
        act: forging(
            r"
            import sys
            answer = sys._getframe(1).f_globals['OUT_OF_MEMORY']
            memory()[id(answer) + 8:id(answer) + 12] = struct.pack('<I', 1 << 20)
            raise MemoryError
            ",
        ),
        twin: forging(
            r"
            import sys
            answer = sys._getframe(1).f_globals['OUT_OF_MEMORY']
            return len(answer) < 1 << 20
            ",
        ),
        expect: Expect::Error(Exception),
    },
];

/// `lines` as the body of `evaluate`, which can call `memory()`.
const fn forging(lines: &'static str) -> Act {
    Act::Eval(Source::Forging(lines), Trace::Small)
}

/// A `bytearray` over all addresses of the guest, made of bytes that are laid out as CPython 3.13 lays one
/// out on 32 bits. `LOAD_CONST` is told to find it as if it were a constant of a function's.
pub const FORGE: &str = r"
import struct

def memory():
    def forged(): return None
    array = struct.pack('<7I', 0x3fffffff, id(bytearray), 0x7fffffff, 0x7fffffff, 0, 0, 0)
    pointer = struct.pack('<I', id(array) + 16)
    constants = None, 1
    index = (id(pointer) + 16 - id(constants) - 12) // 4 & 0xffffffff
    resume, extended, load, give = 149, 71, 83, 36
    code = [resume, 0]
    for shift in (24, 16, 8):
        code += [extended, index >> shift & 255]
    code += [load, index & 255, give, 0]
    forged.__code__ = forged.__code__.replace(co_code=bytes(code), co_consts=constants)
    memory.kept = array, pointer, constants, forged
    return forged()

";
