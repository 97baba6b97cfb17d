//! Client of a group-communication daemon: this project's, or any other that speaks the Spread client protocol.
//!
//! [`Connector::connect`] gives two halves: a [`Sender`], cheap to clone, which asks for things, and the one
//! [`Receiver`], which tells what the daemon delivered, in its order.
//!
//! ```no_run
//! use spread_client::{Connector, Event, Service};
//!
//! # async fn run() -> Result<(), spread_client::Error> {
//! let (sender, mut receiver) = Connector::new("alice").connect("4803@localhost").await?;
//! sender.join("orders").await?;
//! sender.multicast(Service::Agreed, &["orders"], 0, "hello").await?;
//! while let Some(event) = receiver.next().await? {
//!     match event {
//!         Event::Message(message) => println!("{}: {:?}", message.sender, message.payload),
//!         Event::View(view) => println!("{} has {} members", view.group, view.members.len()),
//!         other => println!("{other:?}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What a client may rely on
//!
//! Messages of one daemon component come in one total order, the same at every receiver, views included.
//! A message comes in the view it was sent in, or after that view's [`Event::Transition`]: then members that are not in the
//! next view's own vs-set may not have got it. A [`Sender`]'s call says that a request was taken, not that it was
//! ordered; an application that needs to know joins a group of its own, or waits for its own message.
//!
//! # Cancelling
//!
//! Every `async` method may be dropped at any await: a request is either taken whole or not at all, and an event
//! that was not returned comes with the next call.

mod address;
mod connect;
mod error;
mod event;
mod receiver;
mod sender;

pub use address::Address;
pub use connect::Connector;
pub use error::Error;
pub use event::{Asked, Cause, Event, Message, Name, Rejected, Transition, View};
pub use receiver::Receiver;
pub use sender::Sender;
pub use spread_wire::frame::Refusal;
pub use spread_wire::ids::GroupId;
pub use spread_wire::service::Service;
