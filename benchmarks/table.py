"""Write the measured tables into README.md and the model cards: `python -m benchmarks.table`; `--check` only compares.

A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`; `<!-- table: NAME MODEL -->` shows one
model's rows. Everything in it comes from results/*.json and, marked so, published.py.
"""

import argparse
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from aeinfer.model_bytes import fingerprint_of
from benchmarks import results
from benchmarks.bench_scaling import LIMIT_MB
from benchmarks.noisy import INPUTS, JPEGS, SIGMAS
from benchmarks.packaged import color_models, digit_models, model_files, photo_models
from benchmarks.peers import PEERS
from benchmarks.published import FFDNET_REAL, PUBLISHED, PUBLISHED_GREY, Published
from benchmarks.timing import THREADS

ROOT = Path(__file__).parents[1]
FOLDERS = (".", "docs", "aeinfer/models", "benchmarks/models")
PAGES = tuple(page for folder in FOLDERS for page in sorted((ROOT / folder).glob("*.md")))
SCALING = {
    "over_median": ("time of each over the median, 1 / 2 threads", ".2f"),
    "read": ("pixels in the network over those of the image", ".2f"),
    "peak_mb": (f"peak memory in MB, no bound / max_memory_mb={LIMIT_MB}", "d"),
}
THREE = "PSNR in dB, sigma 15 / 25 / 50"
BLOCK = re.compile(r"(<!-- table: ([\w-]+)(?: ([\w.-]+))? -->\n).*?(<!-- end of table -->)", re.DOTALL)


def markdown(header: list[str], rows: list[list[str]]) -> str:
    cells = ([cell.replace("|", "\\|") for cell in line] for line in rows)
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine(name: str) -> str:
    """What the results were measured on and with, and which models have another file by now."""
    loaded = results.load(name)
    facts = dict(loaded["machine"])
    cpu = facts.pop("cpu")
    told = f"\n\nMeasured on {cpu}; " + ", ".join(f"{key} {value}" for key, value in facts.items()) + "."
    of_a_file = [row for row in loaded["rows"] if "fingerprint" in row]
    former = results.changed(of_a_file, fingerprints(model_files()))
    return told + (f" Of {', '.join(former)} a former file was measured." if former else "")


def fingerprints(models: Mapping[str, Path]) -> dict[str, str]:
    return {method: fingerprint_of(path.read_bytes()) for method, path in models.items()}


def grouped(rows: Iterable[results.Row], by: Callable[[results.Row], Any]) -> dict[Any, list[results.Row]]:
    """Rows by what `by` says of each, in the order in which they come."""
    found: dict[Any, list[results.Row]] = {}
    for row in rows:
        found.setdefault(by(row), []).append(row)
    return found


def by_method(rows: Iterable[results.Row], model: str) -> dict[str, list[results.Row]]:
    """Group rows by method in the order noisy, peers, models; with a `model`, its precisions alone."""
    found = grouped((row for row in rows if model in ("", row["method"].rpartition(" ")[0])), itemgetter("method"))
    firsts = [method for method in ("noisy", *PEERS) if method in found]
    return {method: found[method] for method in [*firsts, *sorted(found.keys() - set(firsts))]}


def joined(rows: Iterable[results.Row], key: str, form: str) -> str:
    """The figures of those rows that have one, as in "1.00 / 2.00"."""
    return " / ".join(format(row[key], form) for row in rows if key in row)


def at_threads(row: results.Row, key: str, form: str) -> str:
    """The figures of a row whose keys end in a number of threads."""
    return " / ".join(format(row[f"{key}_{n}"], form) for n in THREADS if f"{key}_{n}" in row)


def three(rows: Iterable[results.Row], **wanted: str) -> str:
    """PSNR at sigma 15 / 25 / 50 in the rows that hold what is wanted; what is missing shows as a dash."""
    some = [row for row in rows if row["sigma"] in SIGMAS and wanted.items() <= row.items()]
    psnr = {row["sigma"]: f"{row['psnr']:.2f}" for row in some}
    return " / ".join(psnr.get(sigma, "-") for sigma in SIGMAS) if psnr else ""


