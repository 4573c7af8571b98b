"""CKKS, homomorphic encryption of real numbers (Cheon, Kim, Kim and Song 2017), as used here.

A ciphertext holds 8,192 numbers in *slots*. Without the secret key, another ciphertext or plain
numbers can be added to it or multiplied with it, slot by slot. Each product uses up one of the
58-bit primes of the modulus. Errors are absolute, about 1e-13 of the largest value that the slots
were scaled for; there is no division.

The deepest computation, the variance of rates, needs this chain of primes: 60 + 58 + 58 + 58 bits
for two products and a last one that is not scaled down, and 60 bits for switching keys, 294 bits in
all. The homomorphic encryption standard (Albrecht et al. 2018, Table 1, classical attacks) allows
a modulus of 305 bits at degree 16,384 for a security of 192 bits, 438 for 128; at degree 8,192 it
is 218 for 128, at degree 2,048 it is 54, which is not enough for one product. SEAL refuses
parameters outside of the table.

TenSEAL's binding of Microsoft SEAL is used rather than its vectors: those always make all rotation
keys, 28 of them at this degree, where sums over slots take seven.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoked.errors import DataError, MissingExtraError
from evoked.files import atomic_folder

DEGREE = 16_384
SLOTS = DEGREE // 2
PRIME_BITS = (60, 58, 58, 58, 60)
SCALE = 2.0**58
SECURITY_BITS = 192
# For a product with plain numbers that is not scaled down: their scale fills what is left.
_MASK_SCALE = SCALE

RELINEARISATION_KEYS = "relinearisation.keys"
ROTATION_KEYS = "rotation.keys"

# Measured: 0.6 MB (secret key), 5 MB, 35 MB and 1 MB; a larger file isn't one of ours.
MAX_KEY_BYTES = 2 * 2**20
MAX_EVALUATION_BYTES = 64 * 2**20
MAX_CIPHERTEXT_BYTES = 4 * 2**20
MAX_PUBLIC_KEY_BYTES = 4 * 2**20
# Primes of what is only added: each more makes files larger.
_SUM_PRIMES = 2

# Sums over all slots take seven rotations, each but the last three times, in place of thirteen that
# are made once: half as many keys for half as much time again.
_STEPS = tuple(4**power for power in range(7))
_REPEATS = (*(3,) * 6, 1)

Ciphertext = Any
Floats = NDArray[np.float64]


def seal() -> Any:
    """TenSEAL's binding of SEAL; MissingExtraError if it isn't installed."""
    try:
        from tenseal import sealapi
    except ImportError as error:
        raise MissingExtraError("tenseal", "privacy", "Encrypting fields") from error
    return sealapi


def make_secret_key(path: Path) -> None:
    """Write a new secret key."""
    seal().KeyGenerator(_context()).secret_key().save(str(path))


def make_evaluation_keys(secret: Path, folder: Path) -> None:
    """Write the keys that others compute with, unless they exist; they can decrypt nothing."""
    if folder.is_dir():
        return
    sealapi, context = seal(), _context()
    generator = sealapi.KeyGenerator(context, _load_secret(context, secret))
    relinearisation, rotation = sealapi.RelinKeys(), sealapi.GaloisKeys()
    generator.create_relin_keys(relinearisation)
    # The binding takes Galois elements: 3^k modulo 2N rotates by k slots.
    generator.create_galois_keys([pow(3, step, 2 * DEGREE) for step in _STEPS], rotation)
    with atomic_folder(folder) as temporary:
        relinearisation.save(str(temporary / RELINEARISATION_KEYS))
        rotation.save(str(temporary / ROTATION_KEYS))


class KeyOwner:
    """Encrypts and decrypts.

    Parameters
    ----------
    secret
        File of the secret key.

    Raises
    ------
    DataError
        The file is not a secret key with these parameters.
    """

    def __init__(self, secret: Path) -> None:
        sealapi = seal()
        self._context = _context()
        key = _load_secret(self._context, secret)
        self._secret = key
        self._encoder = sealapi.CKKSEncoder(self._context)
        self._encryptor = sealapi.Encryptor(self._context, key)
        self._decryptor = sealapi.Decryptor(self._context, key)

    def encrypt(self, values: ArrayLike) -> Ciphertext:
        """Encrypt at most 8,192 numbers in [-1, 1].

        The secret key is used rather than a public one: it gives thirty times less noise, and
        nobody else has to encrypt.
        """
        plain, encrypted = seal().Plaintext(), seal().Ciphertext()
        self._encoder.encode(np.asarray(values, np.float64).tolist(), SCALE, plain)
        self._encryptor.encrypt_symmetric(plain, encrypted)
        return encrypted

    def decrypt(self, encrypted: Ciphertext) -> Floats:
        """All 8,192 slots."""
        plain = seal().Plaintext()
        self._decryptor.decrypt(encrypted, plain)
        return np.array(self._encoder.decode_double(plain))

    def load(self, path: Path) -> Ciphertext:
        """Read a ciphertext; see :func:`load_ciphertext`."""
        return load_ciphertext(self._context, path)

    def load_sum(self, path: Path) -> Ciphertext:
        """Read what :class:`Encryptor` or :class:`Adder` made; see :func:`load_sum`."""
        return load_sum(self._context, path)

    def public_key(self) -> bytes:
        """A key with which others encrypt and nobody can decrypt."""
        sealapi = seal()
        public = sealapi.PublicKey()
        sealapi.KeyGenerator(self._context, self._secret).create_public_key(public)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "public.key"
            public.save(str(path))
            return path.read_bytes()


class Encryptor:
    """Encrypts with somebody else's public key what is only going to be added.

    Parameters
    ----------
    public
        File of the public key.

    Raises
    ------
    DataError
        The file is not a public key with these parameters.
    """

    def __init__(self, public: Path) -> None:
        sealapi = seal()
        self._context = _context()
        key = _load(sealapi.PublicKey, self._context, public, MAX_PUBLIC_KEY_BYTES)
        self._encoder = sealapi.CKKSEncoder(self._context)
        self._encryptor = sealapi.Encryptor(self._context, key)
        self._evaluator = sealapi.Evaluator(self._context)

    def encrypt(self, values: ArrayLike) -> Ciphertext:
        """Encrypt at most 8,192 numbers in [-1, 1], with two primes, enough to add them."""
        plain, encrypted = seal().Plaintext(), seal().Ciphertext()
        self._encoder.encode(np.asarray(values, np.float64).tolist(), SCALE, plain)
        self._encryptor.encrypt(plain, encrypted)
        return _with_primes(self._evaluator, encrypted, _SUM_PRIMES)


class Adder:
    """Adds ciphertexts of :class:`Encryptor`, without any key."""

    def __init__(self) -> None:
        self._context = _context()
        self._evaluator = seal().Evaluator(self._context)

    def load_sum(self, path: Path) -> Ciphertext:
        """Read what :class:`Encryptor` made; see :func:`load_sum`."""
        return load_sum(self._context, path)

    def add(self, first: Ciphertext | None, second: Ciphertext) -> Ciphertext:
        """The sum slot by slot; ``first`` may be None, for nothing yet."""
        return _added(self._evaluator, first, second)


class Party:
    """Computes on ciphertexts without being able to read them.

    Parameters
    ----------
    evaluation
        Folder of the evaluation keys.

    Raises
    ------
    DataError
        There are no such keys, or they have other parameters.
    """

    def __init__(self, evaluation: Path) -> None:
        sealapi = seal()
        self._folder = evaluation
        self._context = _context()
        self._encoder = sealapi.CKKSEncoder(self._context)
        self._evaluator = sealapi.Evaluator(self._context)

    def load(self, path: Path) -> Ciphertext:
        """Read a fresh ciphertext; see :func:`load_ciphertext`."""
        encrypted = load_ciphertext(self._context, path)
        if encrypted.parms_id() != self._context.first_parms_id() or encrypted.scale != SCALE:
            raise DataError("not a fresh ciphertext: something was computed on it.", file=path)
        return encrypted

    def multiply(self, first: Ciphertext, second: Ciphertext) -> Ciphertext:
        """The product slot by slot; uses up one prime."""
        product = self._product(first, second)
        self._evaluator.rescale_to_next_inplace(product)
        return product

    def weigh(self, encrypted: Ciphertext, weights: ArrayLike) -> Ciphertext:
        """The product with plain numbers, not scaled down: a sum of them is scaled down once."""
        plain, product = seal().Plaintext(), seal().Ciphertext()
        numbers = np.asarray(weights, np.float64).tolist()
        self._encoder.encode(numbers, encrypted.parms_id(), _MASK_SCALE, plain)
        self._evaluator.multiply_plain(encrypted, plain, product)
        return product

    def add(self, first: Ciphertext | None, second: Ciphertext) -> Ciphertext:
        """The sum slot by slot; ``first`` may be None, for nothing yet."""
        return _added(self._evaluator, first, second)

    def subtract(self, first: Ciphertext, second: Ciphertext) -> Ciphertext:
        """The difference slot by slot, of two ciphertexts with the same primes."""
        negated, difference = seal().Ciphertext(), seal().Ciphertext()
        self._evaluator.negate(second, negated)
        # Both are 2^116 up to the primes' distance from 2^58: a relative error of 1e-12.
        negated.scale = first.scale
        self._evaluator.add(first, negated, difference)
        return difference

    def square(self, encrypted: Ciphertext) -> Ciphertext:
        """The square, not scaled down: the last step of a computation."""
        return self._product(encrypted, encrypted)

    def rescale(self, encrypted: Ciphertext) -> Ciphertext:
        """Scale a product down to the common scale; uses up one prime."""
        scaled = seal().Ciphertext()
        self._evaluator.rescale_to_next(encrypted, scaled)
        return scaled

    def sum_slots(self, encrypted: Ciphertext) -> Ciphertext:
        """The sum over all slots, in every slot."""
        for step, repeats in zip(_STEPS, _REPEATS, strict=True):
            rotated = total = encrypted
            for _ in range(repeats):
                turned = seal().Ciphertext()
                self._evaluator.rotate_vector(rotated, step, self._rotation, turned)
                rotated, total = turned, self.add(total, turned)
            encrypted = total
        return encrypted

    def drop_primes(self, encrypted: Ciphertext, kept: int) -> Ciphertext:
        """The same numbers with ``kept`` primes: a smaller file, once all products are made."""
        return _with_primes(self._evaluator, encrypted, kept)

    def _product(self, first: Ciphertext, second: Ciphertext) -> Ciphertext:
        product = seal().Ciphertext()
        self._evaluator.multiply(first, second, product)
        self._evaluator.relinearize_inplace(product, self._relinearisation)
        return product

    @cached_property
    def _relinearisation(self) -> Any:
        path = self._folder / RELINEARISATION_KEYS
        return _load(seal().RelinKeys, self._context, path, MAX_EVALUATION_BYTES)

    @cached_property
    def _rotation(self) -> Any:
        path = self._folder / ROTATION_KEYS
        return _load(seal().GaloisKeys, self._context, path, MAX_EVALUATION_BYTES)


def _added(evaluator: Any, first: Ciphertext | None, second: Ciphertext) -> Ciphertext:
    if first is None:
        return second
    total = seal().Ciphertext()
    evaluator.add(first, second, total)
    return total


def _with_primes(evaluator: Any, encrypted: Ciphertext, kept: int) -> Ciphertext:
    dropped = encrypted
    while dropped.coeff_modulus_size() > kept:
        smaller = seal().Ciphertext()
        evaluator.mod_switch_to_next(dropped, smaller)
        dropped = smaller
    return dropped


def load_sum(context: Any, path: Path) -> Ciphertext:
    """Read a ciphertext that nothing was computed on but sums.

    Raises
    ------
    DataError
        As :func:`load_ciphertext`, or something else was computed.
    """
    encrypted = load_ciphertext(context, path)
    sizes = (encrypted.coeff_modulus_size(), encrypted.size(), encrypted.scale)
    if sizes != (_SUM_PRIMES, 2, SCALE):
        raise DataError("not what was encrypted to be added.", file=path)
    return encrypted


def load_ciphertext(context: Any, path: Path) -> Ciphertext:
    """Read a ciphertext of at most 4 MiB.

    Raises
    ------
    DataError
        There is no such file, it is too large, or no ciphertext with these parameters.
    """
    return _load(seal().Ciphertext, context, path, MAX_CIPHERTEXT_BYTES)


def in_slots(values: Sequence[float] | Floats) -> Iterable[Floats]:
    """Numbers in pieces of 8,192, the last one padded with zeros."""
    numbers = np.asarray(values, dtype=np.float64)
    for start in range(0, len(numbers), SLOTS):
        piece = numbers[start : start + SLOTS]
        yield np.pad(piece, (0, SLOTS - len(piece)))


def _context() -> Any:
    sealapi = seal()
    parameters = sealapi.EncryptionParameters(sealapi.SCHEME_TYPE.CKKS)
    parameters.set_poly_modulus_degree(DEGREE)
    parameters.set_coeff_modulus(sealapi.CoeffModulus.Create(DEGREE, list(PRIME_BITS)))
    context = sealapi.SEALContext(parameters, True, sealapi.SEC_LEVEL_TYPE.TC192)
    if not context.parameters_set():
        raise AssertionError(context.parameters_error_message())
    return context


def _load_secret(context: Any, path: Path) -> Any:
    return _load(seal().SecretKey, context, path, MAX_KEY_BYTES)


def _load(kind: Callable[[], Any], context: Any, path: Path, limit: int) -> Any:
    if not path.is_file():
        raise DataError("the file does not exist.", file=path)
    if path.stat().st_size > limit:
        raise DataError(f"larger than {limit // 2**20} MiB, so no file of ours.", file=path)
    loaded = kind()
    try:
        loaded.load(context, str(path))
    except (RuntimeError, ValueError) as error:
        raise DataError(
            f"not a {kind.__name__} of these parameters, or damaged ({error}).", file=path
        ) from error
    return loaded
