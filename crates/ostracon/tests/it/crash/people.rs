//! Who talks where: six users, direct conversations between neighbours, two groups.

use ostracon_client::Api;
use ostracon_domain::{ConversationId, Rev, UserId};
use ostracon_proto::{EditSettings, UserRef, rest::CreateConversation};

use crate::support::Server;

pub(crate) struct Person {
    pub(crate) id: UserId,
    pub(crate) token: String,
}

pub(crate) struct Place {
    pub(crate) id: ConversationId,
    /// Index of who owns it: a member from the first message to the last.
    pub(crate) owner: usize,
    /// Indices of those who write there.
    pub(crate) members: Vec<usize>,
    /// Indices of those whom the owner adds and removes; none elsewhere.
    pub(crate) guests: Vec<usize>,
    /// Rev after it was made.
    pub(crate) rev: Rev,
}

pub(crate) struct People {
    pub(crate) people: Vec<Person>,
    pub(crate) places: Vec<Place>,
}

impl People {
    pub(crate) async fn meet(server: &Server) -> Self {
        let names = ["ann", "ben", "cleo", "dan", "eve", "fay", "guest1", "guest2"];
        let users = server.users(&names);
        let people: Vec<Person> = users
            .into_iter()
            .map(|(id, token)| Person { id: UserId::new(id).unwrap(), token })
            .collect();
        let mut this = Self { people, places: Vec::new() };
        for (a, b) in [(0, 1), (2, 3), (4, 5), (1, 4)] {
            let with = CreateConversation::Direct { user: UserRef::Id(this.people[b].id) };
            this.add(server, with, a, vec![a, b], Vec::new()).await;
        }
        for (name, owner, members) in
            [("all", 0, vec![0, 1, 2, 3, 4, 5]), ("some", 3, vec![3, 4, 5])]
        {
            let others = members.iter().filter(|n| **n != owner);
            let group = CreateConversation::Group {
                name: name.into(),
                members: others.map(|n| UserRef::Id(this.people[*n].id)).collect(),
                client_id: None,
                settings: EditSettings { system_messages: Some(false), ..EditSettings::default() },
            };
            this.add(server, group, owner, members, vec![6, 7]).await;
        }
        this
    }

    async fn add(
        &mut self,
        server: &Server,
        what: CreateConversation<'_>,
        owner: usize,
        members: Vec<usize>,
        guests: Vec<usize>,
    ) {
        let made = self.api(server, owner).create_conversation(&what).await.unwrap().value;
        let (id, rev) = (made.conversation.conversation_id, made.conversation.rev);
        self.places.push(Place { id, owner, members, guests, rev });
    }

    pub(crate) fn api(&self, server: &Server, person: usize) -> Api {
        server.api(&self.people[person].token)
    }

    /// Indices of the places where somebody writes.
    pub(crate) fn places_of(&self, person: usize) -> Vec<usize> {
        let is_there = |place: &Place| place.members.contains(&person);
        (0..self.places.len()).filter(|n| is_there(&self.places[*n])).collect()
    }
}