def white_noise(name: str, sets: Sequence[str], others: Mapping[str, Published], model: str) -> str:
    """PSNR by method, set and input; SSIM of one column; below our own, the published figures."""
    columns = list(itertools.product(sets, INPUTS))
    body = []
    for method, rows in by_method(results.load(name)["rows"], model).items():
        every = PEERS[method].every if method in PEERS else 1
        label = f"{method}, every {every}th image" if every > 1 else method
        ssim = [row for row in rows if (row["set"], row["input"], row["sigma"]) == (sets[0], "8-bit", 25)]
        psnr = [three(rows, set=each, input=shown) for each, shown in columns]
        body.append([label, *psnr, joined(ssim, "ssim", ".3f")])
    for method, other in others.items() if not model else ():
        psnr = [" / ".join(f"{figure:.2f}" for figure in other.psnr.get(column, ())) for column in columns]
        body.append([f"*{method}, published*", *psnr, ""])
    return markdown([THREE, *(f"{each}, {shown} input" for each, shown in columns), "SSIM"], body)


def quality(model: str) -> str:
    """Colour images under white noise."""
    told = "" if model else " Peers are told sigma, the models are not. In italics: others' figures."
    text = f"\n\nMean over cbsd68 (68 images) and kodak24 (24). SSIM: cbsd68, 8-bit input, sigma 25.{told}"
    return white_noise("quality", ("cbsd68", "kodak24"), PUBLISHED, model) + text


def grey(model: str) -> str:
    """The same of grey images, where a colour model sees the one channel three times."""
    text = "\n\nMean over bsd68 (68 grey images). SSIM: 8-bit input, sigma 25."
    return white_noise("grey", ("bsd68",), PUBLISHED_GREY, model) + text


def camera(model: str) -> str:
    """Real cameras, and what becomes of clean images."""
    body = []
    for method, rows in by_method(results.load("camera")["rows"], model).items():
        real = [row for row in rows if row["set"] == "real"]
        figures = [joined(real, key, ".2f") for key in ("psnr_third", "psnr_third_rounded", "psnr", "worst_gain")]
        clean = [row for row in rows if row["set"] != "real"]
        # the mean over all clean images, not of the sets' means
        total, images = sum(row["psnr"] * row["images"] for row in clean), sum(row["images"] for row in clean)
        body.append([method, *figures, f"{total / images:.2f}" if clean else "", worst(clean)])
    if not model:
        body.append([f"*{FFDNET_REAL['method']}, published*", f"{FFDNET_REAL['psnr_third']:.2f}", *[""] * 5])
    header = [
        "PSNR in dB",
        "real cameras, every third pair",
        "the same, rounded",
        "all pairs",
        "worst pair against noisy",
        "clean images, mean",
        "clean images, worst",
    ]
    text = "\n\nReal cameras: the development half of PolyU's pairs. Clean images: cbsd68 and kodak24 without noise, "
    text += "output rounded to 8 bits."
    return markdown(header, body) + text


def drawings(model: str) -> str:
    """PSNR by kind of drawing, and the worst of those without noise."""
    found = results.load("drawings")["rows"]
    kinds = list(dict.fromkeys(row["set"] for row in found))
    body = [
        [method, *(three(rows, set=kind) for kind in kinds), worst(rows)]
        for method, rows in by_method(found, model).items()
    ]
    return markdown([f"8-bit input, {THREE}", *kinds, "without noise, worst"], body)


def worst(rows: Iterable[results.Row]) -> str:
    """The lowest PSNR of any image, where it was measured."""
    figures = [row["worst"] for row in rows if "worst" in row]
    return f"{min(figures):.2f}" if figures else ""


def files(model: str) -> str:
    """PSNR of noise that went through a JPEG, beside that of the same noise in a PNG."""
    found = results.load("files")["rows"]
    sets = {row["set"] for row in found}
    pngs = [row for row in results.load("quality")["rows"] if row["set"] in sets and row["input"] == "8-bit"]
    body = [
        [method, *(three(rows, input=kind) for kind in ("8-bit", *JPEGS))]
        for method, rows in by_method(pngs + found, model).items()
        if any(row["input"] in JPEGS for row in rows)
    ]
    return markdown([THREE, "PNG", *JPEGS], body)


