"""Runs the scenarios of this folder, or those that are named (`smoke`, `smoke.answers`), one after the other; exits with 1 when one failed.

Modules of the kernel are loaded on the way: what comes before `load_modules` sees a kernel without TLS.
"""
import importlib
import sys
import time
import traceback

ALL = ["smoke", "splicing", "sealed", "kernel_tls"]


def main():
    failed = []
    for wanted in sys.argv[1:] or ALL:
        name, _, only = wanted.partition(".")
        module = importlib.import_module(name)
        for each in module.SCENARIOS:
            if only not in ("", each.__name__):
                continue
            begin = time.monotonic()
            try:
                remark = each()
                print(f"ok     {name}.{each.__name__}: {remark or each.__doc__.splitlines()[0]} ({time.monotonic() - begin:.1f} s)")
            except BaseException as error:
                failed.append(f"{name}.{each.__name__}")
                print(f"FAILED {failed[-1]}: {type(error).__name__} {error}")
                traceback.print_exc(limit=-3)
    if failed:
        sys.exit("failed: " + " ".join(failed))


if __name__ == "__main__":
    main()
