//! Storage of messages between sending and reading. Each message is stored once; events refer to it by its
//! identifier.

use dmos_node::Message;

/// Identifies a stored message. Its holder must take or discard the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MessageId(u32);

/// All messages that are sent and not yet read.
#[derive(Default)]
pub(crate) struct MessageStore {
    places: Vec<Option<Message>>,
    /// Identifiers of free places.
    free: Vec<MessageId>,
}

impl MessageStore {
    /// Stores a message until it is taken.
    #[inline]
    pub(crate) fn put(&mut self, message: Message) -> MessageId {
        match self.free.pop() {
            Some(id) => {
                self.places[id.0 as usize] = Some(message);
                id
            }
            None => {
                self.places.push(Some(message));
                MessageId(
                    u32::try_from(self.places.len() - 1).expect("fewer messages than 2^32 are in flight"),
                )
            }
        }
    }

    /// Returns a stored message.
    #[inline]
    pub(crate) fn get(&self, id: MessageId) -> &Message {
        self.places[id.0 as usize].as_ref().expect("the message identifier is current")
    }

    /// Removes and returns a message; its identifier is no longer valid.
    #[inline]
    pub(crate) fn take(&mut self, id: MessageId) -> Message {
        self.free.push(id);
        self.places[id.0 as usize].take().expect("the message identifier is current")
    }

    /// Discards a message that will not be read.
    pub(crate) fn discard(&mut self, id: MessageId) {
        drop(self.take(id));
    }

    /// Returns the number of messages.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}
