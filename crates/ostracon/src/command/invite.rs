//! `user invite`: codes with which people sign up where not everybody may.

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use http::Method;
use ostracon_proto::ErrorCode;
use ostracon_server::admin::types::{Invites, MadeInvite, NewInvite};

use super::user::post;
use crate::{output, reach::Reach};

const INVITES: &str = "/api/v1/admin/invites";

/// What to do with invites.
#[derive(Debug, Subcommand)]
pub(crate) enum Invite {
    /// Make a code and print it once
    Create(Create),
    /// List those that can still be used
    List(Reach),
    /// End one
    Revoke(Revoke),
}

/// An invite to make.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// How many may sign up with it
    #[arg(long, default_value_t = 1)]
    uses: u32,
    /// For how many days; 0: until it is used up or revoked
    #[arg(long, default_value_t = 7)]
    days: u32,
    /// What it is for
    #[arg(long)]
    note: Option<String>,
    #[command(flatten)]
    reach: Reach,
}

/// An invite to end.
#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// Its number, as listed
    invite: u64,
    #[command(flatten)]
    reach: Reach,
}

impl Invite {
    pub(crate) async fn run(self, json: bool) -> Result<()> {
        match self {
            Self::Create(command) => command.run(json).await,
            Self::List(reach) => list(&reach, json).await,
            Self::Revoke(command) => command.run(json).await,
        }
    }
}

impl Create {
    async fn run(self, json: bool) -> Result<()> {
        let api = self.reach.api().await?;
        let body = NewInvite { uses: Some(self.uses), days: Some(self.days), note: self.note };
        let made: MadeInvite = post(&api, INVITES, &body).await?;
        if json { output::json(&made) } else { output::line(made.code) }
    }
}

async fn list(reach: &Reach, json: bool) -> Result<()> {
    let api = reach.api().await?;
    let listed: Invites = api.call(Method::GET, INVITES, None::<&()>).await?.read()?;
    if json {
        return output::json(&listed);
    }
    let rows = listed.invites.into_iter().map(|invite| {
        vec![
            invite.invite_id.to_string(),
            invite.uses_left.to_string(),
            invite.expires_at.map_or_else(|| "never".to_owned(), output::time),
            output::time(invite.created_at),
            invite.note.unwrap_or_default(),
        ]
    });
    let head = ["id", "uses left", "ends (UTC)", "made (UTC)", "note"];
    output::line(output::table(&head, &[0, 1], rows))
}

impl Revoke {
    async fn run(self, json: bool) -> Result<()> {
        let api = self.reach.api().await?;
        let path = format!("{INVITES}/{}", self.invite);
        match api.call(Method::DELETE, &path, None::<&()>).await {
            Ok(_) => {}
            Err(error) => {
                let unknown =
                    error.refused().is_some_and(|refusal| refusal.code == ErrorCode::NotFound);
                ensure!(!unknown, "there is no invite {} that can still be used", self.invite);
                return Err(error.into());
            }
        }
        if json {
            return output::json(&serde_json::json!({ "invite_id": self.invite, "revoked": true }));
        }
        output::line(format!("Invite {} cannot be used any more.", self.invite))
    }
}
