"""A whole session of sievelib's ManageSieve client; prints what the server said after the login.

Arguments: port, user, password.
"""

import sys

from sievelib.managesieve import Client

port, user, password = sys.argv[1:]
said = []


class Heard:
    """A socket that keeps every octet that the library reads."""

    def __init__(self, sock):
        self.sock = sock

    def recv(self, size):
        data = self.sock.recv(size)
        said.append(data)
        return data

    def __getattr__(self, name):
        return getattr(self.sock, name)


def must(done):
    if not done:
        raise SystemExit("refused")


client = Client("127.0.0.1", int(port))
must(client.connect(user, password, authmech="PLAIN"))
client.sock = Heard(client.sock)
script = 'require ["fileinto"];\r\nfileinto "a folder";\r\n'
client.capability()
must(client.havespace("one", 5000))
must(client.checkscript(script))
must(client.putscript("one", script))
must(client.putscript("two", "keep;\r\n" * 2000))
must(client.setactive("one"))
client.listscripts()
client.getscript("one")
client.getscript("two")
must(client.renamescript("two", "three"))
must(not client.putscript("four", "no such command;"))
must(not client.deletescript("one"))
must(client.setactive(""))
for name in ("one", "three"):
    must(client.deletescript(name))
client.listscripts()
client.logout()
sys.stdout.buffer.write(b"".join(said))
