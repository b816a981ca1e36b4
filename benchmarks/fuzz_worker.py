"""The process that fuzzes, which benchmarks.fuzz starts: `python -m benchmarks.fuzz_worker TARGET ARGUMENT...`."""

import sys

import atheris

# jitted functions are compiled from their bytecode, which must stay as it is
JITTED = ["aeinfer.loops", "aeinfer.noise", "aeinfer.temporal_loops"]

with atheris.instrument_imports(include=["aeinfer"], exclude=JITTED):
    from aeinfer.opencv import quiet_opencv
    from benchmarks.fuzz_targets import TARGETS

if __name__ == "__main__":
    target, *arguments = sys.argv[1:]
    quiet_opencv()
    itself = f"{sys.executable} -m benchmarks.fuzz_worker {target}"  # libFuzzer merges in processes of its own
    atheris.Setup([itself, *arguments], TARGETS[target])
    atheris.Fuzz()
