"""Write down the packaged models, for `aeinfer doctor` to compare an install with: fingerprints, sizes and results.

`python -m scripts.record_models`, after each change of a file in aeinfer/models
"""

import argparse
import json

from aeinfer import AEInfer
from aeinfer.doctor.models import RECORD, file_facts
from aeinfer.doctor.selftest import denoise_sample


def main() -> None:
    argparse.ArgumentParser(prog="python -m scripts.record_models", description=__doc__).parse_args()
    record = {}
    for path in sorted(RECORD.parent.glob("*.onnx")):
        record[path.name] = file_facts(path.read_bytes())
        half = path.stem.split(".")[1:2] in (["encoder"], ["decoder"])
        if not half and AEInfer.load(path.read_bytes(), device="cpu").info.tile is None:  # not of digits
            result = denoise_sample(path.name, "cpu")
            record[path.name] |= {key: result[key] for key in ("gain", "means")}
    lines = (f" {json.dumps(name)}: {json.dumps(facts)}" for name, facts in record.items())
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main()