def hard(model: str) -> str:
    """What a model is bad at, beside the noisy picture's own figures."""
    found = grouped(results.load("hard")["rows"], itemgetter("method"))
    methods = ["noisy", *by_method(itertools.chain(*found.values()), model)]
    body = [
        [rows[0]["what"], *(f"{row['figure']:.2f}" for row in rows)]
        for rows in zip(*(found[method] for method in methods), strict=True)
    ]
    return markdown(["white noise is of sigma 25", *methods], body)


def counts(_model: str) -> str:
    """What scaling a sensor's counts is worth, of fp32 files."""
    found = by_method(results.load("counts")["rows"], "")
    noisy = found.pop("noisy")[0]
    body = [
        [method, *(f"{row['error']:.1f}, {row['bias']:+.1f}" for row in rows)]
        for method, rows in found.items()
        if method.endswith("fp32")
    ]
    ways = [row["way"] for row in next(iter(found.values()))]
    return markdown([f"error in counts ({noisy['error']:.1f} before), bias in the dark", *ways], body)


def models(model: str) -> str:
    """What a model costs: work, size, speed beside the network of FFDNet's shape, memory."""
    body = []
    for method, (row,) in by_method(results.load("models")["rows"], model).items():
        parameters = f"{row['parameters'] / 1000:.0f}k" if "parameters" in row else ""
        cost = [joined([row], "kmac_per_pixel", ".1f"), parameters, joined([row], "file_kb", "d")]
        speed = [at_threads(row, key, ".2f") for key in ("mpix_per_s", "ratio", "ratio_to_fp32")]
        body.append([method, *cost, *speed, joined([row], "peak_mb", "d")])
    header = ["one 768x512 image", "kMAC/pixel", "parameters", "file, kB", "MPix/s, 1 / 2 threads"]
    header += ["times FFDNet-shaped", "times its fp32", "peak memory, MB"]
    text = "\n\nPeers run on one thread. Memory: what loading the model and one run add to a process, at one thread."
    return markdown(header, body) + text + machine("models")


def autoencoders(model: str) -> str:
    """All that denoise digits; with a `model`, only those whose names begin so."""
    some = (row for row in results.load("autoencoders")["rows"] if row["method"].startswith(model))
    body = []
    for method, rows in grouped(some, lambda row: re.sub(" (fp32|int8)$", "", row["method"])).items():
        first = rows[0]
        places = f" + {first['places']:,} places" if first.get("places") else ""
        code = f"{first['code'] or 'none'}{places}" if "code" in first else ""
        cost = [joined([first], key, ",") for key in ("parameters", "kmac")]
        psnr = [joined(rows, key, ".2f") for key in ("float", "8-bit", "clean")]
        epochs = f", {first['epochs']} epochs" if "epochs" in first else ""
        body.append([method + epochs, code, *cost, *psnr, joined(rows, "images_per_s", ",")])
    header = ["10,000 test digits, fp32 / int8", "numbers in the code", "parameters", "kMAC"]
    header += [f"PSNR in dB, sigma 127.5, {shown}" for shown in ("float", "8-bit")]
    return markdown([*header, "PSNR, clean", "images a second"], body) + machine("autoencoders")


def ways_up(model: str) -> str:
    """What each network does to edges, and whether it leaves a checkerboard."""
    rows = [row for row in results.load("autoencoders")["rows"] if "sharpness" in row]
    body = [
        [row["method"].removesuffix(" fp32"), *(f"{row[key]:.2f}" for key in ("float", "sharpness", "checkerboard"))]
        for row in sorted(rows, key=lambda row: row["sharpness"])
        if row["method"].startswith(("conv", "mnist-conv", "pyramid", "unet")) and row["method"].startswith(model)
    ]
    return markdown(["sigma 127.5, float", "PSNR in dB", "sharpness", "checkerboard"], body)


def memory(_model: str) -> str:
    rows = results.load("memory")["rows"]
    body = [[row["command"], str(row["peak_mb"]), str(row["seconds"])] for row in rows]
    return markdown(["one 6000x4000 JPEG to PNG", "peak of the process, MB", "seconds"], body) + machine("memory")


