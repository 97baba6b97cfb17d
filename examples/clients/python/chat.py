"""A chat in one group, with the Python module `spread` on top of the original's C library.

    python3 chat.py alice chat 4803@localhost
"""

import select
import sys

import spread


def show(message):
    """One message or membership change."""
    if isinstance(message, spread.RegularMsgType):
        text = message.message
        if isinstance(text, bytes):
            text = text.decode(errors="replace")
        print(f"{message.sender}: {text}", flush=True)
    elif message.members:
        # The transitional signal and the answer to a leave list no members.
        print(f"members of {message.group}:", *message.members, flush=True)


def main():
    if len(sys.argv) < 3:
        sys.exit("usage: chat.py USER GROUP [PORT@HOST]")
    user, group = sys.argv[1:3]
    address = sys.argv[3] if len(sys.argv) > 3 else "4803@localhost"
    mailbox = spread.connect(address, user, 0, 1)
    print("connected as", mailbox.private_group, flush=True)
    mailbox.join(group)
    while True:
        ready, _, _ = select.select([sys.stdin, mailbox], [], [])
        if mailbox in ready:
            show(mailbox.receive())
        if sys.stdin in ready:
            line = sys.stdin.readline()
            if not line:
                break
            mailbox.multicast(spread.AGREED_MESS, group, line.rstrip("\n"))
    mailbox.leave(group)
    mailbox.disconnect()


if __name__ == "__main__":
    main()
