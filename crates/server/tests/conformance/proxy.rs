//! A wire that can go dead: TCP between a client and a server which stops carrying anything, without
//! a FIN and without an error, as a lost radio link does.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use crate::world::within;

/// One connection's wire.
pub(crate) struct Wire {
    /// Where the client connects.
    pub(crate) address: SocketAddr,
    dead: watch::Sender<bool>,
    carrying: JoinHandle<(TcpStream, TcpStream)>,
}

/// A wire that carries nothing any more; both ends believe in it.
pub(crate) struct DeadWire {
    /// Kept open: the client must not notice.
    _client: TcpStream,
    server: TcpStream,
}

impl Wire {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (dead, mut is_dead) = watch::channel(false);
        let carrying = tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect(server).await.unwrap();
            client.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            let (mut up, mut down) = (vec![0; 16 << 10], vec![0; 16 << 10]);
            loop {
                tokio::select! {
                    biased;
                    _ = is_dead.changed() => return (client, server),
                    read = client.read(&mut up) => {
                        let read = read.unwrap();
                        assert!(read > 0, "the client ended");
                        server.write_all(&up[..read]).await.unwrap();
                    }
                    read = server.read(&mut down) => {
                        let read = read.unwrap();
                        assert!(read > 0, "the server ended");
                        client.write_all(&down[..read]).await.unwrap();
                    }
                }
            }
        });
        Self { address, dead, carrying }
    }

    /// From now on nothing arrives, either way.
    pub(crate) async fn dies(self) -> DeadWire {
        self.dead.send(true).unwrap();
        let (client, server) = within("the wire to die", self.carrying).await.unwrap();
        DeadWire { _client: client, server }
    }
}

impl DeadWire {
    /// What the server had sent when it gave the connection up.
    pub(crate) async fn given_up(mut self) -> Vec<u8> {
        let mut sent = Vec::new();
        // A reset instead of an end is as good.
        let _ = within("the server to give up", self.server.read_to_end(&mut sent)).await;
        sent
    }
}
