#!/usr/bin/env python3
"""Writes certificate.der: a self-signed certificate whose names need escaping (needs the package cryptography)."""

import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID, ObjectIdentifier

name = x509.Name(
    [
        x509.RelativeDistinguishedName(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, 'Exämple, "Ltd";', _ASN1Type.BMPString)]
        ),
        x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, "#1 www.example.test ")]),
        x509.RelativeDistinguishedName([x509.NameAttribute(ObjectIdentifier("1.2.3.4"), "a")]),
        x509.RelativeDistinguishedName(
            [
                x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@example.test"),
                x509.NameAttribute(NameOID.USER_ID, "7"),
            ]
        ),
    ]
)
sans = x509.SubjectAlternativeName(
    [
        x509.DNSName("www.example.test"),
        x509.RFC822Name("a@example.test"),
        x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
        x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
    ]
)
key = ec.derive_private_key(7, ec.SECP256R1())
start = datetime.datetime(2026, 1, 1)
certificate = (
    x509.CertificateBuilder()
    .subject_name(name)
    .issuer_name(name)
    .public_key(key.public_key())
    .serial_number(1)
    .not_valid_before(start)
    .not_valid_after(start + datetime.timedelta(days=10))
    .add_extension(sans, critical=False)
    .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
)
path = pathlib.Path(__file__).with_name("certificate.der")
path.write_bytes(certificate.public_bytes(serialization.Encoding.DER))
