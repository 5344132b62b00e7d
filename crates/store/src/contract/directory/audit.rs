//! Stories of the audit log.
#![expect(clippy::unwrap_used, reason = "the stories are tests")]

use super::{Fixture, stage::together};
use crate::directory::{AuditEntry, AuditRow};

fn entry(n: i64) -> AuditEntry {
    AuditEntry {
        at: n,
        who: format!("operator {n}"),
        from: "127.0.0.1".to_owned(),
        action: "shards.move".to_owned(),
        target: format!("slot {n}"),
        detail: r#"{"to":1}"#.to_owned(),
    }
}

/// Every entry stays, with a rising number; newest first, page by page.
pub async fn the_audit_log_keeps_everything(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    assert_eq!(d.audit(None, 10).await.unwrap(), []);
    let mut rows = Vec::new();
    for n in 0..5 {
        rows.insert(0, AuditRow { id: d.record(entry(n)).await.unwrap(), entry: entry(n) });
    }
    assert!(rows.iter().rev().is_sorted_by_key(|row| row.id));
    let d = fixture.reopened(d).await;
    assert_eq!(d.audit(None, 10).await.unwrap(), rows);
    assert_eq!(d.audit(None, 2).await.unwrap(), rows[..2]);
    assert_eq!(d.audit(Some(rows[1].id), 2).await.unwrap(), rows[2..4]);
    assert_eq!(d.audit(Some(rows[4].id), 2).await.unwrap(), []);
    let ids = together((5..25).map(|n| d.record(entry(n)))).await;
    let ids: std::collections::BTreeSet<_> = ids.into_iter().map(Result::unwrap).collect();
    assert_eq!(ids.len(), 20);
    assert!(ids.into_iter().all(|id| id > rows[0].id));
    assert_eq!(d.audit(None, 100).await.unwrap().len(), 25);
}
