//! All routes in one place. A test holds them against the table in `proto`.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::Response,
    routing::{delete, get, patch, post, put},
};

use crate::{
    admin,
    app::App,
    error::ApiError,
    extract::Operator,
    health,
    routes::{
        auth, conversations, dialogs, edits, inbox, invites, live, media, members, messages,
        operator, pins, push, replies, search, sync, tus, users,
    },
    socket,
};

/// What everybody can reach.
pub(crate) fn public(app: Arc<App>, with_operators: bool) -> Router {
    let mut router = Router::new()
        .route("/api/v1/auth/register", post(auth::register))
        .route("/api/v1/auth/login", post(auth::login))
        .route("/api/v1/auth/logout", post(auth::logout))
        .route("/api/v1/auth/sessions", get(auth::sessions).delete(auth::revoke_others))
        .route("/api/v1/auth/sessions/{session_id}", delete(auth::revoke))
        .route("/api/v1/auth/ticket", post(auth::ticket))
        .route("/api/v1/me", get(users::me).patch(users::edit_me))
        .route("/api/v1/users", get(users::find))
        .route("/api/v1/users/{user_id}", get(users::profile))
        .route("/api/v1/users/lookup", post(users::lookup))
        .route("/api/v1/presence", get(live::presence))
        .route("/api/v1/dialog/{user_id}/send", post(dialogs::send))
        .route("/api/v1/dialog/{user_id}/list", get(dialogs::list))
        .route("/api/v1/conversations", get(conversations::list).post(conversations::create))
        .route("/api/v1/conversations/unread", get(conversations::unread))
        .route(
            "/api/v1/conversations/{conversation_id}",
            get(conversations::entry).patch(conversations::edit).delete(conversations::remove),
        )
        .route("/api/v1/conversations/{conversation_id}/inbox", patch(inbox::edit))
        .route(
            "/api/v1/conversations/{conversation_id}/messages",
            get(messages::page).post(messages::send),
        )
        .route(
            "/api/v1/conversations/{conversation_id}/messages/{seq}",
            patch(messages::edit).delete(messages::remove),
        )
        .route("/api/v1/conversations/{conversation_id}/messages/{seq}/edits", get(edits::list))
        .route("/api/v1/conversations/{conversation_id}/messages/{seq}/replies", get(replies::list))
        .route("/api/v1/conversations/{conversation_id}/messages/{seq}/seen", get(live::seen_by))
        .route(
            "/api/v1/conversations/{conversation_id}/messages/{seq}/reactions/{emoji}",
            put(messages::react).delete(messages::unreact),
        )
        .route("/api/v1/conversations/{conversation_id}/pins", get(pins::list))
        .route(
            "/api/v1/conversations/{conversation_id}/pins/{seq}",
            put(pins::pin).delete(pins::unpin),
        )
        .route("/api/v1/conversations/{conversation_id}/read", post(messages::mark_read))
        .route("/api/v1/conversations/{conversation_id}/delivered", post(messages::mark_delivered))
        .route(
            "/api/v1/conversations/{conversation_id}/members",
            get(members::list).post(members::add),
        )
        .route(
            "/api/v1/conversations/{conversation_id}/members/{user_id}",
            patch(members::edit).delete(members::remove),
        )
        .route(
            "/api/v1/conversations/{conversation_id}/invites",
            get(invites::list).post(invites::create),
        )
        .route(
            "/api/v1/conversations/{conversation_id}/invites/{invite_id}",
            delete(invites::revoke),
        )
        .route(
            "/api/v1/conversations/{conversation_id}/bans",
            get(invites::bans).post(invites::ban),
        )
        .route("/api/v1/conversations/{conversation_id}/bans/{user_id}", delete(invites::unban))
        .route("/api/v1/join/{token}", get(invites::look).post(invites::join))
        .route("/api/v1/conversations/{conversation_id}/changes", get(sync::changes))
        .route("/api/v1/search", get(search::messages))
        .route("/api/v1/search/conversations", get(search::conversations))
        .route("/api/v1/media/upload", post(media::upload))
        .route("/api/v1/media/uploads", post(tus::create).options(tus::abilities))
        .route(
            "/api/v1/media/uploads/{upload_id}",
            patch(tus::append).head(tus::head).delete(tus::remove).options(tus::abilities),
        )
        .route("/api/v1/media/{media_id}", get(media::show))
        .route("/api/v1/media/file/{media_id}", get(media::file))
        .route("/api/v1/media/thumbnail/{media_id}", get(media::thumbnail))
        .route("/api/v1/push/vapid-key", get(push::vapid_key))
        .route("/api/v1/push/subscriptions", get(push::list).post(push::subscribe))
        .route(
            "/api/v1/push/subscriptions/{subscription_id}",
            patch(push::edit).delete(push::unsubscribe),
        )
        .route("/api/v1/push/settings", get(push::settings).patch(push::edit_settings))
        .route("/api/v1/sync", get(sync::sync))
        .route("/api/v1/ws", get(socket::open));
    if with_operators {
        router = router.merge(operator_routes().route("/metrics", get(metrics_for_operators)));
    }
    finish(router.merge(common_routes()), app)
}

