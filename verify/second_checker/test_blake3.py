"""The official test vectors of BLAKE3 (their input is 0, 1, ..., 250, 0, 1, ...), and how the format uses it."""

import pathlib
import unittest

import blake3
from canonical import CERTIFICATE_CONTEXT, ENTRY_CONTEXT, digest

CONTEXT = "BLAKE3 2019-12-27 16:29:52 test vectors context"
# input length: (hash, derive-key)
VECTORS = {
    0: ("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
        "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d"),
    1: ("2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
        "b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c"),
    1023: ("10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11",
           "74a16c1c3d44368a86e1ca6df64be6a2f64cce8f09220787450722d85725dea5"),
    1024: ("42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
           "7356cd7720d5b66b6d0697eb3177d9f8d73a4a5c5e968896eb6a689684302706"),
    1025: ("d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
           "effaa245f065fbf82ac186839a249707c3bddf6d3fdda22d1b95a3c970379bcb"),
    2049: ("5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030",
           "2ea477c5515cc3dd606512ee72bb3e0e758cfae7232826f35fb98ca1bcbdf273"),
    3073: ("7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3",
           "72613c9ec9ff7e40f8f5c173784c532ad852e827dba2bf85b2ab4b76f7079081"),
    5121: ("628bd2cb2004694adaab7bbd778a25df25c47b9d4155a55f8fbd79f2fe154cff",
           "b07f01e518e702f7ccb44a267e9e112d403a7b3f4883a47ffbed4b48339b3c34"),
    7169: ("a003fc7a51754a9b3c7fae0367ab3d782dccf28855a03d435f8cfe74605e7817",
           "554b0a5efea9ef183f2f9b931b7497995d9eb26f5c5c6dad2b97d62fc5ac31d9"),
}
ROOT = pathlib.Path(__file__).resolve().parents[2]


class Vectors(unittest.TestCase):
    def test_official_vectors(self):
        for length, (hashed, derived) in VECTORS.items():
            data = bytes(i % 251 for i in range(length))
            self.assertEqual(blake3.hash_bytes(data).hex(), hashed, length)
            self.assertEqual(blake3.derive_key(CONTEXT, data).hex(), derived, length)

    def test_a_flipped_bit_changes_the_digest(self):
        data = bytearray(b"chebyshare entry 1\n" * 60)
        before = digest(ENTRY_CONTEXT, bytes(data))
        data[-2] ^= 1
        self.assertNotEqual(digest(ENTRY_CONTEXT, bytes(data)), before)
        self.assertNotEqual(digest(CERTIFICATE_CONTEXT, bytes(data)), digest(ENTRY_CONTEXT, bytes(data)))

    def test_the_index_lists_these_files(self):
        """Each line of catalogs/INDEX: the digest of an entry, the digest of its certificate, its name."""
        lines = (ROOT / "catalogs/INDEX").read_text(encoding="utf-8").splitlines()
        self.assertGreater(len(lines), 30)
        for line in lines[::4]:
            entry, certificate, name = line.split(" ")
            self.assertEqual(digest(ENTRY_CONTEXT, (ROOT / "catalogs" / (name + ".entry")).read_bytes()), entry)
            data = (ROOT / "proofs" / (name + ".certificate")).read_bytes()
            self.assertEqual(digest(CERTIFICATE_CONTEXT, data), certificate)


if __name__ == "__main__":
    unittest.main()
