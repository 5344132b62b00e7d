//! `user`: accounts of a running server, one or many.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use ostracon_client::{Api, api::Query};
use ostracon_server::admin::types::{
    CreateUsers, CreatedUsers, NewPassword, NewToken, NewUser, Role, SetPassword, SetRole, Token,
    User as Account, Users,
};
use serde::{Serialize, de::DeserializeOwned};

use super::invite::Invite;
use crate::{output, password, progress::Progress, reach::Reach};

const USERS: &str = "/api/v1/admin/users";
/// Accounts created by one request.
const AT_ONCE: usize = 1_000;

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Create one, or many with --count or --file
    Add(Add),
    /// List them
    List(List),
    /// Set a password; open sessions of that user end
    Passwd(Passwd),
    /// Make somebody an admin, or no longer
    Role(SetsRole),
    /// Sign a device in and print its token
    Token(GetsToken),
    /// Put an account out of use: its sessions end, nobody signs in to it; what it said stays
    Deactivate(Named),
    /// Let an account be used again
    Activate(Named),
    /// Codes with which people sign up where not everybody may
    #[command(subcommand)]
    Invite(Invite),
}

/// Accounts to create.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Name to sign in with
    #[arg(required_unless_present_any = ["count", "file", "external_id"])]
    name: Option<String>,
    /// Create so many, with numbered names and no passwords
    #[arg(long, value_name = "N", conflicts_with_all = ["name", "file"])]
    count: Option<u32>,
    /// What numbered names begin with
    #[arg(long, default_value = "user", requires = "count")]
    prefix: String,
    /// Create one for each line of a file, without passwords; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "name")]
    file: Option<PathBuf>,
    /// Give the account no password: it signs in with tokens only
    #[arg(long, conflicts_with = "generate")]
    no_password: bool,
    /// Make a password up and print it once
    #[arg(long, requires = "name")]
    generate: bool,
    /// Name to show
    #[arg(long, value_name = "NAME", conflicts_with_all = ["count", "file"])]
    display_name: Option<String>,
    /// Id of this user in an existing system; one without a name signs in with that system's tokens
    #[arg(long, value_name = "ID", conflicts_with_all = ["count", "file"])]
    external_id: Option<String>,
    /// Create admins
    #[arg(long)]
    admin: bool,
    /// Print a token for each
    #[arg(long)]
    token: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Accounts to list.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those whose name begins so
    #[arg(long, default_value = "")]
    query: String,
    #[command(flatten)]
    reach: Reach,
}

/// A password to set; it is asked for, or read from standard input.
#[derive(Debug, Args)]
pub(crate) struct Passwd {
    /// Name, number or ext:ID
    user: String,
    /// Make it up and print it once
    #[arg(long)]
    generate: bool,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleName {
    User,
    Admin,
}

/// A role to set.
#[derive(Debug, Args)]
pub(crate) struct SetsRole {
    /// Name, number or ext:ID
    user: String,
    /// The new role
    role: RoleName,
    #[command(flatten)]
    reach: Reach,
}

/// A device to sign in.
#[derive(Debug, Args)]
pub(crate) struct GetsToken {
    /// Name, number or ext:ID
    user: String,
    /// What the list of sessions calls it
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    #[command(flatten)]
    reach: Reach,
}

/// An account.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Name, number or ext:ID
    user: String,
    #[command(flatten)]
    reach: Reach,
}

