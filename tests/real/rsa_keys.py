"""Many RSA keys in little time: as many pairs of fewer primes. They are for tests alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from math import comb

from cryptography.hazmat.primitives.asymmetric import rsa


def many_keys(count: int, size: int) -> list[rsa.RSAPrivateKey]:
    """Return so many different keys of `size` bits."""
    return [_key_of(*pair) for pair in itertools.islice(_pairs(count, size), count)]


def _pairs(count: int, size: int) -> Iterator[tuple[int, int]]:
    primes: list[int] = []
    while comb(len(primes), 2) < count:
        numbers = rsa.generate_private_key(65537, size).private_numbers()
        primes += [numbers.p, numbers.q]
    return itertools.combinations(primes, 2)


def _key_of(p: int, q: int) -> rsa.RSAPrivateKey:
    d = pow(65537, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p,
        q,
        d,
        rsa.rsa_crt_dmp1(d, p),
        rsa.rsa_crt_dmq1(d, q),
        rsa.rsa_crt_iqmp(p, q),
        rsa.RSAPublicNumbers(65537, p * q),
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)
