"""A whole session of Python's own IMAP or POP3 client; prints what the server said after the login.

Arguments: imap or pop3, port, user, password; for imap the IMAP port of the back-end itself, by which
a message comes while the session idles.
"""

import imaplib
import poplib
import re
import sys

protocol, port, user, password, *back_end = sys.argv[1:]
said = []


class Imap(imaplib.IMAP4):
    """Keeps every octet that the library reads."""

    def read(self, size):
        data = super().read(size)
        said.append(data)
        return data

    def readline(self):
        line = super().readline()
        said.append(line)
        return line


class Pop3(poplib.POP3):
    """Keeps every line that the library reads."""

    def _getline(self):
        line, octets = super()._getline()
        said.append(line + b"\n")
        return line, octets


def idle(server):
    """IDLE, which this library does not know yet, until a message that came is told of."""
    server.send(b"idling IDLE\r\n")
    while not server.readline().startswith(b"+"):
        pass
    with imaplib.IMAP4("127.0.0.1", int(back_end[0])) as sender:
        sender.login(user, password)
        date = imaplib.Time2Internaldate(1_700_000_001)
        sender.append("INBOX", None, date, b"Subject: arrived\r\n\r\nmeanwhile\r\n")
    while not server.readline().endswith(b" EXISTS\r\n"):
        pass
    server.send(b"DONE\r\n")
    while not server.readline().startswith(b"idling "):
        pass


def imap_round():
    server = Imap("127.0.0.1", int(port))
    server.login(user, password)
    said.clear()
    server.list()
    server.select("INBOX")
    server.fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")
    server.store("1", "+FLAGS", r"(\Flagged kept)")
    server.fetch("1", "(FLAGS)")
    server.store("1", "-FLAGS", r"(\Flagged kept)")
    date = imaplib.Time2Internaldate(1_700_000_000)
    server.append("INBOX", r"(\Draft)", date, b"Subject: appended\r\n\r\nby imaplib\r\n")
    _, found = server.search(None, "SUBJECT", "appended")
    server.fetch(found[0], "(FLAGS INTERNALDATE BODY[])")
    server.store(found[0], "+FLAGS", r"(\Deleted)")
    server.expunge()
    idle(server)
    server.fetch("*", "(FLAGS INTERNALDATE BODY[])")
    server.create("made")
    server.rename("made", "renamed")
    server.delete("renamed")
    server.close()
    server.logout()


def pop3_round():
    server = Pop3("127.0.0.1", int(port))
    server.user(user)
    server.pass_(password)
    said.clear()
    server.stat()
    server.list()
    server.uidl()
    server.retr(1)
    server.top(2, 0)
    server.dele(1)
    server.rset()
    server.noop()
    server.quit()


imap_round() if protocol == "imap" else pop3_round()
# Tags begin with letters that are drawn for each session.
sys.stdout.buffer.write(re.sub(rb"^[A-P]{4}([0-9]+) ", rb"\1 ", b"".join(said), flags=re.M))
