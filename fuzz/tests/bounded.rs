//! Every target on its corpus and on a bounded number of mutations of it.

use std::fs;
use std::path::Path;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut paths: Vec<_> = files.map(|file| file.expect("a directory entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a file")).collect()
}

/// Changes some bytes, removes some, and inserts some of another input.
fn mutate(dice: &mut ChaCha8Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let pick = |dice: &mut ChaCha8Rng, length: usize| dice.random_range(0..length.max(1) as u64) as usize;
    let mut bytes = corpus[pick(dice, corpus.len())].clone();
    for _ in 0..=pick(dice, 4) {
        let at = pick(dice, bytes.len());
        match dice.random_range(0..4) {
            0 if !bytes.is_empty() => bytes[at] = dice.random(),
            1 if !bytes.is_empty() => bytes[at] ^= 1 << dice.random_range(0..8),
            2 => drop(bytes.drain(at..(at + pick(dice, 8)).min(bytes.len()))),
            _ => {
                let other = &corpus[pick(dice, corpus.len())];
                let from = pick(dice, other.len());
                let piece = other[from..(from + pick(dice, 40)).min(other.len())].to_vec();
                bytes.splice(at.min(bytes.len())..at.min(bytes.len()), piece);
            }
        }
    }
    bytes
}

fn bear(target: &str, mutations: u64, check: fn(&[u8])) {
    let corpus = corpus(target);
    assert!(!corpus.is_empty(), "{target} has a corpus");
    corpus.iter().for_each(|bytes| check(bytes));
    let mut dice = ChaCha8Rng::seed_from_u64(7);
    for _ in 0..mutations {
        check(&mutate(&mut dice, &corpus));
    }
}

#[test]
fn scenarios() {
    bear("scenario", 5_000, dmos_fuzz::scenario);
}

#[test]
fn logs() {
    bear("log", 20_000, dmos_fuzz::log);
}

#[test]
fn messages() {
    bear("messages", 20_000, dmos_fuzz::messages);
}