impl User {
    pub(crate) fn run(self, json: bool) -> Result<ExitCode> {
        super::small_runtime()?.block_on(async {
            match self {
                Self::Add(command) => command.run(json).await,
                Self::List(command) => command.run(json).await,
                Self::Passwd(command) => command.run(json).await,
                Self::Role(command) => command.run(json).await,
                Self::Token(command) => command.run(json).await,
                Self::Deactivate(command) => {
                    command.run(json, "deactivate", "is out of use now").await
                }
                Self::Activate(command) => command.run(json, "activate", "may be used again").await,
                Self::Invite(command) => command.run(json).await,
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Add {
    async fn run(self, json: bool) -> Result<()> {
        let api = self.reach.api().await?;
        let names = self.names()?;
        let mut made = Vec::with_capacity(names.len());
        let mut generated = None;
        let progress = Progress::new("creating users");
        let role = self.admin.then_some(Role::Admin);
        if self.name.is_some() || self.external_id.is_some() {
            let password = match (self.no_password || self.name.is_none(), self.generate) {
                (false, false) => Some(password::ask("Password: ", true)?),
                _ => None,
            };
            let user = NewUser {
                username: names.first().cloned(),
                password,
                display_name: self.display_name,
                external_id: self.external_id,
                role,
            };
            let body = CreateUsers { users: vec![user], ..CreateUsers::default() };
            made.extend(post::<_, CreatedUsers>(&api, USERS, &body).await?.users);
            if let (true, Some(user)) = (self.generate, made.first()) {
                let path = path(&user.user_id.to_string(), "password");
                let set: NewPassword = post(&api, &path, &SetPassword::default()).await?;
                generated = set.password;
            }
        } else {
            for portion in names.chunks(AT_ONCE) {
                let named = |name: &String| NewUser {
                    username: Some(name.clone()),
                    role,
                    ..NewUser::default()
                };
                let users = portion.iter().map(named).collect();
                let body = CreateUsers { users, ..CreateUsers::default() };
                made.extend(post::<_, CreatedUsers>(&api, USERS, &body).await?.users);
                progress.at(made.len() as u64, names.len() as u64, String::new());
            }
        }
        drop(progress);
        if json {
            let mut answer = serde_json::to_value(CreatedUsers { users: made })?;
            if let Some(password) = generated {
                answer["users"][0]["password"] = password.into();
            }
            return output::json(&answer);
        }
        if let Some(password) = generated {
            output::line(format!("Password: {password} (it is not shown again)."))?;
        }
        let rows = made.into_iter().map(|user| {
            let mut row = vec![user.user_id.to_string(), user.username.unwrap_or_default()];
            row.extend(self.token.then_some(user.token));
            row
        });
        let head: &[&str] = if self.token { &["id", "name", "token"] } else { &["id", "name"] };
        output::line(output::table(head, &[0], rows))
    }

    fn names(&self) -> Result<Vec<String>> {
        if let Some(count) = self.count {
            return Ok((1..=count).map(|n| format!("{}{n}", self.prefix)).collect());
        }
        let Some(path) = &self.file else {
            return Ok(self.name.clone().into_iter().collect());
        };
        let text = if path.as_os_str() == "-" {
            std::io::read_to_string(std::io::stdin())?
        } else {
            std::fs::read_to_string(path).with_context(|| path.display().to_string())?
        };
        let names = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let names: Vec<_> = names.map(str::to_owned).collect();
        ensure!(!names.is_empty(), "{} holds no name", path.display());
        Ok(names)
    }
}

impl List {
    async fn run(self, json: bool) -> Result<()> {
        let api = self.reach.api().await?;
        let mut users: Vec<Account> = Vec::new();
        let mut after = None;
        loop {
            let path = Query::new(USERS)
                .with("query", Some(&self.query))
                .with("after", after)
                .with("limit", Some(1_000));
            let answer = api.call(Method::GET, &path.finish(), None::<&()>).await?;
            let page: Users = answer.read()?;
            users.extend(page.users);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if json {
            return output::json(&serde_json::json!({ "users": users }));
        }
        let rows = users.into_iter().map(|user| {
            vec![
                user.user_id.to_string(),
                user.username.unwrap_or_default(),
                user.external_id.unwrap_or_default(),
                user.display_name,
                role_name(user.role).to_owned(),
                if user.active { "yes" } else { "no" }.to_owned(),
                output::time(user.created_at),
            ]
        });
        let head = ["id", "name", "external id", "shown as", "role", "active", "created (UTC)"];
        output::line(output::table(&head, &[0], rows))
    }
}

impl Passwd {
    async fn run(self, json: bool) -> Result<()> {
        let api = self.reach.api().await?;
        let password =
            if self.generate { None } else { Some(password::ask("New password: ", true)?) };
        let path = path(&self.user, "password");
        let set: NewPassword = post(&api, &path, &SetPassword { password }).await?;
        if json {
            return output::json(&set);
        }
        match set.password {
            Some(password) => {
                output::line(format!("Password: {password} (it is not shown again)."))
            }
            None => output::line("The password is set; open sessions have ended."),
        }
    }
}

impl SetsRole {
    async fn run(self, json: bool) -> Result<()> {
        let api = self.reach.api().await?;
        let role = match self.role {
            RoleName::User => Role::User,
            RoleName::Admin => Role::Admin,
        };
        let user: Account = post(&api, &path(&self.user, "role"), &SetRole { role }).await?;
        if json {
            return output::json(&user);
        }
        output::line(format!("User {} has the role {} now.", self.user, role_name(user.role)))
    }
}

impl GetsToken {
    async fn run(self, json: bool) -> Result<()> {
        let api = self.reach.api().await?;
        let body = NewToken { device_name: self.device };
        let token: Token = post(&api, &path(&self.user, "token"), &body).await?;
        if json {
            return output::json(&token);
        }
        output::line(token.token)
    }
}

impl Named {
    async fn run(self, json: bool, call: &str, told: &str) -> Result<()> {
        let api = self.reach.api().await?;
        let user: Account = post(&api, &path(&self.user, call), &serde_json::json!({})).await?;
        if json {
            return output::json(&user);
        }
        output::line(format!("The account {} {told}.", self.user))
    }
}

const fn role_name(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Admin => "admin",
    }
}

pub(super) async fn post<B: Serialize + Sync, T: DeserializeOwned>(
    api: &Api,
    path: &str,
    body: &B,
) -> Result<T> {
    match api.call(Method::POST, path, Some(body)).await {
        Ok(answer) => Ok(answer.read()?),
        Err(error) => match error.refused() {
            Some(refusal) => match refusal.details.get("field").and_then(|field| field.as_str()) {
                Some(field) => bail!("{field}: {}", refusal.message),
                None => bail!("{}", refusal.message),
            },
            None => Err(error.into()),
        },
    }
}

/// The path of a call on one user; the name is percent-encoded.
fn path(user: &str, call: &str) -> String {
    let mut path = format!("{USERS}/");
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("{path}/{call}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_safe_in_a_path() {
        assert_eq!(super::path("alice", "role"), "/api/v1/admin/users/alice/role");
        assert_eq!(super::path("ext:a/b é", "x"), "/api/v1/admin/users/ext%3Aa%2Fb%20%C3%A9/x");
    }
}
