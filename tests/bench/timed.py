#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""timed.py FILE COMMAND...: run it; FILE gets its time and the most memory that it held."""
import json
import resource
import subprocess
import sys
import time

begin = time.monotonic()
status = subprocess.run(sys.argv[2:], check=False).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w", encoding="ascii") as out:
    json.dump({"seconds": round(time.monotonic() - begin, 4), "maxRssKb": used.ru_maxrss,
               "cpuSeconds": round(used.ru_utime + used.ru_stime, 4), "status": status}, out)
sys.exit(status if status >= 0 else 128 - status)