/// What operators can reach: over the socket in the data directory, and at an address of their own.
pub(crate) fn operators(app: Arc<App>) -> Router {
    let router = operator_routes().route("/metrics", get(metrics));
    finish(router.merge(common_routes()), app)
}

fn operator_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/admin/status", get(admin::status::status))
        .route("/api/v1/admin/sharding", get(admin::sharding::sharding))
        .route("/api/v1/admin/messages", get(admin::messages::messages))
        .route("/api/v1/admin/deleted", get(admin::deleted::list))
        .route("/api/v1/admin/users", get(admin::users::list).post(admin::users::create))
        .route("/api/v1/admin/users/{user}/password", post(admin::users::password))
        .route("/api/v1/admin/users/{user}/role", post(admin::users::role))
        .route("/api/v1/admin/users/{user}/token", post(admin::users::token))
        .route("/api/v1/admin/users/{user}/activate", post(admin::users::activate))
        .route("/api/v1/admin/users/{user}/deactivate", post(admin::users::deactivate))
        .route("/api/v1/admin/invites", get(admin::invites::list).post(admin::invites::create))
        .route("/api/v1/admin/invites/{invite}", delete(admin::invites::revoke))
        .route("/api/v1/admin/push", get(admin::push::status))
        .route("/api/v1/admin/push/dead", get(admin::push::dead))
        .route("/api/v1/admin/push/replay", post(admin::push::replay))
        .route("/api/v1/admin/push/test", post(admin::push::test))
        .route("/api/v1/admin/backup", post(admin::backup::backup))
        .route("/api/v1/admin/stop", post(admin::status::stop))
        .route("/api/v1/admin/verify", post(crate::verify::run))
        .route("/api/v1/admin/doctor", post(crate::doctor::run))
        .route("/api/v1/admin/search", get(admin::search::list).post(admin::search::again))
        .route("/api/v1/admin/audit", get(admin::audit::list))
        .route("/api/v1/admin/shards", get(admin::shards::list).post(admin::shards::add))
        .route("/api/v1/admin/shards/plan", post(admin::plan::plan))
        .route("/api/v1/admin/shards/move", post(admin::plan::move_units))
        .route("/api/v1/admin/shards/hot", get(admin::hot::hot))
        .route("/api/v1/admin/shards/overrides", get(admin::shards::overrides))
        .route(
            "/api/v1/admin/shards/garbage",
            get(admin::shards::garbage).post(admin::shards::collect),
        )
        .route("/api/v1/admin/shards/jobs", get(admin::jobs::list))
        .route("/api/v1/admin/shards/jobs/{job_id}", get(admin::jobs::show))
        .route("/api/v1/admin/shards/jobs/{job_id}/apply", post(admin::jobs::apply))
        .route("/api/v1/admin/shards/jobs/{job_id}/pause", post(admin::jobs::pause))
        .route("/api/v1/admin/shards/jobs/{job_id}/resume", post(admin::jobs::resume))
        .route("/api/v1/admin/shards/jobs/{job_id}/abort", post(admin::jobs::abort))
        .route("/api/v1/admin/shards/jobs/{job_id}/undo", post(admin::jobs::undo))
        .route("/api/v1/admin/shards/{shard_id}", delete(admin::shards::remove))
        .route("/api/v1/admin/shards/{shard_id}/drain", post(admin::plan::drain))
        .route("/api/v1/admin/shards/{shard_id}/accept", post(admin::shards::accept))
}

fn common_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/openapi.json", get(operator::openapi))
}

fn finish(router: Router<Arc<App>>, app: Arc<App>) -> Router {
    router.fallback(no_such_call).method_not_allowed_fallback(no_such_method).with_state(app)
}

fn no_such_call() -> std::future::Ready<ApiError> {
    let error = ApiError::new(ostracon_proto::ErrorCode::NotFound, "No such call.");
    std::future::ready(error)
}

fn no_such_method() -> std::future::Ready<ApiError> {
    std::future::ready(ApiError::no_such_method())
}

/// Beside other calls: only with the admin role.
fn metrics_for_operators(_: Operator, state: State<Arc<App>>) -> std::future::Ready<Response> {
    metrics(state)
}

fn metrics(State(app): State<Arc<App>>) -> std::future::Ready<Response> {
    std::future::ready(app.metrics.render(&app))
}
