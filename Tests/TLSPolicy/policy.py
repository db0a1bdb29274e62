#!/usr/bin/env python3
"""What testssl.sh finds in Weir with the words that are the default: protocols, server, forward secrecy, preferences, attacks.

  policy.py WEIR

Exits with 1 when there is a finding above "low" that is not explained in EXPLAINED, or when the scan did not go through.
"""
import collections
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Soak"))
from weir_under_load import Setting, make_certificates

CONFIGURATION = """
workers = 2
server {
    addr = 127.0.0.1 port = {port0}
    ssl {
        enabled = true
        cert = { "FILES/rsa.pem", "FILES/ecdsa.pem" }
        key = { "FILES/rsa.key", "FILES/ecdsa.key" }
    }
    downstream origin { addr = 127.0.0.1 port = {origin} connections = 4 connections-max = 64 }
}
"""
HARMLESS = {"OK", "INFO", "LOW"}
# Findings that say something about this test and nothing about Weir: identifier to reason.
EXPLAINED = {"engine_problem": "the scanner cannot ask for GOST, which nothing here offers"}


def scan(weir, folder):
    make_certificates(folder)
    with Setting(weir, CONFIGURATION.replace("FILES", folder)) as setting:
        report = f"{folder}/report.json"
        done = subprocess.run(
            ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--ip", "127.0.0.1", "--add-ca", f"{folder}/ca.pem",
             "--protocols", "--server-defaults", "--fs", "--server-preference", "--vulnerable", "--jsonfile", report,
             f"example.com:{setting.ports[0]}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)
        print(done.stdout)
        code = setting.stop()
        with open(report) as file:
            return json.load(file), code


def main():
    with tempfile.TemporaryDirectory(prefix="weir-policy-") as folder:
        findings, code = scan(sys.argv[1] if len(sys.argv) > 1 else ".build/release/weir", folder)
    counts = collections.Counter(each["severity"] for each in findings)
    bad = [each for each in findings if each["severity"] not in HARMLESS and each["id"] not in EXPLAINED]
    for each in findings:
        if each["severity"] not in ("OK", "INFO"):
            mark = EXPLAINED.get(each["id"], "")
            print(f"{each['severity']}: {each['id']}: {each['finding']}" + (f" ({mark})" if mark else ""))
    print("policy:", ", ".join(f"{number} {name}" for name, number in sorted(counts.items())))
    if not any(each["id"] == "TLS1_3" for each in findings) or not any(each["id"] == "LUCKY13" for each in findings):
        sys.exit("FAILED: the scan did not go through")
    if code:
        sys.exit(f"FAILED: weir ended with {code}")
    if bad:
        sys.exit("FAILED: " + ", ".join(f"{each['id']} ({each['severity']})" for each in bad))
    print("policy passed: nothing above low")


if __name__ == "__main__":
    main()
