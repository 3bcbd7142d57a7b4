"""musicnn's extractor on many files in one process, as a program would use it.

Run it with the Python of an environment that has musicnn. musicnn's own command
starts anew for every file.
"""

from __future__ import annotations

import json
import sys
import time

began = time.perf_counter()
from musicnn.extractor import extractor  # type: ignore[import-not-found]  # noqa: E402

load_s = time.perf_counter() - began
began = time.perf_counter()
for path in sys.argv[1:]:
    extractor(path, model="MTT_musicnn", input_length=3, extract_features=False)
print("\n" + json.dumps({"load_s": load_s, "work_s": time.perf_counter() - began}))
