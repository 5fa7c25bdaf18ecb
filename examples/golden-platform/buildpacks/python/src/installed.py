"""What is installed beside the interpreter that runs this, as JSON."""

import json
import re
from importlib.metadata import distributions

found = {}
for each in distributions():
    name = re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower()
    found.setdefault(name, each.version)
print(json.dumps([{"name": name, "version": found[name]} for name in sorted(found)]))
