//! Tests at the border of the client.