def faults(_model: str) -> str:
    columns = ("tried", "refused", "lost", "wrong", "crashed")
    body = [[row["kind"], *(f"{row[column]:,}" for column in columns)] for row in results.load("faults")["rows"]]
    return markdown(["kind", *columns], body) + machine("faults")


def endurance(_model: str) -> str:
    body = [
        [row["kind"], f"{row['count']:,}", f"{row['memory_mb']:.0f}", f"{row['growth']:.3f}", ", ".join(row["leaks"])]
        for row in results.load("endurance")["rows"]
    ]
    header = ["in one process", "images", "memory after a twentieth, MB", "times that at its most", "leaks"]
    return markdown(header, body) + machine("endurance")


def goals(_model: str) -> str:
    """Every goal of the runtime, those that fall short as well."""
    body = []
    for row in results.load("goals")["rows"]:
        figure, goal = f"{row['figure']:g} {row['unit']}", f"{row['goal']} {row['unit']}"
        body.append([row["what"], figure, goal, "yes" if row["holds"] else "no"])
    return markdown(["goal", "measured", "wanted", "holds"], body) + machine("goals")


def session(model: str) -> str:
    """Engines side by side on the same network; one that has no figure says why, below."""
    rows = [row for row in results.load("session")["rows"] if model in ("", row["method"].rpartition(" ")[0])]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    cells: dict[str, dict[str, str]] = {}
    versions, reasons = {}, []
    for row in rows:
        told = ""
        if "unavailable" in row:
            reasons.append(f"{row['engine']}, {row['method']}: {row['unavailable'].rstrip('.')}.")
        else:
            versions[row["engine"]] = row["version"]
            told = f"{at_threads(row, 'ms', '.1f')} ({at_threads(row, 'ratio', '.2f')})"
        cells.setdefault(row["engine"], {})[row["method"]] = told
    body = [
        [f"{engine} {versions[engine]}" if engine in versions else engine, *(each.get(m, "") for m in methods)]
        for engine, each in cells.items()
    ]
    text = "\n\nMilliseconds at one / two threads, and in brackets the speed relative to aeinfer's session. "
    return markdown(["one 768x512 image", *methods], body) + text + " ".join(reasons) + machine("session")


def denoise(_model: str) -> str:
    """What denoise takes beyond the bare network, and how the plain way compares."""
    found = grouped(results.load("denoise")["rows"], itemgetter("method", "input"))
    columns = {"ms": ".1f", "over_bare": ".3f", "moving_ms": ".1f", "over_plain": ".2f"}
    body = [
        [method, given, *(joined(rows, key, form) for key, form in columns.items())]
        for (method, given), rows in found.items()
    ]
    header = [
        "1 / 2 threads",
        "input",
        "denoise, ms",
        "times the bare network",
        "without the network, ms",
        "plain numpy + onnxruntime takes times",
    ]
    return markdown(header, body) + machine("denoise")


def stream(_model: str) -> str:
    """Frames a second through every door, and what they take beyond the bare network."""
    body = []
    for row in results.load("stream")["rows"]:
        out = row["frames"] - row.get("dropped", 0)
        frames = f"{out:,} of {row['frames']:,}" + (", in order" if row.get("in_order") else "")
        figures = [joined([row], key, ".2f") for key in ("over_bare", "p95_over_network")]
        body.append([row["method"], row["input"], row["size"], frames, f"{row['fps']:.1f}", *figures])
    header = ["model", "frames through", "size", "out", "frames a second", "times the bare network"]
    return markdown([*header, "95 % of latencies under ... network times"], body) + machine("stream")


