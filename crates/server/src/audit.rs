//! Writes down what operators do. It never refuses what was done already: an entry that cannot be written is logged.

use ostracon_store::directory::AuditEntry;

use crate::{app::App, extract::Operator};

/// Who an operator is, for people.
pub(crate) async fn who(app: &App, operator: Operator) -> String {
    match operator {
        Operator::Local => "local socket".to_owned(),
        Operator::Account(id, _) => {
            let known = app.directory.users(&[id]).await.ok().and_then(|mut users| users.pop());
            let name = known.and_then(|user| user.username.or(user.external_id));
            name.map_or_else(|| format!("user {id}"), |name| format!("{name} (user {id})"))
        }
    }
}

/// Adds an entry: `action` is one word like a command's name, `target` what it was done to, `detail` the rest.
pub(crate) async fn record(
    app: &App,
    operator: Operator,
    action: &str,
    target: impl Into<String>,
    detail: impl Into<String>,
) {
    let from = match operator {
        Operator::Local => "admin.sock".to_owned(),
        Operator::Account(_, address) => address.to_string(),
    };
    let entry = AuditEntry {
        at: app.clock.now(),
        who: who(app, operator).await,
        from,
        action: action.to_owned(),
        target: target.into(),
        detail: detail.into(),
    };
    let said = format!("{} {} by {} from {}", entry.action, entry.target, entry.who, entry.from);
    match app.directory.record(entry).await {
        Ok(_) => tracing::info!("{said}"),
        Err(error) => tracing::error!(%error, "not in the audit log: {said}"),
    }
}
