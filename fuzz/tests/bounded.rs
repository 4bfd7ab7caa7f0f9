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
fn mutate(rng: &mut ChaCha8Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let pick = |rng: &mut ChaCha8Rng, length: usize| rng.random_range(0..length.max(1) as u64) as usize;
    let mut bytes = corpus[pick(rng, corpus.len())].clone();
    for _ in 0..=pick(rng, 4) {
        let at = pick(rng, bytes.len());
        match rng.random_range(0..4) {
            0 if !bytes.is_empty() => bytes[at] = rng.random(),
            1 if !bytes.is_empty() => bytes[at] ^= 1 << rng.random_range(0..8),
            2 => drop(bytes.drain(at..(at + pick(rng, 8)).min(bytes.len()))),
            _ => {
                let other = &corpus[pick(rng, corpus.len())];
                let from = pick(rng, other.len());
                let excerpt = other[from..(from + pick(rng, 40)).min(other.len())].to_vec();
                bytes.splice(at.min(bytes.len())..at.min(bytes.len()), excerpt);
            }
        }
    }
    bytes
}

fn check_target(target: &str, mutations: u64, check: fn(&[u8])) {
    let corpus = corpus(target);
    assert!(!corpus.is_empty(), "{target} has a corpus");
    corpus.iter().for_each(|bytes| check(bytes));
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for _ in 0..mutations {
        check(&mutate(&mut rng, &corpus));
    }
}

#[test]
fn scenarios() {
    check_target("scenario", 5_000, dmos_fuzz::scenario);
}

#[test]
fn logs() {
    check_target("log", 20_000, dmos_fuzz::log);
}

#[test]
fn messages() {
    check_target("messages", 20_000, dmos_fuzz::messages);
}