def temporal(kind: str) -> str:
    """Video under one noise: PSNR of each clip, the flicker that is left, what moved, and what a frame takes."""
    loaded = results.load("temporal")["rows"]
    costs = {row["method"]: row for row in loaded if "ms_still" in row}
    found: dict[str, dict[str, results.Row]] = {}
    for row in loaded:
        if row.get("noise") == kind:
            found.setdefault(row["method"], {})[row["clip"]] = row
    clips = list(found["noisy"])
    more = {"flicker, still": ("still", "flicker"), "where the disc moved": ("moving disc", "moved")}
    more["after the cut"] = ("cut", "moved")
    body = []
    for method, rows in found.items():
        figures = [rows[clip]["psnr"] for clip in clips] + [rows[clip][key] for clip, key in more.values()]
        cost = [f"{costs[method][key]:.0f}" for key in ("ms_still", "ms_pan") if key in costs.get(method, {})]
        body.append([method, *(f"{figure:.2f}" for figure in figures), " / ".join(cost)])
    noise = "a camera's noise" if kind == "camera" else f"sigma {kind}"
    return markdown([f"PSNR in dB, {noise}", *clips, *more, "ms, still / panned"], body) + machine("temporal")


def video(_model: str) -> str:
    """PSNR of what `aeinfer video` makes of each noise."""
    rows = results.load("video")["rows"]
    cells = {(row["method"], row["noise"]): f"{row['luma']:.1f} / {row['chroma']:.1f}" for row in rows}
    noises = grouped(rows, itemgetter("noise"))
    body = [[method, *(cells[method, noise] for noise in noises)] for method in grouped(rows, itemgetter("method"))]
    return markdown(["PSNR in dB, luma / chroma", *noises], body) + machine("video")


def scaling(unit: str) -> str:
    """What one megapixel or image costs at each size over its curve's median, and the peak memory there."""
    rows = [row for row in results.load("scaling")["rows"] if row["unit"] == unit]
    counts = sorted({row["count"] for row in rows})
    lines: dict[tuple[str, str], dict[float, list[str]]] = {}
    for row in rows:
        what = row["method"] if unit == "megapixels" else f"{row['method']}, {row['input']}"
        for key, (label, form) in SCALING.items():
            if key in row and not (key == "read" and (unit == "images" or row["threads"] > 1)):
                lines.setdefault((what, label), {}).setdefault(row["count"], []).append(format(row[key], form))
    body = [
        [f"{what}: {label}", *(" / ".join(figures.get(count, [])) for count in counts)]
        for (what, label), figures in sorted(lines.items(), key=lambda item: item[0][0])
    ]
    header = ["megapixels of one image" if unit == "megapixels" else "images in one array"]
    return markdown([*header, *(f"{count:,}" for count in counts)], body) + machine("scaling")


TABLES: dict[str, Callable[[str], str]] = {
    "quality": quality,
    "grey": grey,
    "camera": camera,
    "drawings": drawings,
    "files": files,
    "hard": hard,
    "counts": counts,
    "models": models,
    "autoencoders": autoencoders,
    "ways_up": ways_up,
    "memory": memory,
    "faults": faults,
    "endurance": endurance,
    "goals": goals,
    "session": session,
    "denoise": denoise,
    "stream": stream,
    "temporal": temporal,
    "video": video,
    "scaling": scaling,
}


def rewritten(text: str) -> str:
    """Return a page's text with its tables made anew."""
    return BLOCK.sub(lambda found: f"{found[1]}{TABLES[found[2]](found[3] or '')}\n{found[4]}", text)


def stale_results() -> list[str]:
    """Say which models' files are not the ones that were measured, and which were not measured that all pages show."""
    files = {
        **{name: color_models() for name in ("quality", "drawings", "files", "hard", "counts")},
        **{name: photo_models() for name in ("grey", "models")},
        "autoencoders": digit_models(),
    }
    some = {"camera": color_models()}  # real pairs are not everybody's to measure
    return [
        f"results/{name}.json: {complaint}"
        for name, models in (files | some).items()
        for complaint in results.stale(results.load(name)["rows"], fingerprints(models))
        if name in files or complaint.endswith(results.OTHER_FILE)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page or result is out of date")
    args = parser.parse_args()
    old = [path for path in PAGES if rewritten(path.read_text()) != path.read_text()]
    for path in old:
        print(f"{path.name}: {'not up to date' if args.check else 'written'}")
        if not args.check:
            path.write_text(rewritten(path.read_text()))
    for complaint in (complaints := stale_results()):
        print(complaint)
    return 1 if args.check and (old or complaints) else 0


if __name__ == "__main__":
    raise SystemExit(main())
