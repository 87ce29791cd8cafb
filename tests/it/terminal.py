"""Runs a program on a terminal of its own and answers its questions.

usage: terminal.py PROGRAM [ARGUMENT...]   with a JSON list of [question, answer] on standard input

Each answer is typed once its question has appeared. Everything that the terminal showed goes to standard output, and
the program's exit status is ours.
"""

import json
import os
import pty
import sys

answers = json.load(sys.stdin)
child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
shown, seen = b"", 0
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:  # the other end is closed
        break
    if not piece:
        break
    shown += piece
    while answers and answers[0][0].encode() in shown[seen:]:
        seen = len(shown)
        os.write(terminal, (answers.pop(0)[1] + "\n").encode())
sys.stdout.buffer.write(shown)
sys.stdout.flush()
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
if answers:
    print(f"never asked: {answers[0][0]}", file=sys.stderr)
    sys.exit(99)
sys.exit(status)
