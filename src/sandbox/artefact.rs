//! The guest in this binary, as `sandbox/build.sh` made it.

use std::sync::LazyLock;

use super::SandboxError;
use crate::domain::sha256_hex;

const MODULE: &[u8] = include_bytes!("../../sandbox/python.wasm.zst");
const IMAGE: &[u8] = include_bytes!("../../sandbox/python.img.zst");
/// What the recipe wrote down about both, as `sha256sum` prints.
const SUMS: &str = include_str!("../../sandbox/SHA256SUMS");

/// A part of the guest.
#[derive(Clone, Copy, Debug)]
pub enum Artefact {
    /// CPython's code: a wasm module without imports and without data.
    Module,
    /// Its memory after boot, from byte 0 on, in whole pages of 64 KiB.
    Image,
}

impl Artefact {
    fn parts(self) -> (&'static [u8], &'static str) {
        match self {
            Self::Module => (MODULE, "python.wasm"),
            Self::Image => (IMAGE, "python.img"),
        }
    }
}

/// Names the interpreter: hex SHA-256 of the sums of module and memory, which the recipe reproduces.
pub fn interpreter() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| {
        let sums = [Artefact::Module, Artefact::Image].map(|part| sum_of(part.parts().1));
        sha256_hex(sums.join("\n"))
    });
    &NAME
}

/// Checks that the guest in this binary is the one that `SHA256SUMS` names.
pub fn verify() -> Result<(), SandboxError> {
    for artefact in [Artefact::Module, Artefact::Image] {
        let (bytes, name) = artefact.parts();
        let (actual, recorded) = (sha256_hex(bytes), sum_of(&format!("{name}.zst")));
        if actual != recorded {
            return Err(SandboxError::Guest(format!(
                "the SHA-256 of {name}.zst is {actual}, and SHA256SUMS says {recorded}"
            )));
        }
    }
    Ok(())
}

/// Whether this is the sum of the memory, by `SHA256SUMS`.
pub fn is_image(sum: &str) -> bool {
    sum == sum_of(Artefact::Image.parts().1)
}

/// The part, decompressed.
pub fn decompress(artefact: Artefact) -> Result<Vec<u8>, SandboxError> {
    zstd::decode_all(artefact.parts().0).map_err(|error| SandboxError::Guest(error.to_string()))
}

/// The sum of the file `name`; empty if there is none.
fn sum_of(name: &str) -> &'static str {
    let sums = SUMS.lines().filter_map(|line| line.split_once("  "));
    let mut named = sums.filter(|(_, file)| *file == name);
    named.next().map_or("", |(sum, _)| sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_is_what_the_recipe_recorded() {
        verify().unwrap();
        for artefact in [Artefact::Module, Artefact::Image] {
            let bytes = decompress(artefact).unwrap();
            let name = artefact.parts().1;
            assert_eq!(sha256_hex(bytes), sum_of(name), "{name}");
        }
        assert_eq!(interpreter().len(), 64);
    }
}
