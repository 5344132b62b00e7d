//! What stands in a frame of the journal: a byte for its kind, then its body. A byte is never reused.

use ostracon_domain::{Epoch, Row, UnitId};
use ostracon_store::{Pair, UnitState, record};

use crate::tables::{phase_byte, phase_of};

/// Rows that a batch changed; a dispatcher passes them on.
const BATCH: u8 = 1;
/// New states of units, each: unit, epoch, phase, incarnation, lease, step; big-endian.
const UNITS: u8 = 2;
/// Rows that came from another shard; nobody is told of them.
const IMPORTED: u8 = 3;
/// How many states of units, 4 bytes, these states, and rows that carry another unit now: all or nothing.
const RELABELLED: u8 = 4;

const UNIT_BYTES: usize = 37;

/// A frame's body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// Rows that a batch changed.
    Batch(Vec<Row>),
    /// New states of units.
    Units(Vec<UnitState>),
    /// Rows that came from another shard.
    Imported(Vec<Row>),
    /// Rows that carry another unit now, with the states of these units.
    Relabelled(Vec<Row>, Vec<UnitState>),
}

/// The frame is none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of the journal holds something unknown")]
pub(crate) struct UnknownPayload;

/// The frame of the rows that a batch changed, every step of them: a dispatcher repeats it as it was.
pub(crate) fn batch<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<u8> {
    frame(BATCH, rows)
}

/// The frame of imported rows.
pub(crate) fn imported(rows: &[Row]) -> Vec<u8> {
    frame(IMPORTED, rows.iter())
}

fn frame<'a>(kind: u8, rows: impl Iterator<Item = &'a Row>) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 << 10);
    out.push(kind);
    for row in rows {
        record::encode(row, &mut out);
    }
    out
}

/// The frame of units' states.
pub(crate) fn units(states: &[UnitState]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + states.len() * UNIT_BYTES);
    out.push(UNITS);
    put_units(states, &mut out);
    out
}

/// The frame of rows that carry another unit now.
pub(crate) fn relabelled(rows: &[Row], states: &[UnitState]) -> Vec<u8> {
    let mut out = vec![RELABELLED];
    let count = u32::try_from(states.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&count.to_be_bytes());
    put_units(states, &mut out);
    for row in rows {
        record::encode(row, &mut out);
    }
    out
}

fn put_units(states: &[UnitState], out: &mut Vec<u8>) {
    for state in states {
        out.extend_from_slice(&state.unit.0.to_be_bytes());
        out.extend_from_slice(&state.epoch.0.to_be_bytes());
        out.push(phase_byte(state.phase));
        for number in [state.incarnation, state.pair.lease, state.pair.step] {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

/// Whether a dispatcher passes it on.
pub(crate) fn is_batch(frame: &[u8]) -> bool {
    frame.first() == Some(&BATCH)
}

/// Reads a frame.
pub(crate) fn decode(frame: &[u8]) -> Result<Payload, UnknownPayload> {
    let (kind, body) = frame.split_first().ok_or(UnknownPayload)?;
    match *kind {
        BATCH => record::decode_all(body).map(Payload::Batch).map_err(|_| UnknownPayload),
        IMPORTED => record::decode_all(body).map(Payload::Imported).map_err(|_| UnknownPayload),
        UNITS => decode_units(body).map(Payload::Units).ok_or(UnknownPayload),
        RELABELLED => {
            let (count, body) = body.split_first_chunk().ok_or(UnknownPayload)?;
            let bytes = usize::try_from(u32::from_be_bytes(*count))
                .ok()
                .and_then(|count| count.checked_mul(UNIT_BYTES))
                .ok_or(UnknownPayload)?;
            let (states, rows) = body.split_at_checked(bytes).ok_or(UnknownPayload)?;
            let states = decode_units(states).ok_or(UnknownPayload)?;
            let rows = record::decode_all(rows).map_err(|_| UnknownPayload)?;
            Ok(Payload::Relabelled(rows, states))
        }
        _ => Err(UnknownPayload),
    }
}

fn decode_units(body: &[u8]) -> Option<Vec<UnitState>> {
    let whole = body.len().is_multiple_of(UNIT_BYTES);
    let states = || body.chunks_exact(UNIT_BYTES).map(decode_unit).collect();
    whole.then(states)?
}

fn decode_unit(body: &[u8]) -> Option<UnitState> {
    let wide = |at: usize| {
        let bytes = body.get(at..at + 8)?.try_into().ok()?;
        Some(u64::from_be_bytes(bytes))
    };
    Some(UnitState {
        unit: UnitId(u32::from_be_bytes(body.get(..4)?.try_into().ok()?)),
        epoch: Epoch(wide(4)?),
        phase: phase_of(*body.get(12)?)?,
        incarnation: wide(13)?,
        pair: Pair { lease: wide(21)?, step: wide(29)? },
    })
}

#[cfg(test)]
mod tests {
    use ostracon_store::UnitPhase;

    use super::*;

    #[test]
    fn a_units_state_comes_back() {
        let state = UnitState {
            unit: UnitId(70_000),
            epoch: Epoch(3),
            phase: UnitPhase::Frozen,
            incarnation: 9,
            pair: Pair { lease: 1, step: 2 },
        };
        assert_eq!(decode(&units(&[state, state])), Ok(Payload::Units(vec![state; 2])));
        assert_eq!(
            decode(&relabelled(&[], &[state])),
            Ok(Payload::Relabelled(Vec::new(), vec![state]))
        );
        assert_eq!(decode(&relabelled(&[], &[state])[..20]), Err(UnknownPayload));
        assert_eq!(decode(&units(&[state])[..20]), Err(UnknownPayload));
        assert_eq!(decode(&[]), Err(UnknownPayload));
        assert_eq!(decode(&[77, 1]), Err(UnknownPayload));
    }
}
