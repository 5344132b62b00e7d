//! Stories about the journal on a disk that fails. "Acked" below means: the append was answered.

mod disk;
mod failure;
mod fuzzing;
mod model;
mod recovery;
mod repair;
mod segments;

use super::{fault::FaultFs, *};

const STORE: StoreId = StoreId(*b"test data dir 01");
/// Where the frames begin in a file.
const DATA: usize = super::header::HEADER_BYTES as usize;

fn small() -> Options {
    Options {
        segment_bytes: 16 << 10,
        chunk_bytes: 4 << 10,
        prepare_ahead: false,
        ..Options::new(STORE)
    }
}

fn open(disk: &FaultFs) -> Journal {
    Journal::open(disk.as_fs(), small()).unwrap().0
}

fn put(journal: &Journal, payload: &[u8]) -> Position {
    journal.append(7, payload.to_vec()).wait().unwrap()
}

/// Everything in the log, by looking only.
fn payloads(disk: &FaultFs) -> Vec<Vec<u8>> {
    let found = inspect(disk.as_fs(), small()).unwrap();
    collect(found.frames(found.recovered().oldest).unwrap()).into_iter().map(|(_, p)| p).collect()
}

fn collect(mut frames: Frames) -> Vec<(Position, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some(frame) = frames.next_frame().unwrap() {
        all.push((frame.position, frame.payload.to_vec()));
    }
    all
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn damage(disk: &FaultFs) -> Damage {
    match inspect(disk.as_fs(), small()) {
        Err(OpenError::Corrupt(damage)) => damage,
        other => panic!("not refused as damaged: {:?}", other.map(|found| found.recovered())),
    }
}

fn texts(list: &[&str]) -> Vec<Vec<u8>> {
    list.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The file written last.
fn newest(disk: &FaultFs) -> String {
    disk.names().pop().unwrap()
}
