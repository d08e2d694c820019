//! The host's files: reading, writing, listing, and learning that they exist.

use super::{Attack, Expect, body};
use crate::domain::ErrorKind::{Exception, Forbidden};
use crate::domain::Verdict::Fail;

/// The attacks of this theme.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "open reads a file",
        act: body("return True, open('$FILE').read()"),
        twin: body("import io\nreturn True, io.StringIO('$FILE').read()"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "io.FileIO reads a file",
        act: body("import io\nreturn True, io.FileIO('$FILE').read().decode()"),
        twin: body("import io\nreturn True, io.BytesIO(b'$FILE').read().decode()"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "codecs.open reads a file",
        act: body("import codecs\nreturn True, codecs.open('$FILE').read()"),
        twin: body("import codecs\nreturn True, codecs.decode(b'text', 'utf-8')"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "os.open and os.read read a file",
        act: body("import os\nreturn True, os.read(os.open('$FILE', os.O_RDONLY), 99).decode()"),
        twin: body("import os\nreturn os.fsdecode(b'text') == 'text', str(os.O_RDONLY)"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "posix, taken out of sys.modules, opens a file",
        act: body("import sys\nreturn True, str(sys.modules['posix'].open('$FILE', 0))"),
        twin: body("import sys\nreturn True, sys.modules['posix'].strerror(1)"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "the FileIO class, found among all classes, opens a file",
        act: body(
            r"
            classes = [object]
            for known in classes:
                classes += type.__subclasses__(known) if known is not type else []
                if known.__name__ == 'FileIO':
                    return True, known('$FILE').read().decode()
            return False, 'there is no such class'
            ",
        ),
        twin: body(
            r"
            classes = [object]
            for known in classes:
                classes += type.__subclasses__(known) if known is not type else []
                if known.__name__ == 'BytesIO':
                    return True, known(b'$FILE').read().decode()
            return False, 'there is no such class'
            ",
        ),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "open file descriptors are guessed and read",
        act: body(
            r"
            classes = [object]
            for known in classes:
                classes += type.__subclasses__(known) if known is not type else []
            file_class = next(known for known in classes if known.__name__ == 'FileIO')
            for descriptor in range(64):
                try:
                    return True, file_class(descriptor, closefd=False).read().decode()
                except OSError:
                    pass
            return False, 'none'
            ",
        ),
        twin: body(
            r"
            import io
            for descriptor in range(64):
                try:
                    return True, io.BytesIO(b'read').read().decode()
                except OSError:
                    pass
            return False, 'none'
            ",
        ),
        expect: Expect::Verdict(Fail, "none"),
    },
    Attack {
        name: "the import system's loader reads a file",
        act: body(
            r"
            import sys
            external = sys.modules['_frozen_importlib_external']
            return True, external.FileLoader('x', '$FILE').get_data('$FILE').decode()
            ",
        ),
        twin: body(
            r"
            import sys
            external = sys.modules['_frozen_importlib_external']
            return True, external.FileLoader('x', '$FILE').get_filename('x')
            ",
        ),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "linecache reads a file for a traceback",
        act: body(
            "import sys\nlines = sys.modules['linecache'].getlines('$FILE')\nreturn bool(lines), str(lines)",
        ),
        twin: body(
            "import sys\nlines = sys.modules['linecache'].getlines('$FILE')\nreturn not lines, str(lines)",
        ),
        expect: Expect::Verdict(Fail, "[]"),
    },
    Attack {
        name: "the runner's own C function reads a file",
        act: body(
            "import sys\nread = sys.modules['_iofold'].read_code('$FILE')\nreturn read is not None, str(read)",
        ),
        twin: body(
            "import sys\nread = sys.modules['_iofold'].last_refused()\nreturn read is not None, str(read)",
        ),
        expect: Expect::Verdict(Fail, "None"),
    },
    Attack {
        name: "XML includes a file as an external entity",
        act: body(
            r#"
            import xml.etree.ElementTree as xml
            text = '<!DOCTYPE a [<!ENTITY f SYSTEM "file://$FILE">]><a>&f;</a>'
            return True, str(xml.fromstring(text).text)
            "#,
        ),
        twin: body(
            r#"
            import xml.etree.ElementTree as xml
            text = '<!DOCTYPE a [<!ENTITY f "$FILE">]><a>&f;</a>'
            return True, str(xml.fromstring(text).text)
            "#,
        ),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "pathlib reads a file",
        act: body("import pathlib\nreturn True, pathlib.Path('$FILE').read_text()"),
        twin: body("import os.path\nreturn True, os.path.basename('$FILE')"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "mmap maps a file",
        act: body("import mmap\nreturn True, mmap.mmap(3, 0).read().decode()"),
        twin: body("import array\nreturn True, array.array('b', b'text').tobytes().decode()"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "the program's own memory is read from /proc",
        act: body("return True, str(open('/proc/self/mem', 'rb').read(64))"),
        twin: body("return True, str(memoryview(b'own')[0:2])"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "a folder is listed",
        act: body("import os\nreturn True, ' '.join(os.listdir('$FOLDER'))"),
        twin: body("import os\nreturn True, ' '.join(os.path.split('$FOLDER'))"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "a folder is walked, its errors ignored",
        act: body("import os\nfound = list(os.walk('$FOLDER'))\nreturn bool(found), str(found)"),
        twin: body(
            "import os\nfound = list(os.path.splitext('$FOLDER'))\nreturn bool(found), str(found)",
        ),
        expect: Expect::Verdict(Fail, "[]"),
    },
    Attack {
        name: "a file's existence is asked for",
        act: body("import os\nreturn os.path.exists('$FILE'), 'it is there'"),
        twin: body("import os\nreturn os.path.isabs('$FILE'), 'it is absolute'"),
        expect: Expect::Verdict(Fail, "it is there"),
    },
    Attack {
        name: "a file is overwritten",
        act: body("open('$FILE', 'w').write('overwritten')\nreturn True"),
        twin: body("import io\nio.StringIO('$FILE').write('overwritten')\nreturn True"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "a file is cut, moved, linked and removed",
        act: body(
            r"
            import os
            acts = [lambda: os.truncate('$FILE', 0), lambda: os.chmod('$FILE', 0o777), lambda: os.utime('$FILE'),
                    lambda: os.link('$FILE', '$FOLDER/new'), lambda: os.symlink('$FILE', '$FOLDER/new'),
                    lambda: os.rename('$FILE', '$FOLDER/new'), lambda: os.remove('$FILE')]
            done = 0
            for act in acts:
                try:
                    act()
                    done += 1
                except (PermissionError, AttributeError):
                    pass
            return done > 0, str(done)
            ",
        ),
        twin: body(
            r"
            import os
            acts = [lambda: os.path.normpath('$FILE'), lambda: os.path.join('$FOLDER', 'new')]
            done = 0
            for act in acts:
                try:
                    act()
                    done += 1
                except (PermissionError, AttributeError):
                    pass
            return done > 0, str(done)
            ",
        ),
        expect: Expect::Verdict(Fail, "0"),
    },
    Attack {
        name: "folders and files are made",
        act: body("import os\nos.makedirs('$FOLDER/new/new', exist_ok=True)\nreturn True"),
        twin: body("import os\nos.path.commonpath(['$FOLDER/new/new', '$FOLDER'])\nreturn True"),
        expect: Expect::Error(Forbidden),
    },
];
