"""Authorities for the certificates of a test, made by openssl."""

import subprocess

import pytest


def authorities(folder):
    """Two authorities in the folder, `ca` and `other` (.pem and .key); what calls openssl there. Skips the test where there is no openssl."""

    def openssl(*words):
        subprocess.run(["openssl", *map(str, words)], cwd=folder, check=True, capture_output=True)

    try:
        for name in ("ca", "other"):
            openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}", "-days", 2)
    except FileNotFoundError as why:
        pytest.skip(f"no certificates without openssl: {why}")
    return openssl
