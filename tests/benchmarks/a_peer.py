"""A program that behaves as peers do: it answers after some chatter, crashes, says nothing, hangs or loops."""

from __future__ import annotations

import sys
import time

from benchmarks.peers import Answer, tell

match sys.argv[1]:
    case "answer":
        print("working ...")
        tell(Answer(0.5, "", 1.5))
    case "crash":
        raise IndexError("no such channel")
    case "hang":
        time.sleep(600)
    case "loop":
        while True:
            pass
