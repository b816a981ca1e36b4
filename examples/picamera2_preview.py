"""Show a Raspberry Pi's camera denoised, and print how many frames were, and how many passed because it was late.

python examples/picamera2_preview.py        until Ctrl-C
python examples/picamera2_preview.py 10     for ten seconds
"""

import contextlib
import sys
import time

from picamera2 import Picamera2

from aeinfer import AEInfer
from aeinfer.picamera import Callback


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else float("inf")
    picam2 = Picamera2()
    picam2.configure(picam2.create_preview_configuration(main={"size": (640, 480)}))
    callback = Callback(AEInfer.load("photo-fast"))
    picam2.pre_callback = callback
    picam2.start(show_preview=True)
    until = time.monotonic() + seconds
    with contextlib.suppress(KeyboardInterrupt):
        while time.monotonic() < until:
            time.sleep(min(1, seconds))
            print(f"\r{callback.denoised} denoised, {callback.skipped} skipped", end="", flush=True)
    picam2.stop()
    print()


if __name__ == "__main__":
    main()
