#!/usr/bin/env python3
"""Holds counts against Benchmarks/Thresholds: gate.py FOLDER EXCHANGE BURNING REPETITIONS [--update], as Tests/Counts/run calls it."""
import json, os, re, sys

folder, exchange, burning, repetitions = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
update = "--update" in sys.argv[5:]
THRESHOLDS = "Benchmarks/Thresholds"


def parts():
    """Instructions of each part, by the label of its function's first argument in the mangled name: countedPart12logFormat…"""
    found = {}
    for line in open(f"{folder}/annotated"):
        # A private function's name is followed by the mark of its file, then come the labels of its arguments.
        match = re.match(r"\s*([\d,]+)\s.*\$s5Proxy11countedPart(?:33_[0-9A-F]{32}LL)?(\d+)(\w+)", line)
        if match:
            name = match.group(3)[: int(match.group(2))]
            found.setdefault(name, int(match.group(1).replace(",", "")))
    return {name: round(count / repetitions, 1) for name, count in found.items()}


def ring():
    figures = {}
    for kind in ["", "rewriting", "answers"]:
        told = json.load(open(f"{folder}/ring{kind}"))
        # Exchanges that failed are cheap.
        if told["complaints"]:
            sys.exit(f"counts: {told['complaints']} times the contract of the ring was broken in {kind or 'plain'} exchanges; the figures say nothing")
        for name in ["enters", "calls", "submissions", "completions", "moved_bytes", "copied_body_bytes"]:
            figures[f"{kind or 'plain'}_{name}_per_exchange"] = round(told[name] / told["exchanges"], 3)
    return figures


measured = {
    "exchange": {"instructions_per_small_exchange": exchange, **ring()},
    "parts": {f"{name}_instructions": count for name, count in sorted(parts().items())},
}
if len(measured["parts"]) < 13:
    sys.exit(f"counts: only {len(measured['parts'])} parts were found in callgrind's output: {', '.join(measured['parts'])}")

failed = False
for name, figures in measured.items():
    path = f"{THRESHOLDS}/{name}.json"
    if update:
        json.dump(figures, open(path, "w"), indent=2)
        open(path, "a").write("\n")
        print(f"counts: {len(figures)} thresholds of {path} are now those of this build")
        continue
    thresholds = json.load(open(path)) if os.path.exists(path) else {}
    for figure, value in figures.items():
        threshold = thresholds.get(figure)
        if threshold is None:
            print(f"counts: {figure} has no threshold; Tests/Counts/run --update writes it")
            failed = True
            continue
        print(f"counts: {figure} {value:g}, threshold {threshold:g}")
        if value > threshold * 1.03:
            print(f"counts: {figure} is more than 3 % above its threshold; find out why, or accept it with Tests/Counts/run --update")
            failed = True
        elif value < threshold * 0.97:
            print(f"counts: {figure} is 3 % below its threshold: Tests/Counts/run --update keeps the gain")
    for figure in thresholds.keys() - figures.keys():
        print(f"counts: {figure} has a threshold and was not counted")
        failed = True

print(f"counts: slowed by 300 ns a request it would be {burning} instructions, {100 * burning / exchange - 100:+.1f} %")
if burning <= exchange * 1.03:
    print("counts: the gate would let a build pass that is slowed by 300 ns a request")
    failed = True
sys.exit(1 if failed else 0)
