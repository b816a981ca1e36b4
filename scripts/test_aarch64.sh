#!/usr/bin/env bash
# Runs aeinfer as a Raspberry Pi 4 (cortex-a72) and 5 (cortex-a76, which has dot products) would, by emulation on another
# processor: tests that need no torch, and `aeinfer denoise`, whose results are compared with this machine's.
# It tells nothing of speed or memory. Needs no root, changes nothing of the system, and keeps what it downloads (python3
# from the machine's Debian sources, wheels from pip's index, 0.6 GB unpacked) in AEINFER_AARCH64, by default a folder of
# the user's cache: remove it to begin anew. PYTHON names the interpreter that has aeinfer's cpu extra.
# Exit codes: 0 all good, 1 a test or a comparison failed, 3 something is missing here.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}
cache=${AEINFER_AARCH64:-${XDG_CACHE_HOME:-$HOME/.cache}/aeinfer-aarch64}
debian=(python3 libstdc++6)
wheels=(numpy numba llvmlite onnxruntime opencv-python-headless tifffile pytest hypothesis pillow)
processors=(cortex-a72 cortex-a76)
tests=(tests/aeinfer/test_{kernels,tiling,session,denoiser,pair,model_info,codes}.py)
# the limit of memory that these set is none under emulation
unlimited=(tests/aeinfer/test_session.py::test_memory_that_onnxruntime_does_not_get)

step() { printf '\n== %s (%d s)\n' "$1" "$SECONDS"; }
missing() { printf 'test_aarch64: %s\n' "$1" >&2; exit 3; }

check_machine() {
    local program
    for program in qemu-aarch64-static:qemu-user-static apt-get:apt dpkg-deb:dpkg; do
        command -v "${program%:*}" >/dev/null || missing "needs ${program%:*}: on Debian, apt-get install ${program#*:}"
    done
    "$python" -c 'import cv2, numba, onnxruntime, pip' 2>/dev/null ||
        missing "$python lacks pip or aeinfer's cpu extra: pip install -e '.[cpu]', or name another in PYTHON"
}

# apt with arm64 as its only architecture and a state of its own; the sources and their keys are the machine's
apt_arm64() {
    local apt=$cache/apt
    mkdir -p "$apt/lists/partial" "$apt/archives/partial"
    touch "$apt/status"
    apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User= -o Dir::State="$apt" \
        -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" "$@"
}

unpack() {
    local package version target=$cache/root
    rm -rf "$target" "${processors[@]/#/$cache/}"
    step "Debian packages for arm64"
    apt_arm64 update || missing "apt-get update failed"
    apt_arm64 --yes --no-install-recommends --download-only install "${debian[@]}" ||
        missing "this machine's apt sources have no ${debian[*]} for arm64 (Debian's have)"
    for package in "$cache"/apt/archives/*.deb; do dpkg-deb --extract "$package" "$target"; done
    version=$(basename "$target"/usr/bin/python3.*)
    step "wheels for aarch64, ${version}"
    "$python" -m pip install --quiet --target "$target/usr/lib/python3/dist-packages" --upgrade \
        --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 \
        --python-version "${version#python}" --only-binary=:all: -c constraints.txt "${wheels[@]}" ||
        missing "pip has no wheels of ${wheels[*]} for $version on aarch64"
    mkdir -p "$target/usr/local/lib/$version/dist-packages"  # or the machine's own would be seen there
    "$python" -m compileall -q "$target/usr/lib/$version" >/dev/null || true  # of use where the versions are the same
    cp constraints.txt "$target"
}

# furnish PROCESSOR FEATURES PART: its root, with a /proc/cpuinfo (onnxruntime crashes when it reads this machine's), and
# a program PROCESSOR/python
furnish() {
    local home=$cache/$1 core
    [ ! -x "$home/python" ] || return 0
    rm -rf "$home"
    cp -al "$cache/root" "$home"
    mkdir "$home/proc"
    for core in 0 1 2 3; do
        printf 'processor\t: %s\nBogoMIPS\t: 108.00\nFeatures\t: %s\n' "$core" "$2"
        printf 'CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: %s\nCPU revision\t: 3\n\n' "$3"
    done >"$home/proc/cpuinfo"
    # what is not under the root is the machine's: Python must write nothing beside its library
    cat >"$home/python" <<EOF
#!/bin/sh
export PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1
exec qemu-aarch64-static -cpu $1 -0 "\$0" -L "$home" "$(echo "$home"/usr/bin/python3.*)" "\$@"
EOF
    chmod +x "$home/python"
}

# denoise INTERPRETER FOLDER: in fp32 a float image, in int8 one of 8 bits
denoise() {
    local model
    for model in photo-fast photo photo-best; do
        "$1" -m aeinfer denoise "$scratch/small.tiff" -m "$model" --precision fp32 -o "$2/$model.tiff" --quiet
        "$1" -m aeinfer denoise "$scratch/small.png" -m "$model" --precision int8 -o "$2/$model.png" --quiet
    done
}

# try_out PROCESSOR: its tests, its results
try_out() {
    local emulated=$cache/$1/python
    export NUMBA_CACHE_DIR=$cache/compiled
    "$emulated" -m pytest -p no:cacheprovider --hypothesis-profile=ci --basetemp="$scratch/$1-tests" \
        "${unlimited[@]/#/--deselect=}" "${tests[@]}"
    denoise "$emulated" "$scratch/$1"
    "$python" -m scripts.compare_results "$scratch/$1" "$scratch/here"
}

cd "$root"
unset PYTHONPATH PYTHONHOME
check_machine
cmp -s constraints.txt "$cache/root/constraints.txt" || unpack
furnish cortex-a72 "fp asimd evtstrm crc32 cpuid" 0xd08
furnish cortex-a76 "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp" 0xd0b

scratch=$(mktemp -d "${TMPDIR:-/tmp}/aeinfer-aarch64.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
export AEINFER_CACHE=$scratch  # nothing that bench found here decides
"$python" - "$scratch" <<'EOF'
import sys
from aeinfer.image import read_image, write_image
from aeinfer.kernels import to_float

noisy = read_image("examples/photos/noisy/canyon-wren.png").pixels[100:196, 100:228]
write_image(f"{sys.argv[1]}/small.png", noisy)
write_image(f"{sys.argv[1]}/small.tiff", to_float(noisy))
EOF
denoise "$python" "$scratch/here"

step "${processors[*]}, side by side"
running=() failed=0
for processor in "${processors[@]}"; do
    try_out "$processor" >"$scratch/$processor.log" 2>&1 &
    running+=($!)
done
for index in "${!processors[@]}"; do
    wait "${running[$index]}" || failed=1
    step "${processors[$index]}"
    cat "$scratch/${processors[$index]}.log"
done
step "$( ((failed)) && echo "not all good" || echo "all good")"
exit "$failed"
