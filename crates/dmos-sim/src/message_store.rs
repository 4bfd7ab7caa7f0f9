//! Messages that somebody has sent and nobody has read yet: each is written down once, and whoever has to do with it
//! until it is read passes on its number.

use dmos_node::Message;

/// The number of a message that waits to be read. Whoever has it takes the message, or throws it away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MessageId(u32);

/// All messages that wait to be read.
#[derive(Default)]
pub(crate) struct MessageStore {
    places: Vec<Option<Message>>,
    /// Places without a message.
    free: Vec<MessageId>,
}

impl MessageStore {
    /// Keeps a message until it is taken.
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
                    u32::try_from(self.places.len() - 1).expect("fewer messages than 2^32 are under way"),
                )
            }
        }
    }

    /// Returns the message of a number.
    #[inline]
    pub(crate) fn get(&self, id: MessageId) -> &Message {
        self.places[id.0 as usize].as_ref().expect("a message is read once")
    }

    /// Takes a message; its number is void from now on.
    #[inline]
    pub(crate) fn take(&mut self, id: MessageId) -> Message {
        self.free.push(id);
        self.places[id.0 as usize].take().expect("a message is read once")
    }

    /// Nobody will read the message.
    pub(crate) fn discard(&mut self, id: MessageId) {
        drop(self.take(id));
    }

    /// Returns the number of messages.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}
