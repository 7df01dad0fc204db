//! Digests of files (HASH, XSHA256, XCRC) and of passwords (PBKDF2, RFC 8018 5.2), in pieces as small as the host likes.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Which digest of a file is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// SHA-256 (FIPS 180-4).
    Sha256,
    /// CRC-32 (ISO 3309), as XCRC tells it.
    Crc32,
}

/// Bytes of the longest digest.
pub const DIGEST_MAX: usize = 32;

/// A digest that grows with each piece.
pub enum Hasher {
    /// SHA-256.
    Sha256(Sha256),
    /// CRC-32, complemented.
    Crc32(u32),
}

impl Hasher {
    /// Of no bytes yet.
    pub fn new(algorithm: Algorithm) -> Hasher {
        match algorithm {
            Algorithm::Sha256 => Hasher::Sha256(Sha256::new()),
            Algorithm::Crc32 => Hasher::Crc32(!0),
        }
    }

    /// These bytes come next.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(state) => state.update(bytes),
            Hasher::Crc32(state) => {
                for &byte in bytes {
                    *state ^= u32::from(byte);
                    for _ in 0..8 {
                        let odd = *state & 1;
                        *state = *state >> 1 ^ 0xedb8_8320 & odd.wrapping_neg();
                    }
                }
            }
        }
    }

    /// The digest of all that came; how many of the bytes it has.
    pub fn finish(&self, out: &mut [u8; DIGEST_MAX]) -> usize {
        match self {
            Hasher::Sha256(state) => {
                out.copy_from_slice(&state.clone().finalize());
                32
            }
            Hasher::Crc32(state) => {
                out[..4].copy_from_slice(&(!state).to_be_bytes());
                4
            }
        }
    }
}

/// Bytes of the state of [`pbkdf2`]: the last round's block and the key so far.
pub const PBKDF2_STATE: usize = 64;

/// PBKDF2 with HMAC-SHA-256, one block of it: `rounds` more of its rounds. The state is zeros at first; its second half is the key.
pub fn pbkdf2(password: &[u8], salt: &[u8], rounds: u32, state: &mut [u8; PBKDF2_STATE]) {
    // A key of any length is taken.
    let Ok(keyed) = Hmac::<Sha256>::new_from_slice(password) else { return };
    let (last, key) = state.split_at_mut(PBKDF2_STATE / 2);
    for _ in 0..rounds {
        let mut mac = keyed.clone();
        if last.iter().all(|&byte| byte == 0) {
            mac.update(salt);
            mac.update(&1u32.to_be_bytes());
        } else {
            mac.update(last);
        }
        last.copy_from_slice(&mac.finalize().into_bytes());
        for (key, byte) in key.iter_mut().zip(last.iter()) {
            *key ^= byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn digest(algorithm: Algorithm, pieces: &[&[u8]]) -> String {
        let mut hasher = Hasher::new(algorithm);
        pieces.iter().for_each(|piece| hasher.update(piece));
        let mut out = [0; DIGEST_MAX];
        let length = hasher.finish(&mut out);
        hex(&out[..length])
    }

    #[test]
    fn digests_are_those_of_the_standards() {
        assert_eq!(
            digest(Algorithm::Sha256, &[b"a", b"bc"]),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(digest(Algorithm::Sha256, &[]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(digest(Algorithm::Crc32, &[b"12345", b"6789"]), "cbf43926");
        assert_eq!(digest(Algorithm::Crc32, &[]), "00000000");
    }

    fn key(password: &[u8], salt: &[u8], steps: &[u32]) -> String {
        let mut state = [0; PBKDF2_STATE];
        steps.iter().for_each(|&rounds| pbkdf2(password, salt, rounds, &mut state));
        hex(&state[PBKDF2_STATE / 2..])
    }

    #[test]
    fn keys_are_those_of_rfc_7914() {
        // Its appendix 11 has these, of 64 bytes, of which this is the first block.
        assert_eq!(key(b"passwd", b"salt", &[1]), "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
        assert_eq!(
            key(b"Password", b"NaCl", &[1, 30000, 49999]),
            "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
        );
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0..300usize) {
            let (first, second) = bytes.split_at(at.min(bytes.len()));
            for algorithm in [Algorithm::Sha256, Algorithm::Crc32] {
                prop_assert_eq!(digest(algorithm, &[first, second]), digest(algorithm, &[&bytes]));
            }
        }
    }
}
