//! Connections to the host's listeners.

use super::{Attack, Expect, body};
use crate::domain::ErrorKind::{Exception, Forbidden};
use crate::domain::Verdict::Fail;

/// The attacks of this theme.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "socket connects",
        act: body(
            "import socket\nsocket.create_connection(('127.0.0.1', $PORT)).send(b'x')\nreturn True",
        ),
        twin: body("import ipaddress\nreturn ipaddress.ip_address('127.0.0.1').is_loopback"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "_socket, below it, connects",
        act: body("import _socket\n_socket.socket().connect(('127.0.0.1', $PORT))\nreturn True"),
        twin: body("import struct\nreturn struct.pack('!H', $PORT) != b''"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "a socket of the file system is connected to",
        act: body("import socket\nsocket.socket(socket.AF_UNIX).connect('$SOCKET')\nreturn True"),
        twin: body("import os.path\nreturn os.path.basename('$SOCKET') == 'socket'"),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "urllib fetches a page",
        act: body(
            "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:$PORT/')\nreturn True",
        ),
        twin: body(
            "import urllib.parse\nreturn urllib.parse.urlparse('http://127.0.0.1:$PORT/').port == $PORT",
        ),
        expect: Expect::Error(Forbidden),
    },
    Attack {
        name: "http, ssl, smtplib and asyncio are imported one after the other",
        act: body(
            r"
            got = []
            for name in ('http.client', 'ssl', 'smtplib', 'asyncio', 'ftplib', 'socketserver', 'select'):
                try:
                    got.append(__import__(name))
                except ImportError:
                    pass
            return bool(got), str(got)
            ",
        ),
        twin: body(
            r"
            got = []
            for name in ('html.parser', 'json'):
                try:
                    got.append(__import__(name))
                except ImportError:
                    pass
            return len(got) == 2
            ",
        ),
        expect: Expect::Verdict(Fail, "[]"),
    },
    Attack {
        name: "XML fetches its document type from a server",
        act: body(
            r#"
            import xml.etree.ElementTree as xml
            text = '<!DOCTYPE a SYSTEM "http://127.0.0.1:$PORT/a.dtd" [<!ENTITY % d SYSTEM "http://127.0.0.1:$PORT/"> %d;]><a>&x;</a>'
            return True, str(xml.fromstring(text).text)
            "#,
        ),
        twin: body(
            r#"
            import xml.etree.ElementTree as xml
            text = '<!DOCTYPE a [<!ENTITY x "127.0.0.1:$PORT">]><a>&x;</a>'
            return True, str(xml.fromstring(text).text)
            "#,
        ),
        expect: Expect::Error(Exception),
    },
    Attack {
        name: "descriptors that may be sockets are written to",
        act: body(
            r"
            classes = [object]
            for known in classes:
                classes += type.__subclasses__(known) if known is not type else []
            file_class = next(known for known in classes if known.__name__ == 'FileIO')
            written = 0
            for descriptor in range(64):
                try:
                    written += file_class(descriptor, 'wb', closefd=False).write(b'GET / HTTP/1.0\r\n\r\n')
                except OSError:
                    pass
            return written > 0, str(written)
            ",
        ),
        twin: body(
            r"
            import io
            written = 0
            for descriptor in range(64):
                try:
                    written += io.BytesIO().write(b'GET / HTTP/1.0\r\n\r\n')
                except OSError:
                    pass
            return written > 0, str(written)
            ",
        ),
        expect: Expect::Verdict(Fail, "0"),
    },
];
