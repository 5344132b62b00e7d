//! `chat`: signs in and hands over to the terminal client.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use ostracon_client::{Address, Api};
use ostracon_proto::rest::Login;

use crate::{
    chat::{self, Start},
    password,
};

/// Who talks, and where.
#[derive(Debug, Args)]
pub(crate) struct Chat {
    /// Name to sign in with; the password is asked for, or is the first line of standard input
    #[arg(long, value_name = "NAME", required_unless_present = "token_file")]
    user: Option<String>,
    /// File with a token instead of a name and password; `-` takes the variable OSTRACON_TOKEN
    #[arg(long, value_name = "FILE", conflicts_with = "user")]
    token_file: Option<PathBuf>,
    /// Address of the server
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Open the conversation with this user, or the group of this name
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    /// Open this conversation
    #[arg(long, value_name = "ID", conflicts_with = "to")]
    conversation: Option<String>,
}

impl Chat {
    pub(crate) fn run(self, json: bool) -> Result<ExitCode> {
        super::small_runtime()?.block_on(Box::pin(self.talk(json)))?;
        Ok(ExitCode::SUCCESS)
    }

    async fn talk(self, json: bool) -> Result<()> {
        let address: Address = self.url.parse()?;
        let (token, signed_in) = match &self.token_file {
            Some(path) => (token(path)?, false),
            None => (self.sign_in(&address).await?, true),
        };
        let api = Api::new(address.clone(), Some(&token));
        let me = api.me().await.with_context(|| self.url.clone())?;
        let done = chat::run(Start {
            address,
            token,
            me,
            to: self.to.or(self.conversation),
            json,
            is_terminal: io::stdin().is_terminal() && io::stdout().is_terminal() && !json,
        })
        .await;
        if signed_in {
            // This device is gone. Without an answer its session ends by itself one day.
            drop(api.logout().await);
        }
        done
    }

    async fn sign_in(&self, address: &Address) -> Result<String> {
        let name = self.user.as_deref().unwrap_or_default();
        let password = password::ask(&format!("Password of {name}: "), false)?;
        let login = Login {
            username: name.into(),
            password: password.into(),
            device_name: Some("terminal".into()),
        };
        match Api::new(address.clone(), None).login(&login).await {
            Ok(signed_in) => Ok(signed_in.token),
            Err(error) => match error.refused() {
                Some(refusal) => bail!("{}", refusal.message),
                None => Err(error).with_context(|| self.url.clone()),
            },
        }
    }
}

fn token(path: &std::path::Path) -> Result<String> {
    if path.as_os_str() == "-" {
        return std::env::var("OSTRACON_TOKEN").context("OSTRACON_TOKEN is not set");
    }
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(text.trim().to_owned())
}
