//! Requests to push services and other systems: bounded in time, followed nowhere else, and to addresses of devices only in the
//! open network, whatever their names lead to.

use std::{net::SocketAddr, time::Duration};

use ostracon_push::{Answered, Request};
use reqwest::{
    Client, ClientBuilder,
    dns::{Addrs, Name, Resolve, Resolving},
    header::RETRY_AFTER,
    redirect::Policy,
};

use super::endpoint::{checked, is_open};

/// From the first byte sent to the head of the answer.
const WITHIN: Duration = Duration::from_secs(10);

/// Clients of other servers.
pub(super) struct Post {
    /// For addresses that the operator named.
    trusted: Client,
    /// For addresses of devices.
    open: Client,
    private_addresses: bool,
}

/// Looks names up and keeps what is in the open network.
struct OpenOnly;

impl Resolve for OpenOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let open: Vec<SocketAddr> = found.filter(|address| is_open(address.ip())).collect();
            if open.is_empty() {
                return Err("the name leads to no address of the open network".into());
            }
            Ok(Box::new(open.into_iter()) as Addrs)
        })
    }
}

impl Post {
    /// # Errors
    /// One sentence, when the system's certificates cannot be used.
    pub(super) fn new(private_addresses: bool) -> Result<Self, String> {
        // There is one already where somebody else of this process came first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = || {
            Client::builder()
                .redirect(Policy::none())
                .no_proxy()
                .timeout(WITHIN)
                .user_agent(concat!("ostracon/", env!("CARGO_PKG_VERSION")))
        };
        let build =
            |builder: ClientBuilder| builder.build().map_err(|error| format!("no HTTPS: {error}."));
        let open = if private_addresses { client() } else { client().dns_resolver(OpenOnly) };
        Ok(Self { trusted: build(client())?, open: build(open)?, private_addresses })
    }

    /// Sends a request. The body of the answer is not read.
    pub(super) async fn send(&self, request: Request) -> Result<Answered, String> {
        let client = if request.trusted {
            &self.trusted
        } else {
            // The configuration may have changed since the address was taken.
            checked(&request.url, self.private_addresses)
                .map_err(|wrong| format!("the address of the device {wrong}"))?;
            &self.open
        };
        let mut post = client.post(&request.url).body(request.body);
        for (name, value) in request.headers {
            post = post.header(name, value);
        }
        let answer = post.send().await.map_err(|error| sentence(&error))?;
        let seconds = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Ok(Answered {
            status: answer.status().as_u16(),
            retry_after: seconds.map(Duration::from_secs),
        })
    }
}

/// Without the address, which is a secret.
fn sentence(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the request failed"
    };
    what.to_owned()
}
