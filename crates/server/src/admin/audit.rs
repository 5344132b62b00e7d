//! The audit log, newest first.

use std::sync::Arc;

use axum::extract::State;
use ostracon_proto::{
    query::Limit,
    rest::admin::{Audit, AuditItem},
};

use super::jobs::NUMBER_MAX;
use crate::{
    app::App,
    error::ApiResult,
    extract::{Operator, QueryText},
    respond::ok,
};

const LIMIT: Limit = Limit { default: 50, max: 1_000 };

pub(crate) async fn list(State(app): State<Arc<App>>, _: Operator, query: QueryText) -> ApiResult {
    let query = query.get();
    let limit = query.limit(LIMIT)?;
    let after = query.number("after")?.map(|after| after.min(NUMBER_MAX));
    let rows = app.directory.audit(after, limit).await?;
    let next = rows.last().map(|row| row.id).filter(|_| rows.len() == limit as usize);
    let entries = rows.into_iter().map(|row| AuditItem {
        audit_id: row.id,
        at: row.entry.at,
        who: row.entry.who,
        from: row.entry.from,
        action: row.entry.action,
        target: row.entry.target,
        detail: row.entry.detail,
    });
    Ok(ok(&Audit { entries: entries.collect(), next }))
}
