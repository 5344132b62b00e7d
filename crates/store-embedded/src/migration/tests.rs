//! Files that are fresh, older, newer, foreign and garbage.

use std::{fs, path::PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;

use super::{MigrationError, migrate, peek};

const ID: i32 = 0x0571_0001;
const STEPS: &[&str] = &[
    "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1);",
    "CREATE TABLE b (x INTEGER) STRICT; INSERT INTO b SELECT x FROM a;",
];

fn path(dir: &TempDir) -> PathBuf {
    dir.path().join("t.db")
}

fn open(path: &PathBuf, steps: &[&str]) -> Result<Connection, MigrationError> {
    peek(path, ID, "t.db", steps)?;
    let mut conn = Connection::open(path).unwrap();
    migrate(&mut conn, ID, "t.db", steps)?;
    conn.pragma_update(None, "journal_mode", "wal").unwrap();
    Ok(conn)
}

fn files(dir: &TempDir) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_fresh_file_takes_all_steps_once() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&path(&dir), STEPS).unwrap());
    let conn = open(&path(&dir), STEPS).unwrap();
    let rows: i64 = conn.query_row("SELECT count(*) FROM b", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
}

#[test]
fn an_older_file_takes_what_is_missing_and_keeps_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let conn = open(&path(&dir), &STEPS[..1]).unwrap();
    conn.execute("INSERT INTO a VALUES (7)", []).unwrap();
    drop(conn);
    let conn = open(&path(&dir), STEPS).unwrap();
    let sum: i64 = conn.query_row("SELECT sum(x) FROM b", [], |row| row.get(0)).unwrap();
    assert_eq!(sum, 8);
}

#[test]
fn a_step_that_fails_leaves_nothing_of_itself() {
    let dir = tempfile::tempdir().unwrap();
    let broken =
        ["CREATE TABLE a (x INTEGER) STRICT;", "CREATE TABLE c (x INTEGER) STRICT; nonsense;"];
    let error = open(&path(&dir), &broken).unwrap_err();
    assert!(matches!(error, MigrationError::Sqlite { .. }), "{error}");
    let conn = open(&path(&dir), &broken[..1]).unwrap();
    let tables: i64 =
        conn.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 1);
}

#[test]
fn a_newer_file_is_refused_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&path(&dir), STEPS).unwrap());
    let before = files(&dir);
    let error = open(&path(&dir), &STEPS[..1]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "t.db has version 2, but this program knows versions up to 1 only: run the newer program that wrote it; nothing in it was changed"
    );
    assert_eq!(files(&dir), before);
}

#[test]
fn a_newer_version_that_is_still_in_the_log_is_refused_and_the_log_stays() {
    let dir = tempfile::tempdir().unwrap();
    let conn = open(&path(&dir), &STEPS[..1]).unwrap();
    drop(conn);
    let mut crashed = open(&path(&dir), &STEPS[..1]).unwrap();
    migrate(&mut crashed, ID, "t.db", STEPS).unwrap();
    let copy = tempfile::tempdir().unwrap();
    for name in ["t.db", "t.db-wal"] {
        fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
    }
    let read = || {
        (
            fs::read(copy.path().join("t.db")).unwrap(),
            fs::read(copy.path().join("t.db-wal")).unwrap(),
        )
    };
    let before = read();
    let error = open(&path(&copy), &STEPS[..1]).unwrap_err();
    assert!(matches!(error, MigrationError::Newer { found: 2, known: 1, .. }), "{error}");
    assert_eq!(read(), before);
}

#[test]
fn foreign_files_are_refused_unchanged() {
    let foreign_id = "PRAGMA application_id = 77; CREATE TABLE theirs (x);";
    let no_id = "CREATE TABLE theirs (x);";
    for script in [foreign_id, no_id] {
        let dir = tempfile::tempdir().unwrap();
        let conn = Connection::open(path(&dir)).unwrap();
        conn.execute_batch(script).unwrap();
        drop(conn);
        let before = files(&dir);
        let error = open(&path(&dir), STEPS).unwrap_err();
        assert!(matches!(error, MigrationError::Foreign { .. }), "{error}");
        assert_eq!(files(&dir), before);
    }
}

#[test]
fn garbage_is_refused_unchanged() {
    for garbage in [&b"hello"[..], &[0x5a; 9000], &b"SQLite format 3\0"[..]] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(path(&dir), garbage).unwrap();
        let before = files(&dir);
        let error = open(&path(&dir), STEPS).unwrap_err();
        assert!(matches!(error, MigrationError::Foreign { .. }), "{error}");
        assert_eq!(files(&dir), before);
        // The same without the look at the first bytes.
        let mut conn = Connection::open(path(&dir)).unwrap();
        assert!(migrate(&mut conn, ID, "t.db", STEPS).is_err());
        drop(conn);
        assert_eq!(files(&dir), before);
    }
}
