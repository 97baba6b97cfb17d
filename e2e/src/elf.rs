//! Reads of a program's head whether it is what an image with nothing else in it can run.

use crate::static_build::Arch;
use anyhow::{Context as _, Result, ensure};

/// What each begins with; 64 bits, little-endian.
const MAGIC: &[u8] = b"\x7fELF\x02\x01";
/// Where the head says for which machine it is.
const MACHINE: usize = 18;
/// Where its table of segments is.
const TABLE: usize = 32;
/// How long an entry of the table is.
const ENTRY_BYTES: usize = 54;
/// How many there are.
const ENTRIES: usize = 56;
/// A segment that names the loader which has to find libraries.
const INTERPRETER: u64 = 3;

/// An error unless it is a program for this architecture that asks for no loader.
pub(crate) fn check_static(program: &[u8], arch: Arch) -> Result<()> {
    ensure!(program.starts_with(MAGIC), "it is no program of 64 bits");
    let machine = match arch {
        Arch::Amd64 => 62,
        Arch::Arm64 => 183,
    };
    let found = number(program, MACHINE, 2)?;
    ensure!(found == machine, "it is for machine {found}, and {} is {machine}", arch.name());
    let table = usize::try_from(number(program, TABLE, 8)?)?;
    let bytes = usize::try_from(number(program, ENTRY_BYTES, 2)?)?;
    for entry in 0..usize::try_from(number(program, ENTRIES, 2)?)? {
        let kind = number(program, table + entry * bytes, 4)?;
        ensure!(kind != INTERPRETER, "it is not static: it asks for a loader");
    }
    Ok(())
}

fn number(program: &[u8], at: usize, bytes: usize) -> Result<u64> {
    let field = program.get(at..at + bytes).context("it is cut off")?;
    Ok(field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head with segments of these kinds.
    fn program(machine: u8, kinds: &[u8]) -> Vec<u8> {
        const HEAD: usize = 64;
        const SEGMENT: usize = 56;
        let mut bytes = vec![0; HEAD + kinds.len() * SEGMENT];
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        (bytes[MACHINE], bytes[TABLE], bytes[ENTRY_BYTES]) = (machine, HEAD as u8, SEGMENT as u8);
        bytes[ENTRIES] = kinds.len() as u8;
        for (index, kind) in kinds.iter().enumerate() {
            bytes[HEAD + index * SEGMENT] = *kind;
        }
        bytes
    }

    #[test]
    fn only_a_static_program_of_the_architecture_will_do() {
        let error = |bytes: &[u8], arch| check_static(bytes, arch).unwrap_err().to_string();
        check_static(&program(183, &[1, 2, 1]), Arch::Arm64).unwrap();
        check_static(&program(62, &[1]), Arch::Amd64).unwrap();
        assert!(error(&program(62, &[1]), Arch::Arm64).contains("machine 62"));
        assert!(error(&program(183, &[1, 3, 2]), Arch::Arm64).contains("not static"));
        assert!(error(&program(183, &[1, 2])[..100], Arch::Arm64).contains("cut off"));
        assert!(error(b"#!/bin/sh", Arch::Arm64).contains("no program"));
    }

    #[test]
    fn a_program_with_libraries_is_told_apart() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let error = check_static(&own, Arch::here().unwrap()).unwrap_err().to_string();
        assert!(error.contains("not static"), "{error}");
    }
}
